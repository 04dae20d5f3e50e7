"""What operations do at once, without the machine: disks are made, broken, read and written; tables looked at."""

from collections.abc import Iterator
from typing import assert_never

from snapmerge.errors import OperationError
from snapmerge.format.metadata import read_store
from snapmerge.machine.core.status import status_line, table_line
from snapmerge.records import dataclass, replace
from snapmerge.trace import operations as op
from snapmerge.trace.outcomes import Count, Data, Done, Failed, Line, Outcome
from snapmerge.trace.payload import as_seen, data_bytes, tags_from
from snapmerge.world.disk import Disk, Sectors, Unknown
from snapmerge.world.moves import made_durable
from snapmerge.world.power import bind, likely
from snapmerge.world.state import World, add_disk

__all__ = ["Raw", "Result", "change_disk", "disk_io", "disk_of", "look", "metadata"]


@dataclass(frozen=True, slots=True)
class Raw:
    """What a read has given, with what nobody knows yet."""

    sectors: Sectors

    def seen(self) -> Data | None:
        """As an outcome; None while something in it is unknown."""
        if any(isinstance(s, Unknown) for s in self.sectors):
            return None
        return Data(tuple(as_seen(s) for s in self.sectors if not isinstance(s, Unknown)))


Result = Outcome | Raw


def disk_of(world: World, name: str) -> Disk:
    """The disk called ``name``; OperationError when there is none."""
    disk = world.disks.get(name)
    if disk is None:
        raise OperationError(f"there is no disk {name}")
    return disk


def change_disk(world: World, operation: op.Disk | op.Fault | op.Heal) -> World:
    """The world with the disk added, made to fail, or healed."""
    if isinstance(operation, op.Disk):
        return add_disk(world, operation.name, operation.size)
    disk = disk_of(world, operation.disk)
    if isinstance(operation, op.Fault):
        _check_inside(operation.disk, operation.sector, operation.count, disk.size)
        disk = replace(disk, faults=(*disk.faults, (operation.kind, operation.sector, operation.count)))
    else:
        disk = replace(disk, faults=())
    return replace(world, disks=world.disks.set(operation.disk, disk))


def _check_inside(name: str, sector: int, count: int, size: int) -> None:
    if sector + count > size:
        raise OperationError(f"sectors {sector} to {sector + count} are not inside {name}, which has {size}")


def look(world: World, operation: op.Status | op.Table | op.Events) -> Outcome:
    """What ``status``, ``table`` and ``events`` say of a device now."""
    device = world.stack.devices.get(operation.device)
    if device is None:
        return Failed("ENXIO")
    match operation:
        case op.Status(name):
            return Line(status_line(world.stack, world.rules, name))
        case op.Table(name):
            return Line(table_line(world.stack, world.rules, name))
        case op.Events():
            return Count(device.events)
        case _:
            assert_never(operation)


class _Unreadable(Exception):
    """A fault keeps a store from being read."""


class _Unsure(Exception):
    """A store depends on a sector of which nobody knows what it holds."""

    def __init__(self, unknown: Unknown) -> None:
        self.unknown = unknown


def metadata(world: World, name: str) -> Iterator[tuple[World, Outcome]]:
    """What the store on a disk can turn out to be, the newest first, each with the world in which it is that.

    Only what a store is read from is looked at; the rest of the disk stays as unknown as it was.
    """
    found = _store(disk_of(world, name))
    if not isinstance(found, Unknown):
        yield world, found
        return
    for content in found.candidates:
        yield from metadata(bind(world, found, content), name)


def _store(disk: Disk) -> Outcome | Unknown:
    """The store on a disk, or the first sector that it depends on and that nobody knows."""

    def read(sector: int, count: int) -> bytes:
        if disk.fails("read", sector, count):
            raise _Unreadable
        sectors = disk.read(sector, count)
        for content in sectors:
            if isinstance(content, Unknown):
                raise _Unsure(content)
        return data_bytes(likely(sectors))

    try:
        return read_store(read, disk.size)
    except _Unreadable:
        return Failed("EIO")
    except _Unsure as unsure:
        return unsure.unknown


def disk_io(world: World, io: op.Write | op.Read | op.Discard | op.Flush) -> tuple[World, Result]:
    """I/O on a disk, around every mapping: at once."""
    disk = world.disks[io.where]
    result: Result = Done()
    if isinstance(io, op.Flush):
        if disk.fails("flush", 0, 0):
            return world, Failed("EIO")
        return made_durable(world, io.where, disk.cached), result
    _check_inside(io.where, io.sector, io.count, disk.size)
    failed = disk.fails("read" if isinstance(io, op.Read) else "write", io.sector, io.count)
    match io:
        case op.Read(_, sector, count):
            result = Raw(disk.read(sector, count))
        case op.Write(_, sector, count, tag):
            disk = disk.write(sector, tags_from(tag, count))
        case op.Discard(_, sector, count):
            disk = disk.write(sector, (0,) * count)
    return replace(world, disks=world.disks.set(io.where, disk)), Failed("EIO") if failed else result
