"""A scenario under way: prediction and implementation are driven side by side.

The prediction is a session of the model that follows the canonical schedule.  Moves are chosen by its world and not by
the oracle's, which depends on the outcomes; so equal draws give equal operations, however an implementation behaves.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TypeVar

import snapmerge as sm
from snapmerge.machine.core.state import DeviceBio, ResumeStage, Resuming
from snapmerge.machine.core.table_line import print_line
from snapmerge_specs.generations.generation import Draw, Driver, Onward
from snapmerge_specs.lockstep.capabilities import is_within, may_be_refused
from snapmerge_specs.lockstep.lockstep import VerdictError
from snapmerge_specs.scenarios.coverage import reached
from snapmerge_specs.scenarios.layout import EMPTY_TARGETS, Layout, cow_name, snapshot_name

__all__ = ["Predicted", "pick"]

T = TypeVar("T")

_SUSPENDS = (ResumeStage.WAITING, ResumeStage.SUSPENDING)
_REQUESTS = (sm.Create, sm.Load, sm.Clear, sm.Suspend, sm.Resume, sm.Remove)


def pick(draw: Draw, options: Sequence[T]) -> T:
    """Draws one of the options."""
    return options[draw(0, len(options) - 1)]


def _never(_operation: sm.Operation) -> bool:
    return False


def _raise(disagreement: VerdictError) -> None:
    raise disagreement


class Predicted:
    """A scenario under way: disks of one layout, and an implementation in lockstep with the oracle.

    After a disagreement ``disagreed`` is called, which may raise.  If it does not, the prediction continues, and
    ``onward``, if given, drives the implementation without the oracle.  Operations for which ``avoids`` is true are
    left out.

    Attributes: ``apart`` whether there was a disagreement; ``reached`` how often each state of ``coverage`` was
    reached.
    """

    def __init__(
        self,
        lockstep: Driver,
        disagreed: Callable[[VerdictError], None] = _raise,
        avoids: Callable[[sm.Operation], bool] = _never,
        onward: Onward | None = None,
    ) -> None:
        self.lockstep = lockstep
        self.apart = False
        self.reached: Counter[str] = Counter()
        self.can = lockstep.capabilities
        self.layout = Layout()
        self._disagreed = disagreed
        self._avoids = avoids
        self._onward = onward
        self._predicted = sm.Session.new(lockstep.rules)
        self._tag = 0
        self._key = 0

    # --- the state of the prediction ---

    @property
    def over(self) -> bool:
        """Whether the implementation gets no more operations."""
        return self.apart and (self._onward is None or self._onward.over)

    @property
    def stack(self) -> sm.Stack:
        """The predicted devices."""
        return self._predicted.world.stack

    @property
    def world(self) -> sm.World:
        """The predicted world."""
        return self._predicted.world

    @property
    def devices(self) -> list[str]:
        """The names of all devices."""
        return sorted(self.stack.devices)

    @property
    def live(self) -> list[str]:
        """The names of the devices with a live table."""
        return [name for name in self.devices if self.stack.devices[name].live]

    @property
    def suspended(self) -> list[str]:
        """The names of the suspended devices with a live table."""
        return [name for name in self.live if self.stack.devices[name].suspended]

    @property
    def running(self) -> list[str]:
        """The names of the origin and the snapshots that take I/O now."""
        return [name for name in self.live if name not in self.layout.under and name not in self.suspended]

    @property
    def free(self) -> list[int]:
        """The numbers of the snapshots without a device."""
        return [i for i in range(len(self.layout.cows)) if snapshot_name(i) not in self.stack.devices]

    @property
    def taken(self) -> list[int]:
        """The numbers of the snapshots whose devices have a live table."""
        return [i for i in range(len(self.layout.cows)) if snapshot_name(i) in self.live]

    @property
    def pending_keys(self) -> list[int]:
        """The keys of operations that were started and not finished."""
        return sorted(self._predicted.tasks)

    # --- operations ---

    def size_of(self, device: str) -> int:
        """The length of the device's live table, in sectors."""
        return self.stack.size(device)

    def table_of(self, device: str) -> str:
        """The device's live table, as it was loaded."""
        return "; ".join(print_line(self.stack.targets[id].line) for id in self.stack.devices[device].live)

    def see(self, device: str) -> None:
        """Compares a device's data, status, table and events."""
        self.do(sm.Status(device))
        self.do(sm.Table(device))
        self.do(sm.Events(device))
        state = self.stack.devices.get(device)
        if state is not None and state.live and not state.suspended:
            self.do(sm.Read(device, sm.Sector(0), sm.Sectors(self.size_of(device))))

    def see_disks(self) -> None:
        """Compares the contents of the origin's disk, and the stores on the other disks."""
        self.do(sm.Read("base", sm.Sector(0), sm.Sectors(self.layout.size)))
        for i in range(len(self.layout.cows)):
            self.do(sm.Metadata(cow_name(i)))

    def do(self, operation: sm.Plain) -> None:
        """Carries the operation out if it is valid; starts it if it would block."""
        try:
            self._do(operation)
        except sm.WouldBlock:
            self.start(operation)

    def _do(self, operation: sm.Operation) -> None:
        """Carries the operation out in the prediction, then in lockstep.

        An operation that is invalid, avoided, or beyond the implementation's capabilities is left out in both; one that
        is invalid only for the oracle, in lockstep.

        Raises:
            WouldBlock: the operation would never end in the prediction; it was not carried out.
        """
        self._finish_requests(operation)
        left_out = (
            self._avoids,
            self._would_cut,
            self._would_race,
            self._would_want_locks,
            self._may_block,
            self._may_wait_for_errors,
        )
        if not is_within(operation, self.can) or any(is_left_out(operation) for is_left_out in left_out):
            return
        try:
            outcome, predicted = sm.operate(self._predicted, operation)
        except sm.WouldBlock:
            raise
        except sm.OperationError:
            return
        if not may_be_refused(operation, outcome, self.can):
            return
        before, self._predicted = self.world, predicted
        if self.apart:
            self._follow(operation, before)
            return
        try:
            self._in_lockstep(operation)
        except sm.NotModelled:
            raise
        except sm.OperationError:
            pass

    def _would_cut(self, operation: sm.Operation) -> bool:
        """Whether a resume lets in a discard that exceeds the new table, or goes to ``zero`` or ``error`` targets.

        A user's discard becomes several bios, split at the granularity of the disk, which the model does not know; that
        shows if some of them fit the table and others do not.  And kernels differ in which targets take discards
        (DEV-28).
        """
        device = self.stack.devices.get(operation.device) if isinstance(operation, sm.Resume) else None
        if device is None or not device.inactive:
            return False
        line = self.stack.targets[device.inactive[-1]].line
        end = 0 if line.target in EMPTY_TARGETS else line.start + line.length
        waiting = (self.stack.work[id] for id in device.deferred)
        bios = (work.bio for work in waiting if isinstance(work, DeviceBio) and work.bio.op is sm.Op.DISCARD)
        return any(bio.sector + bio.count > end for bio in bios)

    def _would_race(self, operation: sm.Operation) -> bool:
        """Whether the outcome depends on the progress of a thread, of the kernel or of its user.

        A resume with a new table that suspends its device takes the device's lock three times, and requests that wait
        for the lock may get it in between.  A ``settle`` polls the status, perhaps too late, after the removal.
        """
        plain = sm.inner(operation)
        if not isinstance(plain, sm.Suspend | sm.Resume | sm.Remove):
            return False
        if isinstance(plain, sm.Remove) and any(
            isinstance(task.operation, sm.Settle) and task.operation.device == plain.device
            for task in self._predicted.tasks.values()
        ):
            return True
        requests = (r for r in self.stack.requests if r.device == plain.device)
        return any(isinstance(r, Resuming) and r.suspends and r.stage in _SUSPENDS for r in requests)

    def _would_want_locks(self, operation: sm.Operation) -> bool:
        """Whether it is a request about a table of snapshots while one of them can't finish its invalidation.

        That one has its lock until its COW device takes the header.  Constructing, resuming and destroying tables takes
        the locks of other snapshots and one for all origins (``_origins_lock``), which the model does not have; there
        the kernel waits, and bios of any origin may wait with it.  ``resume`` of the COW device's own table is no such
        request.
        """
        plain = sm.inner(operation)
        if not isinstance(plain, _REQUESTS) or not any(device.held for device in self.stack.devices.values()):
            return False
        device = self.stack.devices.get(plain.device)
        lines = [] if device is None else [self.stack.targets[id].line for id in (*device.live, *device.inactive)]
        named = {line.target for line in lines} | set((getattr(plain, "table", None) or "").split())
        if not any(name.startswith("snapshot") for name in named):
            return False
        targets = sm.settled(self._predicted).world.stack.targets.values()
        return any(self.world.rules.by_class[type(target)].locked(target) for target in targets)

    def _finish_requests(self, operation: sm.Operation) -> None:
        """Finishes started requests to the same device, except those that block.

        They have ended in the prediction, but the kernel's threads for them may not have run yet.
        """
        plain = sm.inner(operation)
        if not isinstance(plain, _REQUESTS):
            return
        for key, task in sorted(self._predicted.tasks.items()):
            if isinstance(task.operation, _REQUESTS) and task.operation.device == plain.device:
                outcome, _ = sm.operate(self._predicted, sm.Finish(key))
                if not isinstance(outcome, sm.Blocked):
                    self._do(sm.Finish(key))

    def _may_wait_for_errors(self, operation: sm.Operation) -> bool:
        """Whether it is a flush while a device of ``error`` targets is suspended, in which kernels differ (DEV-29)."""
        if not isinstance(sm.inner(operation), sm.Flush):
            return False
        held = [device for device in self.stack.devices.values() if device.held and device.live]
        return any(self.stack.targets[device.live[0]].line.target == "error" for device in held)

    def _in_lockstep(self, operation: sm.Operation) -> None:
        before = self.lockstep.world
        try:
            self.lockstep.do(operation)
        except VerdictError as disagreement:
            self.apart = True
            self._disagreed(disagreement)
        else:
            self.reached.update(reached(before, self.lockstep.steps[-1], self.lockstep.world))

    def _may_block(self, operation: sm.Operation) -> bool:
        """Whether the operation may block for ever on an implementation that has left the prediction."""
        return self.apart and self._onward is not None and self._onward.would_block(operation)

    def _follow(self, operation: sm.Operation, before: sm.World) -> None:
        """Carries the operation out without the oracle; coverage is counted by the prediction."""
        outcome = None if self._onward is None else self._onward.go_on(operation)
        if outcome is not None:
            self.reached.update(reached(before, sm.Step(operation, outcome), self.world))

    def start(self, operation: sm.Plain) -> None:
        """Starts the operation under a new key, unless three are under way already."""
        if len(self.pending_keys) < 3:
            self._key += 1
            self._do(sm.Start(self._key, operation))

    def tags(self, count: int) -> int:
        """The first of ``count`` new tags."""
        self._tag += count
        return self._tag - count + 1
