"""Backing disks: slices of one block device, each with a linear mapping of its own.

The mapping is what lets a disk turn faulty underneath devices that are in use: its table is then reloaded to
lead through an nbd device of ours.  Mappings outlast a reset, as making one is expensive: a
disk of the same size takes over an idle one.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from snapmerge import SECTOR_BYTES, OperationError, counted
from snapmerge_adapters.kernel.blockio import Buffers, device_size, open_direct, zero
from snapmerge_adapters.kernel.faulty_disk import FaultyDisk, Storage
from snapmerge_adapters.kernel.gate import Gate
from snapmerge_adapters.kernel.libdm import Libdm, Target
from snapmerge_adapters.kernel.nbd import NbdDevice

__all__ = ["Backing", "Disks", "Slice", "backing_sectors"]

_SMALL: Final = 2048  # sectors; zeroed by a write, more by the kernel's own means


@dataclass(slots=True)
class Slice:
    """A part of the backing device.  ``start`` and ``size`` in sectors; ``number`` is the mapping's major:minor."""

    name: str
    number: str
    start: int
    size: int
    fd: int
    fault: tuple[FaultyDisk, NbdDevice] | None = None
    through_nbd: bool = field(default=False)


@dataclass(frozen=True, slots=True)
class Backing:
    """The block device under all disks, the nbd devices that may be used, and whether caches are volatile."""

    path: str
    sectors: int
    nbd: Sequence[str] = ()
    volatile: bool = False


class Disks:
    """All slices of a backing device.  ``prefix`` begins the mappings' names."""

    def __init__(self, libdm: Libdm, backing: Backing, prefix: str, buffers: Buffers) -> None:
        self._libdm: Final = libdm
        self._backing: Final = backing
        self._prefix: Final = prefix
        self._buffers: Final = buffers
        self._fd = open_direct(backing.path)
        self._number: Final = _number(self._fd)
        self._used: dict[str, Slice] = {}
        self._idle: list[Slice] = []
        self._made = 0
        self._nbd_unused: list[str] = list(backing.nbd)
        self.gate: Final = Gate()
        self._nbd_idle: list[NbdDevice] = []  # connected, each as large as the backing

    def get(self, name: str) -> Slice | None:
        """The disk of this name."""
        return self._used.get(name)

    def name_of(self, fault: FaultyDisk) -> str:
        """The name of the disk that has this fault injection."""
        return next(name for name, disk in self._used.items() if disk.fault and disk.fault[0] is fault)

    def names(self) -> dict[str, str]:
        """The disks' names by their major:minor."""
        return {disk.number: name for name, disk in self._used.items()}

    def create(self, name: str, size: int) -> Slice:
        """A disk of zeroes.  Raises OperationError when there is no room for it."""
        disk = self._take(size) or self._map(size)
        self._idle.append(disk)  # should it get no further
        self._zero(disk)
        if self._backing.volatile:
            self.faulty(disk)
        self._idle.remove(disk)
        self._used[name] = disk
        return disk

    def _take(self, size: int) -> Slice | None:
        for disk in self._idle:
            if disk.size == size and disk.fd >= 0:
                self._idle.remove(disk)
                return disk
        return None

    def _zero(self, disk: Slice) -> None:
        if disk.size <= _SMALL:
            self._buffers.write(self._fd, disk.start, bytes(disk.size * SECTOR_BYTES))
        else:
            zero(self._fd, disk.start, disk.size)

    def _map(self, size: int) -> Slice:
        start = self._gap(size)
        if start is None:
            self._drop_idle()
            start = self._gap(size)
        if start is None:
            raise OperationError(
                f"no room for a disk of {counted(size, 'sector')}: all disks share {self._backing.sectors}"
            )
        self._made += 1
        name = f"{self._prefix}.disk{self._made}"
        info = self._libdm.create(name)
        disk = Slice(name, f"{info.major}:{info.minor}", start, size, -1)
        self._idle.append(disk)  # known from now on, so that it is removed even if the next step fails
        self._load(disk, self._number, start)
        disk.fd = open_direct(f"/dev/dm-{info.minor}")
        self._idle.remove(disk)
        return disk

    def _gap(self, size: int) -> int | None:
        at = 0
        for disk in sorted([*self._used.values(), *self._idle], key=lambda disk: disk.start):
            if disk.start - at >= size:
                return at
            at = -(-(disk.start + disk.size) // 8) * 8  # a page each, as a discard counts in pages
        return at if self._backing.sectors - at >= size else None

    def _load(self, disk: Slice, number: str, start: int) -> None:
        self._libdm.load(disk.name, [Target(0, disk.size, "linear", f"{number} {start}")])
        self._libdm.resume(disk.name)

    def faulty(self, disk: Slice) -> FaultyDisk:
        """The disk's fault injection, through which its I/O goes from now on."""
        if disk.fault is None:
            disk.fault = self._connect(disk)
        if not disk.through_nbd:
            self._load(disk, _number_of(disk.fault[1].path), 0)
            disk.through_nbd = True
        return disk.fault[0]

    def _connect(self, disk: Slice) -> tuple[FaultyDisk, NbdDevice]:
        faulty = FaultyDisk(Storage(*self._storage(disk.start)), volatile=self._backing.volatile)
        if not self._nbd_idle and not self._nbd_unused:
            self._drop_idle(but=disk)
        if self._nbd_idle:
            device = self._nbd_idle.pop()
            device.disk = faulty
            return faulty, device
        if not self._nbd_unused:
            raise OperationError(f"no more than {counted(len(self._backing.nbd), 'disk')} can have faults at a time")
        device = NbdDevice(self._nbd_unused[-1], faulty, self._backing.sectors, self.gate)
        self._nbd_unused.pop()
        return faulty, device

    def _storage(self, start: int) -> tuple[Callable[[int, int], bytes], Callable[[int, bytes], None]]:
        def read(sector: int, count: int) -> bytes:
            return self._buffers.read(self._fd, start + sector, count)

        def write(sector: int, data: bytes) -> None:
            self._buffers.write(self._fd, start + sector, data)

        return read, write

    def heal(self, disk: Slice) -> None:
        """Removes the disk's faults, and its I/O bypasses nbd again."""
        if disk.fault is None:
            return
        disk.fault[0].heal()
        if disk.through_nbd and not self._backing.volatile:
            self._load(disk, self._number, disk.start)
            disk.through_nbd = False

    def power_off(self, seed: int) -> None:
        """Cuts the power of every disk in use; what each keeps of its cache is drawn from the seed."""
        for name, disk in self._used.items():
            if disk.fault:
                disk.fault[0].power_off(f"{seed} {name} {disk.size}")

    def power_on(self) -> None:
        """Gives every disk its power again."""
        for disk in self._used.values():
            if disk.fault:
                disk.fault[0].power_on()

    def forget(self) -> None:
        """Makes every disk idle: nothing may be mapped on them any more."""
        for disk in self._used.values():
            self.heal(disk)
            if disk.fault is not None:
                disk.fault[0].forget()
            self._idle.append(disk)
        self._used.clear()

    def _drop_idle(self, but: Slice | None = None) -> None:
        for disk in [disk for disk in self._idle if disk is not but]:
            if disk.fd >= 0:
                os.close(disk.fd)
                disk.fd = -1
            self._libdm.remove(disk.name)
            self._idle.remove(disk)
            if disk.fault is not None:
                self._nbd_idle.append(disk.fault[1])

    def close(self) -> None:
        """Removes every mapping.  Raises OSError when one is in use."""
        self.forget()
        self._drop_idle()
        while self._nbd_idle:
            self._nbd_idle.pop().close()
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def backing_sectors(path: str) -> int:
    """The size of the block device, in sectors."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return device_size(fd)
    finally:
        os.close(fd)


def _number(fd: int) -> str:
    device = os.fstat(fd).st_rdev
    return f"{os.major(device)}:{os.minor(device)}"


def _number_of(path: str) -> str:
    device = Path(path).stat().st_rdev
    return f"{os.major(device)}:{os.minor(device)}"
