"""The view of a merge of 2009, and the abstract volume that it refines."""

import snapmerge as sm
from snapmerge import Content, World
from snapmerge.format.exceptions import lookup
from snapmerge.machine.concept.state import ConceptMerge
from snapmerge.machine.core.state import Target
from snapmerge_specs.concept.properties import merges
from snapmerge_specs.generations.volumes import NOTHING, Volume, Volumes
from snapmerge_specs.properties import views
from snapmerge_specs.properties.views import lies_on, reader, seen, snapshots_of

__all__ = ["activated", "below"]


def below(target: Target, sector: int) -> tuple[str, int] | None:
    """The device that holds a target's sector, and which sector of it; that is the destination for merged chunks."""
    if not isinstance(target, ConceptMerge):
        return views.below(target, sector)
    if target.broken or not target.active:
        return None
    chunk = sector // target.chunk_size
    done = target.finished or not target.valid or chunk < target.progress
    new = None if done else lookup(target.completed, chunk)
    return (target.destination, sector) if new is None else (target.cow, sector + (new - chunk) * target.chunk_size)


def activated(volumes: Volumes, device: str, world: World) -> Volumes:
    """The volumes after a device has got a new live table; devices on the destination of a merge have none."""
    live = (world.stack.targets[id] for id in world.stack.devices[device].live)
    merge = next((target for target in live if isinstance(target, ConceptMerge)), None)
    if merge is not None:
        return _merged(volumes, device, merge, world)
    if any(lies_on(world, device, merge.destination) for merge in merges(world)):
        return volumes
    return views.activated(volumes, device, world)


def _merged(volumes: Volumes, device: str, merge: ConceptMerge, world: World) -> Volumes:
    """The volumes after a merge of 2009 has become live: in its sectors it has the contents of its snapshot.

    The volumes of devices on its destination, which it changes from now on, and of removed devices are dropped.
    """
    home = {name for name in volumes if name in world.stack.devices and lies_on(world, name, merge.destination)}
    gone = {name for name in volumes if name not in world.stack.devices}
    source = next((n for n in sorted(volumes) if n != device and _is_source(world, n, merge)), None)
    known = volumes.get(device)
    if known is None or known.home != merge.destination:
        known = volumes[source] if source is not None else _found(world, merge)
    taken = {name for name in volumes if any(s.cow == merge.cow for s in snapshots_of(world, name))}
    for name in (home | gone | taken) - {device}:
        volumes = volumes.delete(name)
    return volumes if known is None else volumes.set(device, _within(known, merge))


def _found(world: World, merge: ConceptMerge) -> Volume | None:
    """The initial content of a merge without a live snapshot; an invalid store (valid=0) has no exceptions."""
    disk = world.disks.get(merge.cow)
    header = sm.read_store(reader(disk), disk.size) if disk is not None else sm.Records("new")
    below = merge.destination if header.kind == "store" and not header.valid else merge.device
    return seen(NOTHING, below, world).get(below)


def _is_source(world: World, name: str, merge: ConceptMerge) -> bool:
    """Whether a device is the snapshot whose exceptions are merged to its origin, valid or just handed over."""
    return any(
        snap.cow == merge.cow
        and (snap.valid or not snap.store.chunk_size)
        and lies_on(world, merge.destination, snap.origin)
        for snap in snapshots_of(world, name)
    )


def _within(volume: Volume, merge: ConceptMerge) -> Volume:
    """The volume with the contents of the target's sectors; the other sectors may hold anything."""
    covered = range(merge.line.start, merge.line.start + merge.line.length)

    def held(sets: tuple[frozenset[Content], ...]) -> tuple[frozenset[Content], ...]:
        return tuple(may if at in covered else frozenset() for at, may in enumerate(sets))

    return Volume(held(volume.now), held(volume.durable), home=merge.destination)
