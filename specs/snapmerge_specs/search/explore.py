"""Exhaustive search of small scopes: every schedule of a short script, with every property checked in every state.

A *script* is a trace without outcomes; operations begun with ``start`` run concurrently with the following ones.  A
state is a session, a position in the script, and the volumes.  From each state every move of the environment is tried,
and the next step of the script; in the states after ``cuts`` every power cut, too.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import field
from typing import Final

from immutables import Map

import snapmerge as sm
from snapmerge import MAINLINE, Rules, Session, World
from snapmerge.records import dataclass, replace
from snapmerge.world.session import Task, advance_tasks, begin, poll
from snapmerge_specs.generations.script import Script
from snapmerge_specs.generations.volumes import NOTHING, Volumes
from snapmerge_specs.properties.problems import Problem, lost, never_ends, wrong_move, wrong_read, wrong_state
from snapmerge_specs.properties.views import Readable, begun, ended, readable, view
from snapmerge_specs.scenarios.coverage import reached

__all__ = ["Exploration", "Search", "State", "Violation", "explore", "start"]

_NOW: Final = -1


@dataclass(frozen=True, slots=True)
class Violation:
    """A violated property, and the number of moves that led to it (``depth``; 0: the move or a result is wrong)."""

    property: str
    statement: str
    problem: str
    depth: int


@dataclasses.dataclass
class Exploration:
    """The result of a search: counts of states, transitions, power cuts and final states, and what was reached."""

    states: int = 0
    transitions: int = 0
    crashes: int = 0
    ends: int = 0
    violation: Violation | None = None
    reached: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class State:
    """A session, the position ``at`` in the script, the key that the script waits for, and the volumes.

    ``before``: for each read under way the contents that were allowed when it began.
    """

    session: Session
    at: int
    waiting: int | None
    volumes: Volumes
    before: Map[int, Readable] = Map()


def explore(script: Script, rules: Rules = MAINLINE, *, limit: int = 200_000) -> Exploration:
    """Searches breadth first until all states were visited, a property is violated, or ``limit`` is exceeded.

    Raises:
        OperationError: an operation of the script is invalid in some state.
    """
    search = Search(script, limit)
    search.run(start(rules))
    return search.found


def start(rules: Rules) -> State:
    """The state before a script begins."""
    return State(Session.new(rules), 0, None, NOTHING)


class Search:
    """A search of a script's states.  ``found``: its result so far."""

    def __init__(self, script: Script, limit: int) -> None:
        self.script = script
        self.limit = limit
        self.found = Exploration()
        self._recovered: set[tuple[Map[str, sm.DiskState], Volumes]] = set()

    def run(self, start: State) -> None:
        """Searches breadth first, so that the first violation has the fewest moves."""
        seen, level, depth = {start}, [start], 0
        while level:
            following: list[State] = []
            for state in level:
                self._check(state, depth)
                if self._is_over(len(seen)):
                    break
                new = [after for after in self._next(state) if after not in seen]
                following += dict.fromkeys(new)
                seen.update(new)
            level, depth = ([] if self._is_over(len(seen)) else following), depth + 1
        self.found.states = len(seen)

    def _is_over(self, states: int) -> bool:
        return self.found.violation is not None or states > self.limit

    # --- successors ---

    def _next(self, state: State) -> Iterator[State]:
        before = self.found.transitions
        for world in sm.moves(state.session.world):
            self.found.transitions += 1
            self._violated(wrong_move(state.session.world, world), 0)
            yield self.moved(state, world)
        if (begun := self.begun(state)) is not None:
            self.found.transitions += 1
            yield begun
        if self.found.transitions == before:
            self.found.ends += 1

    def moved(self, state: State, world: World) -> State:
        """The state after a move to this world."""
        return self._collected(replace(state, session=Session(world, state.session.tasks)))

    def begun(self, state: State) -> State | None:
        """The state after the script's next step has begun; None: it waits, or there is no further step."""
        if state.waiting is not None or state.at == len(self.script.steps):
            return None
        return self._collected(self._begin(state))

    def _begin(self, state: State) -> State:
        operation = self.script.steps[state.at]
        match operation:
            case sm.Start(key, inner):
                waiting = state.waiting
            case sm.Finish(key):
                return replace(state, at=state.at + 1, waiting=key)
            case _:
                key, inner, waiting = _NOW, operation, _NOW
        session = begin(state.session, key, inner)
        before = state.before.set(key, readable(inner, state.volumes))
        return State(session, state.at + 1, waiting, begun(state.volumes, inner), before)

    def _collected(self, state: State) -> State:
        """Collects the results of operations that have ended, and updates the volumes with them."""
        state = replace(state, session=advance_tasks(state.session))
        for key, task in sorted(state.session.tasks.items()):
            session, result = poll(state.session, key)
            if result is not None:
                state = self._ended(state, session, key, task, result)
        if state.waiting is not None and state.waiting not in state.session.tasks:
            state = replace(state, waiting=None)
        return state

    def _ended(self, state: State, session: Session, key: int, task: Task, result: sm.Result) -> State:
        volumes = state.volumes
        if isinstance(result, sm.Raw):
            may = state.before[key], readable(task.operation, volumes)
            self._violated(wrong_read(task.operation, result, may, session.world.rules), 0)
        elif not isinstance(result, sm.Failed):
            volumes = ended(volumes, task.operation, session.world)
        step = sm.Step(task.operation, None if isinstance(result, sm.Raw) else result)
        self.found.reached.update(reached(state.session.world, step, session.world))
        return State(session, state.at, state.waiting, volumes, state.before.delete(key))

    # --- checks ---

    def _check(self, state: State, depth: int) -> None:
        problem = wrong_state(state.session, state.volumes) or _stuck(state)
        if problem is not None:
            self._violated(problem, depth)
        elif self.script.cuts is not None and state.at >= self.script.cuts:
            self._check_cut(state, depth)

    def _violated(self, problem: Problem | None, depth: int) -> None:
        """Records the violation, if there is one."""
        if problem is not None:
            self.found.violation = Violation(problem.property, problem.statement, problem.text, depth)

    def _check_cut(self, state: State, depth: int) -> None:
        """Checks every world that a power cut in this state may leave, after the script's recovery."""
        for world in sm.crashes(state.session.world):
            key = (world.disks, state.volumes)
            if key in self._recovered:
                continue
            self._recovered.add(key)
            self.found.crashes += 1
            wrong = self._recover(world, state.volumes)
            if wrong is not None:
                self._violated(lost(wrong, world.rules), depth)
                return

    def _recover(self, world: World, volumes: Volumes) -> str | None:
        session = Session(world)
        for operation in self.script.recovery:
            _, session = sm.operate(session, operation)
        for name in sorted(session.world.stack.devices):
            seen = view(session.world, name)
            volume = volumes.get(name)
            if name == self.script.device:
                volume = volumes.get(self.script.merges or name, volume)
            if seen is None or volume is None:
                continue
            for sector, content in enumerate(seen):
                if content not in volume.durable[sector]:
                    may = sorted(map(sm.as_seen, volume.durable[sector]), key=str)
                    return f"after a power cut {name} has {content!r} at sector {sector}, and may have {may}"
        return None


def _stuck(state: State) -> Problem | None:
    """The problem of a state in which the script waits while nothing is in flight."""
    if state.waiting is None or state.session.world.flights:
        return None
    return never_ends(state.session.tasks[state.waiting].operation, state.session.world.rules)
