"""What operations do at once, without the machine: disks are made, broken, read and written; tables looked at."""

from collections.abc import Iterator
from typing import assert_never

from snapmerge.errors import OperationError
from snapmerge.format.codec import ends
from snapmerge.format.metadata import read_store
from snapmerge.machine.core.status import status_line, table_line
from snapmerge.records import dataclass, replace
from snapmerge.trace import operations as op
from snapmerge.trace.outcomes import Count, Data, Done, Failed, Line, Outcome, Records
from snapmerge.trace.payload import as_seen, data_bytes, tags_from
from snapmerge.world.disk import Disk, Sectors, Unknown
from snapmerge.world.moves import made_durable
from snapmerge.world.power import bind
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


def metadata(world: World, name: str, seen: Outcome | None = None) -> Iterator[tuple[World, Outcome]]:
    """What the store on a disk can turn out to be, the newest first, each with the world in which it is that.

    Only what a store is read from is looked at; the rest of the disk stays as unknown as it was.  ``seen``: what
    begins otherwise is left out.
    """
    left = [world]
    while left:
        here = left.pop()
        found, unknown = _store(disk_of(here, name))
        if unknown is None:
            yield here, found
        elif _begins(found, seen):
            left += [bind(here, unknown, content) for content in reversed(unknown.candidates)]


def _begins(found: Outcome, seen: Outcome | None) -> bool:
    """Whether a store that is known up to here may still turn out to be the one that was seen."""
    if not isinstance(found, Records) or not isinstance(seen, Records) or found.kind != "store":
        return True
    return found == replace(seen, records=seen.records[: len(found.records)])


def _store(disk: Disk) -> tuple[Outcome, Unknown | None]:
    """The store on a disk, up to the first sector that it depends on and that nobody knows, with that sector."""
    unsure: list[Unknown] = []

    def read(sector: int, count: int) -> bytes:
        if disk.fails("read", sector, count):
            raise _Unreadable
        data = bytearray()
        for content in disk.read(sector, count):
            if isinstance(content, Unknown):
                if not ends(data):
                    unsure.append(content)
                break
            data += data_bytes((content,))
        return bytes(data)

    try:
        found: Outcome = read_store(read, disk.size)
    except _Unreadable:
        found = Failed("EIO")
    return found, unsure[0] if unsure else None


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
