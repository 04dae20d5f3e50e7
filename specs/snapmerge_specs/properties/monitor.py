"""The monitor: operations on the model, with every property looked at after every move.

It takes the canonical schedule, so that what it finds is a trace that anybody can play.  A power cut takes all that
was not flushed.
"""

import contextlib
from collections.abc import Iterable

import snapmerge as sm
from snapmerge import Rules, Session, Step
from snapmerge.records import replace
from snapmerge.world.session import Task, advance_tasks, begin, poll
from snapmerge_specs.generations.generation import generation_of
from snapmerge_specs.generations.volumes import NOTHING, Volumes
from snapmerge_specs.lockstep.capabilities import FAULTS, FEATURES
from snapmerge_specs.properties.held import is_held
from snapmerge_specs.properties.problems import Problem, never_ends, wrong_move, wrong_read, wrong_state
from snapmerge_specs.properties.views import Readable, begun, ended, readable

__all__ = ["Monitor", "ViolationError", "monitored"]

_NOW = -1
_LATER = 1000
"""Keys from here on are of operations that block and were not begun by ``start``."""


class ViolationError(AssertionError):
    """A property does not hold."""

    def __init__(self, problem: Problem) -> None:
        self.property, self.statement, self.problem = problem.property, problem.statement, problem.text
        super().__init__(f"{self.property} ({self.statement}): {self.problem}")


def _require(problem: Problem | None) -> None:
    if problem is not None:
        raise ViolationError(problem)


class Monitor:
    """Drives the machine by ``rules`` and looks at every property.

    Attributes: ``steps`` what was done and seen; ``rules`` those of the generation as it was meant, by which a scenario
    chooses what to do next.
    """

    def __init__(self, rules: Rules) -> None:
        self.steps: list[Step] = []
        self.rules = generation_of(rules).rules
        self.session = Session.new(rules)
        self._doing: tuple[Step, ...] = ()
        self._volumes: Volumes = NOTHING
        self._before: dict[int, Readable] = {}
        self._loose: set[int] = set()
        self._rivals: dict[sm.Plain, list[sm.Write]] = {}

    @property
    def capabilities(self) -> sm.Capabilities:
        """Everything that the model can do."""
        return sm.Capabilities(sm.OPERATION_WORDS, sm.TARGETS, FAULTS, FEATURES)

    @property
    def world(self) -> sm.World:
        """The world as it is."""
        return self.session.world

    @property
    def trace(self) -> tuple[Step, ...]:
        """What was done and, as the last, what was under way when a property broke."""
        return (*self.steps, *self._doing)

    def do(self, operation: sm.Operation) -> sm.Outcome:
        """Does it; what was seen.  What blocks because something is held back goes on beside what follows.

        Raises:
            ViolationError: a property does not hold.
            OperationError: the operation makes no sense now.
        """
        self.settle()
        self._doing = (Step(operation, None),)
        match operation:
            case sm.Start(key, inner):
                self._begin(key, inner)
                outcome: sm.Outcome = sm.Done()
            case sm.Finish(key):
                if key not in self.session.tasks:
                    raise sm.OperationError(f"nothing was started with the key {key}")
                outcome = self._wait(key, operation)
            case _:
                self._begin(_NOW, operation)
                outcome = self._wait(_NOW, operation)
                if isinstance(outcome, sm.Blocked):
                    operation, outcome = sm.Start(max(self.session.tasks), operation), sm.Done()
        self.steps.append(Step(operation, outcome))
        self._doing = ()
        return outcome

    def _begin(self, key: int, operation: sm.Plain) -> None:
        self.session = begin(self.session, key, operation)
        self._before[key] = readable(operation, self._volumes)
        self._volumes = begun(self._volumes, operation)
        if isinstance(operation, sm.Write):
            self._enter_rival(operation)
            self._forget_absent()
        self._look()

    def _enter_rival(self, write: sm.Write) -> None:
        """Of writes that are under way together nobody says which comes last."""
        others = [t.operation for t in self.session.tasks.values() if isinstance(t.operation, sm.Write)]
        rivals = [other for other in others if other.where == write.where and other is not write]
        self._rivals[write] = rivals
        for other in rivals:
            self._rivals.setdefault(other, []).append(write)

    def _forget_absent(self) -> None:
        """What is not there, as after a power cut, is not what it was once something else is written."""
        for name in set(self._volumes) - set(self.session.world.stack.devices):
            self._volumes = self._volumes.delete(name)

    def _wait(self, key: int, operation: sm.Operation) -> sm.Outcome:
        while True:
            task = self.session.tasks[key]
            self.session, result = poll(self.session, key)
            if result is not None:
                return self._ended(key, task, result)
            if not self.session.world.flights:
                return self._blocked(key, operation)
            self._move()

    def _blocked(self, key: int, operation: sm.Operation) -> sm.Outcome:
        """It can't end now, which is right as long as something holds it back; it goes on under a key of its own."""
        if not self._may_wait(self.session.tasks[key].operation):
            raise ViolationError(never_ends(operation, self.world.rules))
        if key == _NOW:
            free = next(k for k in range(_LATER, 2 * _LATER) if k not in self.session.tasks)
            tasks = self.session.tasks.set(free, self.session.tasks[_NOW]).delete(_NOW)
            self.session = Session(self.session.world, tasks)
            self._before[free] = self._before.pop(_NOW)
        return sm.Blocked()

    def _ended(self, key: int, task: Task, result: sm.Result) -> sm.Outcome:
        before = self._before.pop(key)
        if isinstance(result, sm.Raw):
            may = before, readable(task.operation, self._volumes)
            _require(wrong_read(task.operation, result, may, self.world.rules))
            self._look()
            return result.seen() or sm.Data(())
        if isinstance(task.operation, sm.Crash):
            self.session = Session(sm.resolve(self.session.world, lambda count: count - 1))
            self._before.clear()
            self._loose.clear()
        known = set(self._volumes)
        if key in self._loose:
            self._loose.remove(key)
        elif not isinstance(result, sm.Failed):
            self._volumes = ended(self._volumes, task.operation, self.session.world)
            self._under_way(set(self._volumes) - known)
        for rival in self._rivals.pop(task.operation, ()):
            self._volumes = begun(self._volumes, rival)
        self._look()
        return result

    def _under_way(self, new: set[str]) -> None:
        """Of devices that have only now been looked at, writes under way may show or not, also when they have ended."""
        for key, task in self.session.tasks.items():
            if isinstance(task.operation, sm.Write) and task.operation.where in new:
                self._volumes = begun(self._volumes, task.operation)
                self._loose.add(key)

    def settle(self) -> None:
        """Lets everything in flight end.  Raises ViolationError."""
        while self.session.world.flights:
            self._move()
        self.session = advance_tasks(self.session)
        self._look()
        self._look_for_stuck()

    def _look_for_stuck(self) -> None:
        """With nothing in flight and nothing held back, whatever was begun has ended."""
        world = self.session.world
        for task in self.session.tasks.values():
            if self._may_wait(task.operation):
                continue
            over = task.result is not None or task.token in world.ended or task.token in world.replies
            if not over and not isinstance(task.operation, sm.Settle):
                raise ViolationError(never_ends(task.operation, world.rules))

    def _may_wait(self, operation: sm.Plain) -> bool:
        """Whether something that holds I/O back is a reason for the operation to wait."""
        name = getattr(operation, "where", None) or getattr(operation, "device", None)
        world = self.session.world
        return any(is_held(world, device.name) for device in world.stack.devices.values() if device.called == name)

    def _move(self) -> None:
        before = self.session.world
        self.session = advance_tasks(replace(self.session, world=sm.advance(before)))
        _require(wrong_move(before, self.session.world))
        self._look()

    def _look(self) -> None:
        cut = any(isinstance(step.operation, sm.Crash) for step in self.steps)
        _require(wrong_state(self.session, self._volumes, cut=cut))


def monitored(operations: Iterable[sm.Operation], rules: Rules) -> tuple[tuple[Step, ...], ViolationError | None]:
    """Does the operations that make sense, up to the first property that does not hold; what was seen, and that."""
    monitor = Monitor(rules)
    try:
        for operation in operations:
            with contextlib.suppress(sm.OperationError):
                monitor.do(operation)
        monitor.settle()
    except ViolationError as found:
        return monitor.trace, found
    return monitor.trace, None
