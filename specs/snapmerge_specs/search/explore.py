"""Exhaustive search of small scopes: every schedule of a short script, a power cut anywhere, every property everywhere.

A *script* is a trace without outcomes: what users do, in their order.  Operations begun with ``start`` run beside
what follows. Each state is a session, a place in the script, and the volumes that users may count on; from each,
everything that the environment can do is tried.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import field
from typing import Final

from immutables import Map

import snapmerge as sm
from snapmerge import MAINLINE, Rules, Session, World
from snapmerge.records import dataclass, replace
from snapmerge.world.session import Task, begin, poll, tend
from snapmerge_specs.properties.invariants import broken, step_broken
from snapmerge_specs.properties.views import NOTHING, Volumes, begun, ended, misread, view, views_wrong
from snapmerge_specs.scenarios.coverage import reached

__all__ = ["Exploration", "Script", "Violation", "explore"]

_NOW: Final = -1


@dataclass(frozen=True, slots=True)
class Script:
    """What users do, and (``recovery``) what they do after a power cut, before they look again.

    ``cuts``: the power may be cut from this step on; None: never.  ``merges``: the snapshot that the recovery
    merges, so that it is what ``device`` shows from then on.
    """

    name: str
    steps: tuple[sm.Operation, ...]
    recovery: tuple[sm.Operation, ...] = ()
    cuts: int | None = None
    merges: str | None = None
    device: str = "origin"


@dataclass(frozen=True, slots=True)
class Violation:
    """A property that does not hold, where, and the moves that led there (``path``: what each did)."""

    property: str
    statement: str
    problem: str
    depth: int


@dataclasses.dataclass
class Exploration:
    """What a search has seen."""

    states: int = 0
    transitions: int = 0
    crashes: int = 0
    ends: int = 0
    violation: Violation | None = None
    reached: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class _State:
    """``before``: for each operation under way the volumes as they were when it began."""

    session: Session
    at: int
    waiting: int | None
    volumes: Volumes
    before: Map[int, Volumes] = Map()


def explore(script: Script, rules: Rules = MAINLINE, *, limit: int = 200_000) -> Exploration:
    """Searches breadth first until everything has been seen or a property is violated, ``limit`` states at most.

    Raises:
        OperationError: the script makes no sense at some point.
    """
    search = _Search(script, limit)
    search.run(_State(Session.new(rules), 0, None, NOTHING))
    return search.found


class _Search:
    def __init__(self, script: Script, limit: int) -> None:
        self.script = script
        self.limit = limit
        self.found = Exploration()
        self._recovered: set[tuple[Map[str, sm.DiskState], Volumes]] = set()

    def run(self, start: _State) -> None:
        """Breadth first, so that a violation is met as early as can be."""
        seen, level, depth = {start}, [start], 0
        while level:
            following: list[_State] = []
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

    # --- what comes next ---

    def _next(self, state: _State) -> Iterator[_State]:
        before = self.found.transitions
        for world in sm.moves(state.session.world):
            self.found.transitions += 1
            self._check_step(state.session.world, world)
            yield self._collected(replace(state, session=Session(world, state.session.tasks)))
        if state.waiting is None and state.at < len(self.script.steps):
            self.found.transitions += 1
            yield self._collected(self._begin(state))
        if self.found.transitions == before:
            self.found.ends += 1

    def _begin(self, state: _State) -> _State:
        operation = self.script.steps[state.at]
        match operation:
            case sm.Start(key, inner):
                waiting = state.waiting
            case sm.Finish(key):
                return replace(state, at=state.at + 1, waiting=key)
            case _:
                key, inner, waiting = _NOW, operation, _NOW
        session = begin(state.session, key, inner)
        before = state.before.set(key, state.volumes)
        return _State(session, state.at + 1, waiting, begun(state.volumes, inner), before)

    def _collected(self, state: _State) -> _State:
        """Takes the outcomes of operations that have ended, which is when users may count on them."""
        state = replace(state, session=tend(state.session))
        for key, task in sorted(state.session.tasks.items()):
            session, result = poll(state.session, key)
            if result is not None:
                state = self._ended(state, session, key, task, result)
        if state.waiting is not None and state.waiting not in state.session.tasks:
            state = replace(state, waiting=None)
        return state

    def _ended(self, state: _State, session: Session, key: int, task: Task, result: sm.Result) -> _State:
        volumes = state.volumes
        if isinstance(result, sm.Raw):
            self._check_read(task.operation, result, state.before[key], volumes)
        elif not isinstance(result, sm.Failed):
            volumes = ended(volumes, task.operation, session.world)
        step = sm.Step(task.operation, None if isinstance(result, sm.Raw) else result)
        self.found.reached.update(reached(state.session.world, step, session.world))
        return _State(session, state.at, state.waiting, volumes, state.before.delete(key))

    def _check_read(self, operation: sm.Plain, result: sm.Raw, before: Volumes, after: Volumes) -> None:
        if (wrong := misread(operation, result, before, after)) is not None:
            self._violated("reads", "SNAP-1", wrong, 0)

    # --- what must hold ---

    def _check(self, state: _State, depth: int) -> None:
        world = state.session.world
        if (problem := broken(world)) is not None:
            self._violated(problem[0].name, problem[0].statement, problem[1], depth)
        elif (wrong := views_wrong(state.session, state.volumes)) is not None:
            self._violated("views", "SNAP-1", wrong[1], depth)
        elif (stuck := _stuck(state)) is not None:
            self._violated("every operation ends", "DEV-5", stuck, depth)
        elif self.script.cuts is not None and state.at >= self.script.cuts:
            self._check_cut(state, depth)

    def _check_step(self, before: World, after: World) -> None:
        if (problem := step_broken(before, after)) is not None:
            self._violated(problem[0].name, problem[0].statement, problem[1], 0)

    def _violated(self, name: str, statement: str, problem: str, depth: int) -> None:
        self.found.violation = Violation(name, statement, problem, depth)

    def _check_cut(self, state: _State, depth: int) -> None:
        """Cuts the power here, in every way, recovers, and looks."""
        for world in sm.crashes(state.session.world):
            key = (world.disks, state.volumes)
            if key in self._recovered:
                continue
            self._recovered.add(key)
            self.found.crashes += 1
            wrong = self._recover(world, state.volumes)
            if wrong is not None:
                self._violated("durable", "MERGE-7", wrong, depth)
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


def _stuck(state: _State) -> str | None:
    """With nothing in flight, what is waited for never ends."""
    if state.waiting is None or state.session.world.flights:
        return None
    return f"{sm.print_operation(state.session.tasks[state.waiting].operation)} never ends"
