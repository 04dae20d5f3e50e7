"""The ``devicemapper`` adapter: drives the device-mapper of the kernel that this process runs on."""

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from snapmerge import (
    SECTOR_BYTES,
    Blocked,
    Capabilities,
    Control,
    Crash,
    Died,
    Disk,
    Done,
    Fault,
    Finish,
    Heal,
    Operation,
    OperationError,
    Outcome,
    Plain,
    Requests,
    Reset,
    Settle,
    Start,
    check_held,
    operation_word,
    print_control,
    print_operation,
    shortened,
)
from snapmerge_adapters.cleanup import close_at_exit
from snapmerge_adapters.kernel.abilities import capabilities_of
from snapmerge_adapters.kernel.blockio import Buffers, block_size, is_free
from snapmerge_adapters.kernel.controller import Controller
from snapmerge_adapters.kernel.disks import Backing, Disks, backing_sectors
from snapmerge_adapters.kernel.guard import Guard
from snapmerge_adapters.kernel.jobs import Job, Poll, Worker
from snapmerge_adapters.kernel.kmsg import KernelLog, trouble
from snapmerge_adapters.kernel.libdm import DmError, Libdm, Target, errno_name
from snapmerge_adapters.kernel.operator import Operator, Place
from snapmerge_adapters.kernel.stillness import Stillness, stuck_tasks
from snapmerge_adapters.unavailable import Unavailable

__all__ = ["DeviceMapper"]

_RESET_SECONDS: Final = 10.0
_NAPS: Final = 10


class DeviceMapper:
    """Implements ``snapmerge.Implementation`` on this machine's kernel; wants root.

    Disks are slices of ``backing``, an unused block device; its contents are lost.  ``nbd`` are nbd
    devices that may be used for faults.  With ``volatile`` every disk has a volatile write cache, which is what makes
    ``crash`` possible, and slow; what a crash keeps is then drawn from ``seed`` and from what the caches hold, so that
    a trace that is replayed meets the same power cuts.  An operation that has not ended
    after ``hang`` seconds is the implementation's death; ``finish`` waits ``patience`` seconds before it says Blocked.
    ``alone`` says that this kernel has one processor, disks in its memory and nothing else to do: an operation is
    then dead as soon as the kernel has nothing left to do for it.  ``apply`` does not return from such a one: ``alone``
    is called with the outcome, from another thread.  Only devices whose names begin with ``prefix`` are ever touched.

    Raises:
        Unavailable: no device-mapper, no libdevmapper, or the backing device is missing or in use.
    """

    def __init__(
        self,
        backing: str,
        *,
        nbd: Sequence[str] = (),
        volatile: bool = False,
        prefix: str | None = None,
        hang: float = 20.0,
        alone: Callable[[Died], None] | None = None,
        patience: float = 0.1,
        seed: int = 0,
    ) -> None:
        _check(backing)
        libdm = Libdm()
        versions = _versions(libdm)
        prefix = prefix or f"snapmerge-{os.getpid()}-"
        self._volatile = volatile
        under = Backing(backing, backing_sectors(backing), tuple(nbd), volatile)
        buffers = Buffers()
        disks = Disks(libdm, under, prefix, buffers)
        self._place: Final = Place(libdm, disks, buffers, prefix, hang, alone is not None)
        self._operator: Final = Operator(self._place)
        self._started: dict[int, tuple[Plain, Operator, Job[Outcome] | Poll[Outcome]]] = {}
        self._hang, self._patience = hang, patience
        self._bound = Worker() if alone is None else Guard(lambda operation: alone(_hang_of(operation)), hang)
        self._watch = KernelLog()
        self._seed = seed
        self._died: Died | None = None
        self._closed = False
        controlled = alone is not None and volatile
        self._controller: Final = Controller(disks, possible=controlled, patience=hang)
        self._capabilities = capabilities_of(under, versions, controlled=controlled)
        self._watch.forget()
        close_at_exit(self)

    @property
    def capabilities(self) -> Capabilities:
        """What this kernel can do."""
        return self._capabilities

    def apply(self, operation: Operation) -> Outcome:
        """Does the operation; its outcome.  Raises OperationError."""
        if self._died is not None or self._closed:
            return self._died or Died("closed")
        if operation_word(operation) not in self._capabilities.operations:
            raise OperationError(f"{operation_word(operation)} is not possible here")
        outcome = self._within_bounds(operation)
        if isinstance(outcome, Died):
            self._died = outcome
        return outcome

    def _within_bounds(self, operation: Operation) -> Outcome:
        if isinstance(self._bound, Guard):
            with self._bound.watching(operation):
                outcome = self._do(operation)
        else:
            job = self._bound.submit(lambda: self._do(operation))
            if not job.ended(self._hang):
                return _hang_of(operation)
            outcome = job.result()
        bad = trouble(self._watch.lines())
        return Died(f"{shortened(print_operation(operation))}: {bad}") if bad else outcome

    def _do(self, operation: Operation) -> Outcome:
        if self._controller.held:
            check_held(operation, self._place.disks.names().values())
        match operation:
            case Start(key, inner):
                return self._start(key, inner)
            case Finish(key):
                return self._finish(key)
            case Disk() | Fault() | Heal():
                return self._about_disk(operation)
            case Reset():
                return self._reset()
            case Crash() if not self._volatile:
                raise OperationError("these disks have no cache that a power cut could take; make them volatile")
            case Crash():
                return self._crash()
            case _:
                return self._operator.do(operation)

    # --- disks -------------------------------------------------------------------------------------------------

    def _about_disk(self, operation: Disk | Fault | Heal) -> Outcome:
        disks = self._place.disks
        if isinstance(operation, Disk):
            if disks.get(operation.name) or operation.name in self._place.numbers:
                raise OperationError(f"there is a {operation.name} already")
            disks.create(operation.name, operation.size)
            return Done()
        disk = disks.get(operation.disk)
        if disk is None:
            raise OperationError(f"there is no disk {operation.disk}")
        if isinstance(operation, Fault):
            if operation.sector + operation.count > disk.size:
                raise OperationError(f"{operation.disk} ends at sector {disk.size}")
            disks.faulty(disk).fault(operation.kind, operation.sector, operation.count)
        else:
            disks.heal(disk)
        return Done()

    # --- disks under control -----------------------------------------------------------------------------------

    def control(self, control: Control) -> Requests | Died:
        """Tells the disks.  Raises OperationError."""
        if self._died is not None or self._closed:
            return self._died or Died("closed")
        try:
            self._controller.tell(control, started=bool(self._started))
            self._quiet()
        except TimeoutError as error:
            self._died = Died(f"hang: {error}\n{stuck_tasks()}")
            return self._died
        if bad := trouble(self._watch.lines()):
            self._died = Died(f"{print_control(control)}: {bad}")
            return self._died
        ended = sorted(key for key, (_, _, job) in self._started.items() if job.ended(0))
        return Requests(self._controller.requests(), tuple(ended))

    def _quiet(self) -> None:
        self._controller.wait(job.begin for _, _, job in self._started.values() if isinstance(job, Poll))

    # --- what may block ----------------------------------------------------------------------------------------

    def _start(self, key: int, operation: Plain) -> Outcome:
        if key in self._started:
            raise OperationError(f"{key} is under way: {shortened(print_operation(self._started[key][0]))}")
        if isinstance(operation, Disk | Fault | Heal | Reset | Crash):
            raise OperationError(f"{operation_word(operation)} never blocks: do it without start")
        self._operator.close_devices()  # an operation under way keeps its device open, so that a remove is refused
        operator = Operator(self._place, started=True)
        if self._controller.held:
            return self._start_controlled(key, operator, operation)
        job = Job(lambda: operator.do(operation)).start()
        if job.ended_or_waits() and isinstance(error := job.error(), OperationError):
            operator.close()
            raise error  # the operation is invalid, and has not begun
        self._started[key] = (operation, operator, job)
        return Done()

    def _start_controlled(self, key: int, operator: Operator, operation: Plain) -> Outcome:
        if isinstance(operation, Settle):
            self._started[key] = (operation, operator, Poll(lambda: operator.settled(operation)))
            return Done()
        job = Job(lambda: operator.do(operation)).start()
        self._started[key] = (operation, operator, job)
        self._quiet()
        if isinstance(error := job.error(), OperationError):
            del self._started[key]
            operator.close()
            raise error
        return Done()

    def _finish(self, key: int) -> Outcome:
        if key not in self._started:
            raise OperationError(f"nothing was started under {key}")
        _, operator, job = self._started[key]
        # In several naps: whatever could end it gets its turn in each, even on a machine that was away for a while.
        if self._controller.held:
            if not job.ended(0):
                self._quiet()
            if not job.ended(0):
                return Blocked()
        elif not any(job.ended(self._patience / _NAPS) for _ in range(_NAPS)):
            return Blocked()
        del self._started[key]
        operator.close()  # its operator has had the device open until now
        self._operator.close_devices()  # a table may have changed under them
        return job.result()

    # --- the end of everything ---------------------------------------------------------------------------------

    def _crash(self) -> Outcome:
        self._place.disks.power_off(self._seed)
        self._controller.release()
        outcome = self._remove_devices()
        self._place.disks.power_on()
        return outcome

    def _reset(self) -> Outcome:
        self._controller.release()
        outcome = self._remove_devices()
        if isinstance(outcome, Done):
            self._place.disks.forget()
        return outcome

    def _remove_devices(self) -> Outcome:
        self._operator.close_devices()
        deadline = time.monotonic() + _RESET_SECONDS
        still = Stillness()
        while not self._unblock():
            if time.monotonic() > deadline or (self._place.alone and still.reached(len(self._started))):
                stuck = [shortened(print_operation(operation)) for operation, _, _ in self._started.values()]
                return Died(f"hang: started operations do not end: {', '.join(stuck)}\n{stuck_tasks()}")
        while self._remove_some():
            pass
        for device in list(self._place.numbers):  # what is left stands on itself, in a circle
            self._turn_into_error(device)
        while self._remove_some():
            pass
        if self._place.numbers:
            return Died(f"devices can't be removed: {', '.join(self._place.numbers)}")
        return Done()

    def _unblock(self) -> bool:
        """Replaces the tables of suspended devices by errors, so that what waits for them ends; whether it has."""
        for device in list(self._place.numbers):  # a create that waited may fail meanwhile, and take its device away
            with contextlib.suppress(DmError):
                if self._place.libdm.info(self._place.prefix + device).suspended:
                    self._turn_into_error(device)
        for key, (_, operator, job) in list(self._started.items()):
            if isinstance(job, Poll) or job.ended(0.02):  # a question that nobody asks any more does not hold up
                operator.close()
                del self._started[key]
        return not self._started

    def _turn_into_error(self, device: str) -> None:
        name = self._place.prefix + device
        with contextlib.suppress(DmError):
            self._place.libdm.load(name, [Target(0, 8, "error", "")])
            self._place.libdm.resume(name)

    def _remove_some(self) -> int:
        """Removes devices from the newest to the oldest; a device that another one uses is left to the next pass."""
        removed = 0
        for device in reversed(list(self._place.numbers)):
            with contextlib.suppress(DmError):
                self._place.libdm.remove(self._place.prefix + device)
                del self._place.numbers[device]
                removed += 1
        return removed

    def close(self) -> None:
        """Removes every device and disk."""
        if self._closed:
            return
        self._closed = True
        outcome = self._ending(self._reset)
        if isinstance(outcome, Done):
            with contextlib.suppress(OSError):
                self._place.disks.close()
        self._operator.close()
        self._bound.close()
        self._watch.close()
        self._controller.close()

    def _ending(self, call: Callable[[], Outcome]) -> Outcome:
        """Bounds the time that ``close`` takes: with a broken kernel it may hang."""
        job = Job(call).start()
        return job.result() if job.ended(self._hang) else Died("hang: reset")


def _hang_of(operation: Operation) -> Died:
    return Died(f"hang: {shortened(print_operation(operation))} has not ended\n{stuck_tasks()}")


def _check(backing: str) -> None:
    if os.geteuid() != 0:
        raise Unavailable("the host's device-mapper is for root only; a guest kernel needs no root")
    try:
        if not Path(backing).is_block_device():
            raise Unavailable(f"{backing} can't be used: it is no block device")
        if not is_free(backing):
            raise Unavailable(f"{backing} is in use")
        if (size := block_size(backing)) != SECTOR_BYTES:
            raise Unavailable(f"{backing} has blocks of {size} bytes; others than {SECTOR_BYTES} are not modelled")
    except OSError as error:
        raise Unavailable(f"{backing} can't be used: {error.strerror}") from None


def _versions(libdm: Libdm) -> dict[str, str]:
    try:
        for target in ("snapshot", "zero"):
            libdm.ensure(target)
        return libdm.versions()
    except DmError as error:
        raise Unavailable(f"this kernel has no device-mapper that answers: {errno_name(error.errno)}") from None
