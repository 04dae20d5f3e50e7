"""What users see, and what they may see: the physical view of a device, and the abstract volumes that it refines.

``view`` reads a device without touching anything: it follows the tables as the kernel would.  ``Volumes`` is the
abstract machine: every device is an array of sectors, a snapshot begins as a copy of its origin, a merge makes its
device what the snapshot was.  Refinement says that after every step each sector of every view is what the volumes
allow.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import assert_never

from immutables import Map

import snapmerge as sm
from snapmerge import Content, Stack, World
from snapmerge.machinery import ConceptMerge, Exceptions, LinearTarget, OriginTarget, SnapshotTarget, Target, lookup

__all__ = ["NOTHING", "Volume", "Volumes", "begun", "ended", "view"]


def view(world: World, name: str) -> tuple[Content | sm.Unknown, ...] | None:
    """What a reader would get from each sector of a device now; None: it can't be read (no table, invalid)."""
    size = _size(world.stack, name)
    sectors = tuple(_read(world, name, sector) for sector in range(size))
    return None if not sectors or any(s is None for s in sectors) else tuple(s for s in sectors if s is not None)


def _size(stack: Stack, name: str) -> int:
    lines = [stack.targets[id].line for id in stack.devices[name].live]
    return sum(line.length for line in lines)


def _read(world: World, name: str, sector: int) -> Content | sm.Unknown | None:
    if name in world.disks:
        return world.disks[name].sector(sector)
    for id in world.stack.devices[name].live:
        target = world.stack.targets[id]
        if target.line.start <= sector < target.line.start + target.line.length:
            below = _below(target, sector)
            return None if below is None else _read(world, *below)
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
            assert_never(target)


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

    ``flushing``: what it may hold after one when the flush under way has ended: what was there, and what is
    written since.
    """

    now: tuple[frozenset[Content], ...]
    durable: tuple[frozenset[Content], ...]
    flushing: tuple[frozenset[Content], ...] | None = None

    def written(self, sector: int, tags: range, *, over: bool) -> "Volume":
        """With a write under way (old or new), or ``over`` (new)."""
        new = dict(enumerate(tags, sector))

        def either(held: tuple[frozenset[Content], ...]) -> tuple[frozenset[Content], ...]:
            return tuple(may | {new[at]} if at in new else may for at, may in enumerate(held))

        now = tuple(frozenset({new[at]}) if at in new else may for at, may in enumerate(self.now))
        flushing = None if self.flushing is None else either(self.flushing)
        return Volume(now if over else either(self.now), either(self.durable), flushing)

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
        case sm.Flush(where) if where in volumes:
            return volumes.set(where, volumes[where].flush_sent())
        case sm.Remove(device) if device in volumes:
            return volumes.delete(device)
        case _:
            return volumes


def ended(volumes: Volumes, operation: sm.Plain, world: World) -> Volumes:
    """The volumes once an operation has succeeded."""
    match operation:
        case sm.Write(where, sector, count, tag) if where in volumes:
            return volumes.set(where, volumes[where].written(sector, range(tag, tag + count), over=True))
        case sm.Flush(where) if where in volumes:
            return volumes.set(where, volumes[where].flushed())
        case sm.Create(device) | sm.Resume(device) if world.stack.devices[device].live:
            return _activated(volumes, device, world)
        case _:
            return volumes


def _activated(volumes: Volumes, device: str, world: World) -> Volumes:
    """A device has a new live table: it takes over what another was, or begins as what is below."""
    for target in (world.stack.targets[id] for id in world.stack.devices[device].live):
        source = next(iter(_sources(target, world, volumes)), None)
        if isinstance(target, SnapshotTarget) and target.merge is not None and source is not None:
            return volumes.delete(source).set(device, volumes[source])
    if device in volumes:
        return volumes
    origin = next((volumes[name] for name in sorted(volumes) if _is_origin(world, name)), None)
    seen = view(world, device)
    if origin is not None and _fresh(world, device):
        return volumes.set(device, origin)
    if seen is None:
        return volumes
    known = tuple(frozenset({s}) for s in seen if not isinstance(s, sm.Unknown))
    return volumes.set(device, Volume(known, known))


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
    return any(isinstance(t, SnapshotTarget) and not t.completed and t.merge is None for t in targets)
