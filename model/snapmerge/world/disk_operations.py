"""Operations that end at once and send the machine no request: on disks, and queries of devices and stores."""

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

__all__ = ["Raw", "Result", "change_disk", "disk_io", "disk_of", "locked", "metadata", "query"]


@dataclass(frozen=True, slots=True)
class Raw:
    """The sectors that a read has returned; some may still be ``Unknown``."""

    sectors: Sectors

    def seen(self) -> Data | None:
        """The read as an outcome; None while one of its sectors is unknown."""
        if any(isinstance(s, Unknown) for s in self.sectors):
            return None
        return Data(tuple(as_seen(s) for s in self.sectors if not isinstance(s, Unknown)))


Result = Outcome | Raw


def disk_of(world: World, name: str) -> Disk:
    """The disk called ``name``.  Raises OperationError if it does not exist."""
    disk = world.disks.get(name)
    if disk is None:
        raise OperationError(f"there is no disk {name}")
    return disk


def change_disk(world: World, operation: op.Disk | op.Fault | op.Heal) -> World:
    """The world after a disk was added, was given a fault, or lost all its faults (WORLD-8)."""
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


def locked(world: World, operation: op.Plain) -> bool:
    """Whether the answer to ``status`` has to wait for a target's lock (SNAP-20).  Source: ``snapshot_status``."""
    device = world.stack.devices.get(operation.device) if isinstance(operation, op.Status) else None
    if device is None:
        return False
    targets = (world.stack.targets[id] for id in device.live)
    return any(world.rules.by_class[type(target)].locked(target) for target in targets)


def query(world: World, operation: op.Status | op.Table | op.Events) -> Outcome:
    """The answer of ``status``, ``table`` or ``events``."""
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
    """A fault of the disk fails a read of the store."""


def metadata(world: World, name: str, seen: Outcome | None = None) -> Iterator[tuple[World, Outcome]]:
    """The stores that a disk may hold, each with the world in which it holds it; newest contents first (WORLD-7).

    Unknown sectors are decided only where the store's metadata lie.  ``seen``: the store that was observed, if any;
    stores that begin differently are left out.
    """
    open_worlds = [world]
    while open_worlds:
        candidate = open_worlds.pop()
        found, unknown = _store(disk_of(candidate, name))
        if unknown is None:
            yield candidate, found
        elif _may_become(found, seen):
            open_worlds += [bind(candidate, unknown, content) for content in reversed(unknown.candidates)]


def _may_become(found: Outcome, seen: Outcome | None) -> bool:
    """Whether a store, of which only a first part is known, can still equal the observed one."""
    if not isinstance(found, Records) or not isinstance(seen, Records) or found.kind != "store":
        return True
    return found == replace(seen, records=seen.records[: len(found.records)])


def _store(disk: Disk) -> tuple[Outcome, Unknown | None]:
    """The store on a disk, and the first unknown sector that it depends on; None if all of them are known."""
    undecided: list[Unknown] = []

    def read(sector: int, count: int) -> bytes:
        if disk.fails("read", sector, count):
            raise _Unreadable
        data = bytearray()
        for content in disk.read(sector, count):
            if isinstance(content, Unknown):
                if not ends(data):
                    undecided.append(content)
                break
            data += data_bytes((content,))
        return bytes(data)

    try:
        found: Outcome = read_store(read, disk.size)
    except _Unreadable:
        found = Failed("EIO")
    return found, undecided[0] if undecided else None


def disk_io(world: World, io: op.Write | op.Read | op.Discard | op.Flush) -> tuple[World, Result]:
    """Carries out I/O directly on a disk.  It ends at once, and the devices above see it (WORLD-11)."""
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
