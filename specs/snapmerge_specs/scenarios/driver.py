"""A sketch of a scenario, and the lockstep beside it: what there is, and how an operation is done on both.

The sketch is the same operations by the canonical schedule.  Moves are chosen by looking at it and not at the oracle's
world, which depends on what was seen; so the same choices make the same operations, however an implementation behaves.
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

__all__ = ["Sketched", "pick"]

T = TypeVar("T")

_SUSPENDS = (ResumeStage.WAITING, ResumeStage.SUSPENDING)
_REQUESTS = (sm.Create, sm.Load, sm.Clear, sm.Suspend, sm.Resume, sm.Remove)


def pick(draw: Draw, options: Sequence[T]) -> T:
    """Draws one of them."""
    return options[draw(0, len(options) - 1)]


def _nothing(_operation: sm.Operation) -> bool:
    return False


def _raise(disagreement: VerdictError) -> None:
    raise disagreement


class Sketched:
    """A scenario under way: disks of one layout, and an implementation in lockstep with the oracle.

    After a disagreement, which ``disagreed`` hears of and may raise, only the sketch goes on; and the implementation,
    if there is an ``onward`` for it.

    ``avoids`` says which operations are left out.

    Attributes: ``apart`` whether the oracle does not follow any more; ``reached`` how often the states that matter
    were reached.
    """

    def __init__(
        self,
        lockstep: Driver,
        disagreed: Callable[[VerdictError], None] = _raise,
        avoids: Callable[[sm.Operation], bool] = _nothing,
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
        self._sketch = sm.Session.new(lockstep.rules)
        self._tag = 0
        self._key = 0

    # --- what there is ---

    @property
    def over(self) -> bool:
        """Whether the implementation is not asked for anything any more."""
        return self.apart and (self._onward is None or self._onward.over)

    @property
    def stack(self) -> sm.Stack:
        """The devices of the sketch."""
        return self._sketch.world.stack

    @property
    def world(self) -> sm.World:
        """The world of the sketch."""
        return self._sketch.world

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
        """The numbers of the snapshots that are not there."""
        return [i for i in range(len(self.layout.cows)) if snapshot_name(i) not in self.stack.devices]

    @property
    def taken(self) -> list[int]:
        """The numbers of the snapshots whose devices have a live table."""
        return [i for i in range(len(self.layout.cows)) if snapshot_name(i) in self.live]

    @property
    def pending_keys(self) -> list[int]:
        """The keys of operations that were started and not finished."""
        return sorted(self._sketch.tasks)

    # --- doing ---

    def size_of(self, device: str) -> int:
        """The length of the device's live table, in sectors."""
        return self.stack.size(device)

    def table_of(self, device: str) -> str:
        """What the device's live table was made from."""
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
        """Compares what is on the disks, and the stores as they are there."""
        self.do(sm.Read("base", sm.Sector(0), sm.Sectors(self.layout.size)))
        for i in range(len(self.layout.cows)):
            self.do(sm.Metadata(cow_name(i)))

    def do(self, operation: sm.Plain) -> None:
        """Does it if it makes sense; starts it if it would block."""
        try:
            self._do(operation)
        except sm.WouldBlock:
            self.start(operation)

    def _do(self, operation: sm.Operation) -> None:
        """Does it in the sketch, then in lockstep, where it is left out if it makes no sense.

        What is not within the implementation's capabilities, or avoided, is done in neither.

        Raises:
            WouldBlock: it would never end in the sketch; it has not been done.
        """
        self._finish_requests(operation)
        left_out = (self._avoids, self._would_cut, self._would_race, self._may_block, self._may_wait_for_errors)
        if not is_within(operation, self.can) or any(is_left_out(operation) for is_left_out in left_out):
            return
        try:
            outcome, sketch = sm.operate(self._sketch, operation)
        except sm.WouldBlock:
            raise
        except sm.OperationError:
            return
        if not may_be_refused(operation, outcome, self.can):
            return
        before, self._sketch = self.world, sketch
        if self.apart:
            self._go_on(operation, before)
            return
        try:
            self._in_lockstep(operation)
        except sm.NotModelled:
            raise
        except sm.OperationError:
            pass

    def _would_cut(self, operation: sm.Operation) -> bool:
        """Whether a resume lets in a discard that reaches beyond the end of the new table, or meets zeroes or errors.

        A user's discard becomes several bios, cut at the granularity of the disk, which the model does not know; it
        makes no difference unless some of them fit the table and others do not.  And kernels differ in which targets
        take discards (DEV-28).
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
        """Whether what comes of it is chance: how far a thread of the kernel, or of its user, has come.

        A resume with a new table that suspends its device takes the device's lock three times, and any request that
        waits may come in between.  A user who polls the status of a merge may or may not do so before its device is
        removed.
        """
        plain = sm.inner(operation)
        if not isinstance(plain, sm.Suspend | sm.Resume | sm.Remove):
            return False
        if isinstance(plain, sm.Remove) and any(
            isinstance(task.operation, sm.Settle) and task.operation.device == plain.device
            for task in self._sketch.tasks.values()
        ):
            return True
        requests = (r for r in self.stack.requests if r.device == plain.device)
        return any(isinstance(r, Resuming) and r.suspends and r.stage in _SUSPENDS for r in requests)

    def _finish_requests(self, operation: sm.Operation) -> None:
        """Waits for what was started and asked the same device before, unless it is blocked.

        In the sketch it has ended; the thread of a kernel that does it may not have run yet.
        """
        plain = sm.inner(operation)
        if not isinstance(plain, _REQUESTS):
            return
        for key, task in sorted(self._sketch.tasks.items()):
            if isinstance(task.operation, _REQUESTS) and task.operation.device == plain.device:
                outcome, _ = sm.operate(self._sketch, sm.Finish(key))
                if not isinstance(outcome, sm.Blocked):
                    self._do(sm.Finish(key))

    def _may_wait_for_errors(self, operation: sm.Operation) -> bool:
        """Whether it flushes while a device of errors is suspended, in which kernels differ (DEV-29)."""
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
        """Whether the implementation, which may be in another state than the sketch, may never end it."""
        return self.apart and self._onward is not None and self._onward.would_block(operation)

    def _go_on(self, operation: sm.Operation, before: sm.World) -> None:
        """Does it where the oracle does not follow; what has been reached is then as the sketch has it."""
        outcome = None if self._onward is None else self._onward.follow(operation)
        if outcome is not None:
            self.reached.update(reached(before, sm.Step(operation, outcome), self.world))

    def start(self, operation: sm.Plain) -> None:
        """Starts it under a new key, if not too much has been started."""
        if len(self.pending_keys) < 3:
            self._key += 1
            self._do(sm.Start(self._key, operation))

    def tags(self, count: int) -> int:
        """The first of ``count`` tags that nothing has yet."""
        self._tag += count
        return self._tag - count + 1
