"""Does operations on mapped devices, one at a time.

Several operators may share one ``Place``: each has its own view of the kernel's log and its own open devices, so
that one which is stuck holds up no other.
"""

import errno
import itertools
import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from snapmerge import (
    Clear,
    Count,
    Create,
    Data,
    Died,
    Discard,
    Done,
    Events,
    Failed,
    Flush,
    Line,
    Load,
    Message,
    Metadata,
    OperationError,
    Outcome,
    Plain,
    Read,
    Remove,
    Resume,
    Settle,
    Status,
    Suspend,
    Table,
    Write,
    as_seen,
    contents,
    counted,
    data_bytes,
    operation_word,
    read_store,
    tags_from,
)
from snapmerge_adapters.kernel.blockio import Buffers, device_size, discard, open_direct
from snapmerge_adapters.kernel.disks import Disks
from snapmerge_adapters.kernel.kmsg import KernelLog, explanation
from snapmerge_adapters.kernel.libdm import DmError, Info, Libdm, Target, errno_name
from snapmerge_adapters.kernel.stillness import Stillness, stuck_tasks
from snapmerge_adapters.kernel.table_text import parse_table, print_targets

__all__ = ["Operator", "Place"]

_CALM, _CALM_MAX, _CALM_SECONDS = 3, 200, 0.01
_NAP: Final = 0.005  # seconds between the polls of a merge that may take as long as it likes
_SPINS: Final = 64  # polls of a merge that only yield the processor, before any that sleeps


@dataclass(slots=True)
class Place:
    """What all operators share.  ``numbers`` are the mapped devices' major:minor by name.

    ``settle_seconds``: how long a merge may show the same status; when the kernel is ``alone`` (see DeviceMapper) only
    as long as the kernel has anything to do.
    """

    libdm: Libdm
    disks: Disks
    buffers: Buffers
    prefix: str
    settle_seconds: float
    alone: bool = False
    numbers: dict[str, str] = field(default_factory=dict)

    def number_of(self, word: str) -> str:
        """What the kernel opens for a name in a table; for an unknown one a path that does not exist."""
        disk = self.disks.get(word)
        return disk.number if disk else self.numbers.get(word, f"/dev/mapper/{self.prefix}{word}")

    def name_of(self, number: str) -> str | None:
        """The name of a device or disk by its "major:minor", or by its "dm-minor"."""
        names = {**self.disks.names(), **{number: name for name, number in list(self.numbers.items())}}
        if number.startswith("dm-"):
            names = {f"dm-{known.partition(':')[2]}": name for known, name in names.items()}
        return names.get(number)


class Operator:
    """Does every operation but those about the whole place: disk, fault, heal, crash, reset, start, finish.

    What was ``started`` may wait for as long as it likes: another operation can still make it end.
    """

    def __init__(self, place: Place, *, started: bool = False) -> None:
        self._place: Final = place
        self._started: Final = started
        self._libdm: Final = place.libdm
        self._log: Final = KernelLog()
        self._open: dict[str, tuple[int, int]] = {}  # name -> descriptor, sectors
        self._number: str | None = None  # of the device in hand

    def do(self, operation: Plain) -> Outcome:
        """The outcome.  Raises OperationError."""
        if isinstance(operation, Read | Write | Flush | Discard | Metadata):
            return self._io(operation)
        if isinstance(operation, Status | Table | Events | Settle):
            return self._ask(operation)
        if self._place.disks.get(device := getattr(operation, "device", "")):
            raise OperationError(f"{device} is a disk, and {operation_word(operation)} takes a device")
        return self._control(operation)

    # --- tables ------------------------------------------------------------------------------------------------

    def _control(self, operation: Plain) -> Outcome:
        self._log.forget()
        self._number = self._place.numbers.get(getattr(operation, "device", ""))
        try:
            self._ioctl(operation)
        except DmError as error:
            name = errno_name(error.errno)
            return Failed(name, explanation(self._log.lines(), self._place.name_of, self._number, name))
        return Done()

    def _ioctl(self, operation: Plain) -> None:
        match operation:
            case Create(device, table):
                self._create(device, None if table is None else self._targets(table))
            case Load(device, table):
                self._libdm.load(self._full(device), self._targets(table))
            case Clear(device):
                self._libdm.clear(self._full(device))
            case Resume(device):
                self._libdm.resume(self._full(device))
                self.close_devices()  # their sizes may have changed
            case Suspend(device, noflush):
                self._libdm.suspend(self._full(device), noflush=noflush)
            case Remove(device):
                self._remove(device)
            case Message(device, text):
                self._libdm.message(self._full(device), text)
            case _:
                raise OperationError(f"{operation_word(operation)} is not possible here")

    def _full(self, device: str) -> str:
        return self._place.prefix + device

    def _targets(self, table: str) -> tuple[Target, ...]:
        return parse_table(table, self._place.number_of)

    def _create(self, device: str, targets: tuple[Target, ...] | None) -> None:
        name = self._full(device)
        info = self._libdm.create(name)
        self._number = self._place.numbers[device] = f"{info.major}:{info.minor}"
        if targets is None:
            return
        try:
            self._libdm.load(name, targets)
            self._libdm.resume(name)
        except DmError:
            self._remove(device)
            raise

    def _remove(self, device: str) -> None:
        self.close_device(device)
        number = self._place.numbers.get(device)
        self._libdm.remove(self._full(device))
        if self._place.numbers.get(device) == number:  # while it waited, a new device may have got the name
            self._place.numbers.pop(device, None)

    # --- questions ---------------------------------------------------------------------------------------------

    def _ask(self, operation: Status | Table | Events | Settle) -> Outcome:
        if self._place.disks.get(operation.device):
            raise OperationError(f"{operation.device} is a disk, and {operation_word(operation)} takes a device")
        try:
            return self._answer(operation, self._full(operation.device))
        except DmError as error:
            return Failed(errno_name(error.errno))

    def _answer(self, operation: Status | Table | Events | Settle, name: str) -> Outcome:
        match operation:
            case Status():
                return self._line(self._libdm.status(name))
            case Table():
                return self._line(self._libdm.table(name))
            case Events():
                return Count(self._libdm.info(name).event_nr)
            case Settle():
                return self._settle(name)

    def _line(self, answer: tuple[Info, tuple[Target, ...]]) -> Line:
        return Line(print_targets(answer[1], self._place.name_of))

    def _settle(self, name: str) -> Outcome:
        # No event is raised when a merge ends: only its status tells.
        still = Stillness()
        changed, before = time.monotonic(), ""
        for poll in itertools.count():
            info, targets = self._libdm.status(name)
            if not any(map(_merging, targets)):
                self._calm(targets)
                return Done()
            if (now := print_targets(targets, self._place.name_of)) != before:
                changed, before = time.monotonic(), now
            if poll < _SPINS:
                time.sleep(0)
            elif self._started:
                time.sleep(_NAP)
            elif info.suspended:
                raise OperationError(
                    f"{self._device(name)} is suspended: its merge would never end; begin it with start"
                )
            elif not self._place.alone:
                time.sleep(0.001)
            elif still.reached(now):
                return self._hung(name, now, "and the kernel has nothing left to do")
            if not self._started and time.monotonic() - changed > self._place.settle_seconds:
                break
        return self._hung(name, before, f"and has not changed for {self._place.settle_seconds:g} s")

    def settled(self, operation: Settle) -> Outcome | None:
        """What ``settle`` would end with now; None: the device's merge has not ended."""
        try:
            _, targets = self._libdm.status(self._full(operation.device))
        except DmError as error:
            return Failed(errno_name(error.errno))
        return None if any(map(_merging, targets)) else Done()

    def _device(self, name: str) -> str:
        return name.removeprefix(self._place.prefix)

    def _hung(self, name: str, status: str, why: str) -> Died:
        return Died(
            f'hang: the merge has not ended: the status of {self._device(name)} is "{status}" {why}\n{stuck_tasks()}'
        )

    def _calm(self, targets: tuple[Target, ...]) -> None:
        """Waits until the disks are at rest when a merge has failed: its status remains, even after a restart."""
        if not any(target.arguments == "Merge failed" for target in targets):
            return
        before, calm = "", 0
        for _ in range(_CALM_MAX):
            now = "".join(Path(f"/sys/dev/block/{number}/stat").read_text() for number in self._place.disks.names())
            calm = calm + 1 if now == before else 0
            if calm == _CALM:
                return
            before = now
            time.sleep(_CALM_SECONDS)

    # --- data --------------------------------------------------------------------------------------------------

    def _io(self, operation: Read | Write | Flush | Discard | Metadata) -> Outcome:
        where = operation.disk if isinstance(operation, Metadata) else operation.where
        fd, size = self._descriptor(where)
        if isinstance(operation, Read | Write | Discard) and operation.sector + operation.count > size:
            raise OperationError(
                f"{where} ends at sector {size}: {operation_word(operation)} of {counted(operation.count, 'sector')} "
                f"at {operation.sector} is out of range"
            )
        try:
            return self._transfer(operation, fd, size)
        except OSError as error:
            return Failed(errno_name(error.errno))

    def _transfer(self, operation: Read | Write | Flush | Discard | Metadata, fd: int, size: int) -> Outcome:
        buffers = self._place.buffers
        match operation:
            case Read(_, sector, count):
                return Data(tuple(map(as_seen, contents(buffers.read(fd, sector, count)))))
            case Write(_, sector, count, tag):
                buffers.write(fd, sector, data_bytes(tags_from(tag, count)))
            case Flush():
                os.fsync(fd)
            case Discard(_, sector, count):
                discard(fd, sector, count)
            case Metadata():
                return read_store(lambda sector, count: buffers.read(fd, sector, count), size)
        return Done()

    def _descriptor(self, where: str) -> tuple[int, int]:
        disk = self._place.disks.get(where)
        if disk is not None:
            return disk.fd, disk.size
        if where not in self._place.numbers:
            raise OperationError(f"there is no device or disk {where}")
        if where not in self._open:
            self._open[where] = self._open_device(where)
        return self._open[where]

    def _open_device(self, where: str) -> tuple[int, int]:
        # The kernel's own node: libdevmapper makes one only when a resume has succeeded.
        minor = self._place.numbers[where].partition(":")[2]
        try:
            fd = open_direct(f"/dev/dm-{minor}")
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
                raise OperationError(f"{where} has no live table") from None
            raise
        return fd, device_size(fd)

    def close_device(self, device: str) -> None:
        """Closes the device, so that it can be removed."""
        if device in self._open:
            os.close(self._open.pop(device)[0])

    def close_devices(self) -> None:
        """Closes all devices."""
        for device in list(self._open):
            self.close_device(device)

    def close(self) -> None:
        """Closes all devices and the log."""
        self.close_devices()
        self._log.close()


def _merging(target: Target) -> bool:
    """Whether a status line shows a merge that has not ended: more sectors are allocated than the metadata takes."""
    if target.kind != "snapshot-merge" or "/" not in target.arguments:
        return False
    allocated, _, rest = target.arguments.partition("/")
    return allocated != rest.partition(" ")[2]
