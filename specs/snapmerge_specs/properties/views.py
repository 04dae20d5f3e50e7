"""The view of a device, which its users see, and the abstract volumes that it refines.

``view`` computes the contents of a device from the tables and the disks.  ``Volumes`` is the abstract machine: every
device is an array of sectors, a snapshot begins as a copy of its origin, and a merge gives its device the contents of
the snapshot.  Refinement: after every step each sector of every view has a content that the volumes allow.
"""

from collections.abc import Callable, Iterator

from immutables import Map

import snapmerge as sm
from snapmerge import Content, World
from snapmerge.format.exceptions import Exceptions, lookup
from snapmerge.machine.core.state import Target
from snapmerge.machine.linear import LinearTarget
from snapmerge.machine.snapshot.state import OriginTarget, SnapshotTarget
from snapmerge.records import replace
from snapmerge_specs.generations.generation import generation_of
from snapmerge_specs.generations.volumes import Volume, Volumes

__all__ = [
    "Readable",
    "activated",
    "begun",
    "below",
    "ended",
    "lies_on",
    "misread",
    "readable",
    "reader",
    "seen",
    "snapshots_of",
    "view",
    "views_wrong",
]

Below = Callable[[Target, int], tuple[str, int] | None]


def view(world: World, name: str) -> tuple[Content | sm.Unknown, ...] | None:
    """The contents that a read of the whole device would return now; None: it can't be read (no table, invalid)."""
    lower_of = generation_of(world.rules).below
    sectors = tuple(_read(world, name, sector, lower_of) for sector in range(world.stack.size(name)))
    return None if not sectors or any(s is None for s in sectors) else tuple(s for s in sectors if s is not None)


def _read(world: World, name: str, sector: int, lower_of: Below) -> Content | sm.Unknown | None:
    place = _place(world, name, sector, lower_of)
    return None if place is None else world.disks[place[0]].sector(place[1])


def _place(world: World, name: str, sector: int, lower_of: Below) -> tuple[str, int] | None:
    """The disk that holds a device's sector, and the sector of that disk."""
    if name in world.disks:
        return name, sector
    for id in world.stack.devices[name].live:
        target = world.stack.targets[id]
        if target.line.start <= sector < target.line.start + target.line.length:
            lower = lower_of(target, sector)
            return None if lower is None else _place(world, *lower, lower_of)
    return None


def below(target: Target, sector: int) -> tuple[str, int] | None:
    """For the targets of Linux: the device or disk that holds a sector of a target, and which sector of it that is."""
    match target:
        case LinearTarget(lower=lower, offset=offset, line=line):
            return lower, sector - line.start + offset
        case OriginTarget(lower=lower):
            return lower, sector
        case SnapshotTarget(valid=False):
            return None if target.merge is None else (target.origin, sector)
        case SnapshotTarget(origin=origin, cow=cow, completed=completed, store=store):
            new = _exception(completed, sector, store.chunk_size)
            return (origin, sector) if new is None else (cow, new * store.chunk_size + sector % store.chunk_size)
        case _:
            return None


def _exception(completed: Exceptions, sector: int, chunk_size: int) -> int | None:
    return lookup(completed, sector // chunk_size) if chunk_size else None


def begun(volumes: Volumes, operation: sm.Plain) -> Volumes:
    """The volumes while an operation is under way: the effect of a write may show, or not."""
    match operation:
        case sm.Write(where, sector, count, tag) if where in volumes:
            return volumes.set(where, volumes[where].written(sector, range(tag, tag + count), over=False))
        case sm.Crash():
            return _powered_off(volumes)
        case sm.Flush(where) if where in volumes:
            return volumes.set(where, volumes[where].flush_sent())
        case _:
            return volumes


def ended(volumes: Volumes, operation: sm.Plain, world: World) -> Volumes:
    """The volumes after an operation has succeeded."""
    match operation:
        case sm.Write(where, sector, count, tag) if where in volumes:
            return volumes.set(where, volumes[where].written(sector, range(tag, tag + count), over=True))
        case sm.Flush(where) if where in volumes:
            return volumes.set(where, _flushed(volumes[where], where, world))
        case sm.Remove(device) if device in volumes:
            return volumes.delete(device)
        case sm.Create(device) | sm.Resume(device) if device in world.stack.devices and world.stack.size(device):
            return generation_of(world.rules).activated(volumes, device, world)
        case _:
            return volumes


def _flushed(volume: Volume, name: str, world: World) -> Volume:
    """The volume after a flush of its device; that of a snapshot does not flush chunks on the origin (SNAP-4)."""
    after = volume.flushed()
    targets = [world.stack.targets[id] for id in world.stack.devices[name].live]
    snap = next((t for t in targets if isinstance(t, SnapshotTarget) and t.merge is None), None)
    if snap is None:
        return after
    in_cow = [_exception(snap.completed, at, snap.store.chunk_size) is not None for at in range(len(after.now))]
    durable = (new if moved else old for moved, new, old in zip(in_cow, after.durable, volume.durable, strict=True))
    return replace(after, durable=tuple(durable))


def _powered_off(volumes: Volumes) -> Volumes:
    """The volumes after a power cut: each may hold what was durable."""
    return Map({name: replace(volume, now=volume.durable, flushing=None) for name, volume in volumes.items()})


def activated(volumes: Volumes, device: str, world: World) -> Volumes:
    """For the targets of Linux: the volumes after a device has got a new live table.

    A merge takes over the volume of its snapshot, a new snapshot begins with that of the origin, and any other new
    device with the contents below it.
    """
    targets = [world.stack.targets[id] for id in world.stack.devices[device].live]
    for target in targets:
        source = next(iter(_sources(target, world, volumes)), None)
        if isinstance(target, SnapshotTarget) and target.merge is not None and source is not None:
            return volumes.delete(source).set(device, volumes[source])
    if device in volumes:
        return volumes
    origin = next((volumes[name] for name in sorted(volumes) if _is_origin(world, name)), None)
    if origin is not None and _fresh(world, device):
        return volumes.set(device, origin)
    return seen(volumes, device, world)


def seen(volumes: Volumes, device: str, world: World) -> Volumes:
    """Adds the volume of a device with the contents below it, of which a power cut may leave what was not flushed."""
    now, durable, lower_of = [], [], generation_of(world.rules).below
    for sector in range(world.stack.size(device)):
        place = _place(world, device, sector, lower_of)
        if place is None:
            return volumes
        disk = world.disks[place[0]]
        now.append(frozenset(sm.newest_contents((disk.sector(place[1]),))))
        durable.append(frozenset(sm.newest_contents(disk.candidates(place[1]))))
    return volumes.set(device, Volume(tuple(now), tuple(durable)))


def reader(disk: sm.DiskState) -> Callable[[int, int], bytes]:
    """A function that reads the disk's bytes, for ``read_store``; an unknown sector has its newest candidate."""

    def read(sector: int, count: int) -> bytes:
        return sm.data_bytes(sm.newest_contents(disk.read(sector, count)))

    return read


def snapshots_of(world: World, name: str) -> Iterator[SnapshotTarget]:
    """The snapshots in a device's live table."""
    device = world.stack.devices.get(name)
    targets = (world.stack.targets[id] for id in (device.live if device else ()))
    return (target for target in targets if isinstance(target, SnapshotTarget))


def lies_on(world: World, name: str, below: str) -> bool:
    """Whether a device is ``below`` itself, or maps to it by ``linear`` or ``snapshot-origin`` targets only."""
    if name == below:
        return True
    device = world.stack.devices.get(name)
    targets = [world.stack.targets[id] for id in (device.live if device else ())]
    return any(lies_on(world, t.lower, below) for t in targets if isinstance(t, LinearTarget | OriginTarget))


def _sources(target: Target, world: World, volumes: Volumes) -> Iterator[str]:
    """The devices of the snapshots that were handed over to a merge: invalid now, on the same devices."""
    if isinstance(target, SnapshotTarget):
        invalid = (t for t in world.stack.targets.values() if isinstance(t, SnapshotTarget) and not t.valid)
        for other in invalid:
            same = (other.origin, other.cow) == (target.origin, target.cow)
            if same and other.id != target.id and other.device in volumes:
                yield other.device


def _is_origin(world: World, name: str) -> bool:
    device = world.stack.devices.get(name)
    return device is not None and any(isinstance(world.stack.targets[id], OriginTarget) for id in device.live)


def _fresh(world: World, name: str) -> bool:
    targets = [world.stack.targets[id] for id in world.stack.devices[name].live]
    return any(isinstance(t, SnapshotTarget) and t.valid and not t.completed and t.merge is None for t in targets)


# --- checks ------------------------------------------------------------------------------------------------------


def views_wrong(session: sm.Session, volumes: Volumes) -> tuple[str, str] | None:
    """The first device with a content that its volume does not allow, and a sentence about it; None: there is none."""
    world = session.world
    if any(isinstance(task.operation, _CHANGES) for task in session.tasks.values()):
        return None
    for name, volume in sorted(volumes.items()):
        if name not in world.stack.devices:
            continue
        for sector, content in enumerate(view(world, name) or ()):
            if volume.now[sector] and content not in volume.now[sector]:
                may = sorted(map(sm.as_seen, volume.now[sector]), key=str)
                return name, f"{name} has {content!r} at sector {sector}, and may have {may}"
    return None


_CHANGES = sm.Create | sm.Load | sm.Suspend | sm.Resume | sm.Remove


Readable = tuple[frozenset[Content], ...]
"""The contents that each sector of a read may return; an empty set allows any."""


def readable(operation: sm.Plain, volumes: Volumes) -> Readable:
    """The contents that a read may return by the present volumes; empty for other operations."""
    if not isinstance(operation, sm.Read):
        return ()
    if operation.where not in volumes:
        return (frozenset(),) * operation.count
    return volumes[operation.where].now[operation.sector : operation.sector + operation.count]


def misread(operation: sm.Plain, result: sm.Raw, before: Readable, after: Readable) -> str | None:
    """What is wrong with a read; None: each of its contents was allowed when it began or when it ended."""
    if not isinstance(operation, sm.Read):
        return None
    for at, (content, *may) in enumerate(zip(result.sectors, before, after, strict=True), operation.sector):
        if all(may) and not any(content in held for held in may):
            return f"{sm.print_operation(operation)} returns {content!r} at sector {at}"
    return None
