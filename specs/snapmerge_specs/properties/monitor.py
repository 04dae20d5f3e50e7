"""The monitor: runs operations on the model, and checks every property after every move.

It follows the canonical schedule, so a violation is a trace that can be replayed.  A power cut loses everything that
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
"""The first key for operations that block although they were not begun with ``start``."""


class ViolationError(AssertionError):
    """A property is violated.  Attributes: ``property``, ``statement`` and ``problem``, as in ``Problem``."""

    def __init__(self, problem: Problem) -> None:
        self.property, self.statement, self.problem = problem.property, problem.statement, problem.text
        super().__init__(f"{self.property} ({self.statement}): {self.problem}")


def _require(problem: Problem | None) -> None:
    if problem is not None:
        raise ViolationError(problem)


class Monitor:
    """Drives the machine by ``rules`` and checks every property.

    Attributes: ``steps`` the operations with their outcomes; ``rules`` those of the generation's intended behaviour, by
    which a scenario chooses its next operation.
    """

    def __init__(self, rules: Rules) -> None:
        self.steps: list[Step] = []
        self.rules = generation_of(rules).rules
        self.session = Session.new(rules)
        self._current: tuple[Step, ...] = ()
        self._volumes: Volumes = NOTHING
        self._before: dict[int, Readable] = {}
        self._uncertain: set[int] = set()
        self._rivals: dict[sm.Plain, list[sm.Write]] = {}

    @property
    def capabilities(self) -> sm.Capabilities:
        """All operations, targets and features of the model."""
        return sm.Capabilities(sm.OPERATION_WORDS, sm.TARGETS, FAULTS, FEATURES)

    @property
    def world(self) -> sm.World:
        """The current world."""
        return self.session.world

    @property
    def trace(self) -> tuple[Step, ...]:
        """The steps, and the operation that was under way when a property was violated."""
        return (*self.steps, *self._current)

    def do(self, operation: sm.Operation) -> sm.Outcome:
        """Carries the operation out and returns its outcome; one that blocks is recorded as begun with ``start``.

        Raises:
            ViolationError: a property is violated.
            OperationError: the operation is invalid now.
        """
        self.settle()
        self._current = (Step(operation, None),)
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
        self._current = ()
        return outcome

    def _begin(self, key: int, operation: sm.Plain) -> None:
        self.session = begin(self.session, key, operation)
        self._before[key] = readable(operation, self._volumes)
        self._volumes = begun(self._volumes, operation)
        if isinstance(operation, sm.Write):
            self._note_rivals(operation)
            self._forget_absent()
        self._check()

    def _note_rivals(self, write: sm.Write) -> None:
        """Notes which writes to the device are under way together: any of them may be the last."""
        others = [t.operation for t in self.session.tasks.values() if isinstance(t.operation, sm.Write)]
        rivals = [other for other in others if other.where == write.where and other is not write]
        self._rivals[write] = rivals
        for other in rivals:
            self._rivals.setdefault(other, []).append(write)

    def _forget_absent(self) -> None:
        """Forgets devices that a power cut removed, once anything else is written."""
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
        """Keeps an operation that can't end now under a key of its own; a violation unless I/O is held back."""
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
            self._check()
            return result.seen() or sm.Data(())
        if isinstance(task.operation, sm.Crash):
            self.session = Session(sm.resolve(self.session.world, lambda count: count - 1))
            self._before.clear()
            self._uncertain.clear()
        known = set(self._volumes)
        if key in self._uncertain:
            self._uncertain.remove(key)
        elif not isinstance(result, sm.Failed):
            self._volumes = ended(self._volumes, task.operation, self.session.world)
            self._allow_writes_under_way(set(self._volumes) - known)
        for rival in self._rivals.pop(task.operation, ()):
            self._volumes = begun(self._volumes, rival)
        self._check()
        return result

    def _allow_writes_under_way(self, new: set[str]) -> None:
        """Allows writes under way to show or not on devices whose volumes are new, also after they have ended."""
        for key, task in self.session.tasks.items():
            if isinstance(task.operation, sm.Write) and task.operation.where in new:
                self._volumes = begun(self._volumes, task.operation)
                self._uncertain.add(key)

    def settle(self) -> None:
        """Makes moves until nothing is in flight.  Raises ViolationError."""
        while self.session.world.flights:
            self._move()
        self.session = advance_tasks(self.session)
        self._check()
        self._check_ended()

    def _check_ended(self) -> None:
        """Requires that every operation has ended, since nothing is in flight; except those that are held back."""
        world = self.session.world
        for task in self.session.tasks.values():
            if self._may_wait(task.operation):
                continue
            over = task.result is not None or task.token in world.ended or task.token in world.replies
            if not over and not isinstance(task.operation, sm.Settle):
                raise ViolationError(never_ends(task.operation, world.rules))

    def _may_wait(self, operation: sm.Plain) -> bool:
        """Whether the operation may wait since a device holds I/O back."""
        name = getattr(operation, "where", None) or getattr(operation, "device", None)
        world = self.session.world
        return any(is_held(world, device.name) for device in world.stack.devices.values() if device.called == name)

    def _move(self) -> None:
        before = self.session.world
        self.session = advance_tasks(replace(self.session, world=sm.advance(before)))
        _require(wrong_move(before, self.session.world))
        self._check()

    def _check(self) -> None:
        cut = any(isinstance(step.operation, sm.Crash) for step in self.steps)
        _require(wrong_state(self.session, self._volumes, cut=cut))


def monitored(operations: Iterable[sm.Operation], rules: Rules) -> tuple[tuple[Step, ...], ViolationError | None]:
    """Runs the operations that are valid; returns the steps, and the first violation, at which it stops, or None."""
    monitor = Monitor(rules)
    try:
        for operation in operations:
            with contextlib.suppress(sm.OperationError):
                monitor.do(operation)
        monitor.settle()
    except ViolationError as found:
        return monitor.trace, found
    return monitor.trace, None
