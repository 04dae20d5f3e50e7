"""What users see, and what they may see: the physical view of a device, and the abstract volumes that it refines.

``view`` reads a device without touching anything: it follows the tables as the kernel would.  ``Volumes`` is the
abstract machine: every device is an array of sectors, a snapshot begins as a copy of its origin, a merge makes its
device what the snapshot was.  Refinement says that after every step each sector of every view is what the volumes
allow.
"""

from collections.abc import Callable, Iterator

from immutables import Map

import snapmerge as sm
from snapmerge import Content, World
from snapmerge.format.exceptions import Exceptions, lookup
from snapmerge.machine.concept.state import ConceptMerge
from snapmerge.machine.core.state import Target
from snapmerge.machine.linear import LinearTarget
from snapmerge.machine.snapshot.state import OriginTarget, SnapshotTarget
from snapmerge.records import dataclass, replace

__all__ = ["NOTHING", "Volume", "Volumes", "begun", "ended", "misread", "reader", "view", "views_wrong"]


def view(world: World, name: str) -> tuple[Content | sm.Unknown, ...] | None:
    """What a reader would get from each sector of a device now; None: it can't be read (no table, invalid)."""
    size = _size(world, name)
    sectors = tuple(_read(world, name, sector) for sector in range(size))
    return None if not sectors or any(s is None for s in sectors) else tuple(s for s in sectors if s is not None)


def _size(world: World, name: str) -> int:
    if name in world.disks:
        return world.disks[name].size
    stack = world.stack
    lines = [stack.targets[id].line for id in stack.devices[name].live]
    return sum(line.length for line in lines)


def _read(world: World, name: str, sector: int) -> Content | sm.Unknown | None:
    place = _place(world, name, sector)
    return None if place is None else world.disks[place[0]].sector(place[1])


def _place(world: World, name: str, sector: int) -> tuple[str, int] | None:
    """The disk that holds a device's sector, and where on it."""
    if name in world.disks:
        return name, sector
    for id in world.stack.devices[name].live:
        target = world.stack.targets[id]
        if target.line.start <= sector < target.line.start + target.line.length:
            below = _below(target, sector)
            return None if below is None else _place(world, *below)
    return None


def _below(target: Target, sector: int) -> tuple[str, int] | None:
    """Where the content of a target's sector is: the device or disk below, and the sector there."""
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
        case ConceptMerge():
            return _below_concept(target, sector)
        case _:
            return None


def _below_concept(merge: ConceptMerge, sector: int) -> tuple[str, int] | None:
    """A chunk is at home on the destination once the worker is past it."""
    if merge.broken or not merge.active:
        return None
    chunk = sector // merge.chunk_size
    new = None if merge.finished or not merge.valid or chunk < merge.progress else lookup(merge.completed, chunk)
    return (merge.destination, sector) if new is None else (merge.cow, sector + (new - chunk) * merge.chunk_size)


def _exception(completed: Exceptions, sector: int, chunk_size: int) -> int | None:
    return lookup(completed, sector // chunk_size) if chunk_size else None


@dataclass(frozen=True, slots=True)
class Volume:
    """One device as an array: what each sector may hold now, and what it may hold after a power cut.

    An empty set: nobody says.  ``flushing``: what it may hold after one when the flush under way has ended: what was
    there, and what is written since.  ``home``: where a merge of 2009 merges it to.
    """

    now: tuple[frozenset[Content], ...]
    durable: tuple[frozenset[Content], ...]
    flushing: tuple[frozenset[Content], ...] | None = None
    home: str | None = None

    def written(self, sector: int, tags: range, *, over: bool) -> "Volume":
        """With a write under way (old or new), or ``over`` (new)."""
        new = dict(enumerate(tags, sector))

        def either(held: tuple[frozenset[Content], ...]) -> tuple[frozenset[Content], ...]:
            return tuple(may | {new[at]} if at in new and may else may for at, may in enumerate(held))

        now = tuple(frozenset({new[at]}) if at in new and may else may for at, may in enumerate(self.now))
        flushing = None if self.flushing is None else either(self.flushing)
        return replace(self, now=now if over else either(self.now), durable=either(self.durable), flushing=flushing)

    def flush_sent(self) -> "Volume":
        """With a flush under way."""
        return replace(self, flushing=self.now)

    def flushed(self) -> "Volume":
        """After the flush: what was there when it was sent is durable."""
        return self if self.flushing is None else replace(self, durable=self.flushing, flushing=None)


Volumes = Map[str, Volume]
NOTHING: Volumes = Map()


def begun(volumes: Volumes, operation: sm.Plain) -> Volumes:
    """The volumes once an operation is under way: a write may show, or not."""
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
    """The volumes once an operation has succeeded."""
    match operation:
        case sm.Write(where, sector, count, tag) if where in volumes:
            return volumes.set(where, volumes[where].written(sector, range(tag, tag + count), over=True))
        case sm.Flush(where) if where in volumes:
            return volumes.set(where, _flushed(volumes[where], where, world))
        case sm.Remove(device) if device in volumes:
            return volumes.delete(device)
        case sm.Create(device) | sm.Resume(device) if device in world.stack.devices and _size(world, device):
            return _activated(volumes, device, world)
        case _:
            return volumes


def _flushed(volume: Volume, name: str, world: World) -> Volume:
    """After a flush of a device; one of a snapshot leaves out what is still on the origin (SNAP-4)."""
    after = volume.flushed()
    targets = [world.stack.targets[id] for id in world.stack.devices[name].live]
    snap = next((t for t in targets if isinstance(t, SnapshotTarget) and t.merge is None), None)
    if snap is None:
        return after
    in_cow = [_exception(snap.completed, at, snap.store.chunk_size) is not None for at in range(len(after.now))]
    durable = (new if there else old for there, new, old in zip(in_cow, after.durable, volume.durable, strict=True))
    return replace(after, durable=tuple(durable))


def _powered_off(volumes: Volumes) -> Volumes:
    """The volumes after a power cut: what may be left of each."""
    return Map({name: replace(volume, now=volume.durable, flushing=None) for name, volume in volumes.items()})


def _activated(volumes: Volumes, device: str, world: World) -> Volumes:
    """A device has a new live table: it takes over what another was, or begins as what is below."""
    targets = [world.stack.targets[id] for id in world.stack.devices[device].live]
    for target in targets:
        if isinstance(target, ConceptMerge):
            return _merged(volumes, device, target, world)
        source = next(iter(_sources(target, world, volumes)), None)
        if isinstance(target, SnapshotTarget) and target.merge is not None and source is not None:
            return volumes.delete(source).set(device, volumes[source])
    if device in volumes or any(_lies_on(world, device, merge.destination) for merge in _concepts(world)):
        return volumes
    origin = next((volumes[name] for name in sorted(volumes) if _is_origin(world, name)), None)
    if origin is not None and _fresh(world, device):
        return volumes.set(device, origin)
    return _seen(volumes, device, world)


def _seen(volumes: Volumes, device: str, world: World) -> Volumes:
    """It begins as what is below: of that a power cut may leave what the disks have not been told to keep."""
    now, durable = [], []
    for sector in range(_size(world, device)):
        place = _place(world, device, sector)
        if place is None:
            return volumes
        disk = world.disks[place[0]]
        now.append(frozenset(sm.likely((disk.sector(place[1]),))))
        durable.append(frozenset(sm.likely(disk.candidates(place[1]))))
    return volumes.set(device, Volume(tuple(now), tuple(durable)))


# --- merges of 2009 ----------------------------------------------------------------------------------------------


def _concepts(world: World) -> Iterator[ConceptMerge]:
    return (t for _, t in sorted(world.stack.targets.items()) if isinstance(t, ConceptMerge))


def _merged(volumes: Volumes, device: str, merge: ConceptMerge, world: World) -> Volumes:
    """A merge of 2009 is live: in its sectors it is what the snapshot on its COW device was, if it merges it home.

    What lies on its destination changes from now on, and so may what is not there any more.
    """
    home = {name for name in volumes if name in world.stack.devices and _lies_on(world, name, merge.destination)}
    gone = {name for name in volumes if name not in world.stack.devices}
    source = next((n for n in sorted(volumes) if n != device and _is_source(world, n, merge)), None)
    known = volumes.get(device)
    if known is None or known.home != merge.destination:
        known = volumes[source] if source is not None else _found(world, merge)
    taken = {name for name in volumes if any(s.cow == merge.cow for s in _snapshots_of(world, name))}
    for name in (home | gone | taken) - {device}:
        volumes = volumes.delete(name)
    return volumes if known is None else volumes.set(device, _within(known, merge))


def _found(world: World, merge: ConceptMerge) -> Volume | None:
    """What a merge begins with whose snapshot is not there: of a dropped one (valid=0) nothing counts."""
    disk = world.disks.get(merge.cow)
    header = sm.read_store(reader(disk), disk.size) if disk is not None else sm.Records("new")
    below = merge.destination if header.kind == "store" and not header.valid else merge.device
    return _seen(NOTHING, below, world).get(below)


def reader(disk: sm.DiskState) -> Callable[[int, int], bytes]:
    """The disk's bytes, as ``read_store`` wants them; where nobody knows, the newest."""

    def read(sector: int, count: int) -> bytes:
        return sm.data_bytes(sm.likely(disk.read(sector, count)))

    return read


def _is_source(world: World, name: str, merge: ConceptMerge) -> bool:
    """Whether a device is, or was until a moment ago, the valid snapshot whose exceptions are merged to its origin."""
    return any(
        snap.cow == merge.cow
        and (snap.valid or not snap.store.chunk_size)
        and _lies_on(world, merge.destination, snap.origin)
        for snap in _snapshots_of(world, name)
    )


def _snapshots_of(world: World, name: str) -> Iterator[SnapshotTarget]:
    device = world.stack.devices.get(name)
    targets = (world.stack.targets[id] for id in (device.live if device else ()))
    return (target for target in targets if isinstance(target, SnapshotTarget))


def _within(volume: Volume, merge: ConceptMerge) -> Volume:
    """The volume in the target's sectors; of those around it nobody says anything."""
    covered = range(merge.line.start, merge.line.start + merge.line.length)

    def held(sets: tuple[frozenset[Content], ...]) -> tuple[frozenset[Content], ...]:
        return tuple(may if at in covered else frozenset() for at, may in enumerate(sets))

    return Volume(held(volume.now), held(volume.durable), home=merge.destination)


def _lies_on(world: World, name: str, below: str) -> bool:
    """Whether a device is the other, or a window on it: ``linear`` or ``snapshot-origin``."""
    if name == below:
        return True
    device = world.stack.devices.get(name)
    targets = [world.stack.targets[id] for id in (device.live if device else ())]
    return any(_lies_on(world, t.lower, below) for t in targets if isinstance(t, LinearTarget | OriginTarget))


def _sources(target: Target, world: World, volumes: Volumes) -> Iterator[str]:
    """The snapshots that a merge has been handed over from: dead now, on the same devices."""
    if isinstance(target, SnapshotTarget):
        dead = (t for t in world.stack.targets.values() if isinstance(t, SnapshotTarget) and not t.valid)
        for other in dead:
            same = (other.origin, other.cow) == (target.origin, target.cow)
            if same and other.id != target.id and other.device in volumes:
                yield other.device


def _is_origin(world: World, name: str) -> bool:
    device = world.stack.devices.get(name)
    return device is not None and any(isinstance(world.stack.targets[id], OriginTarget) for id in device.live)


def _fresh(world: World, name: str) -> bool:
    targets = [world.stack.targets[id] for id in world.stack.devices[name].live]
    return any(isinstance(t, SnapshotTarget) and t.valid and not t.completed and t.merge is None for t in targets)


# --- what is wrong -----------------------------------------------------------------------------------------------


def views_wrong(session: sm.Session, volumes: Volumes) -> tuple[str, str] | None:
    """The first device with a sector that reads as none of the contents that its volume allows, and what is wrong."""
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


def misread(operation: sm.Plain, result: sm.Raw, before: Volumes, after: Volumes) -> str | None:
    """What is wrong with a read: it gives what was there at some moment while it was under way."""
    if not isinstance(operation, sm.Read) or operation.where not in before or operation.where not in after:
        return None  # of what it held at the one end or the other nobody says anything
    volumes = [before[operation.where], after[operation.where]]
    for at, content in enumerate(result.sectors, operation.sector):
        if not any(content in volume.now[at] or not volume.now[at] for volume in volumes):
            return f"{sm.print_operation(operation)} gives {content!r} at sector {at}"
    return None
