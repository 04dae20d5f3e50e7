"""What can fail, and who sees it: the questions about a world on which reductions of the search depend."""

from typing import Final

from snapmerge.format.exceptions import lookup, pairs
from snapmerge.format.store import Persistent
from snapmerge.machine.core.bio import Bio, WorkId
from snapmerge.machine.core.events import Io
from snapmerge.machine.core.state import CopyJob, DeviceBio, Piece, Rest, Target
from snapmerge.machine.linear import LINEAR
from snapmerge.machine.snapshot.state import Copy, SnapshotTarget, StoreIo, StoreStep
from snapmerge.oracle.places import Place, overlaps, places, places_of_bio
from snapmerge.records import dataclass, replace
from snapmerge.trace import operations as op
from snapmerge.units import chunk_count, chunk_of, chunk_start
from snapmerge.world.disk import Disk
from snapmerge.world.state import World

__all__ = [
    "ANYTHING",
    "Ahead",
    "ahead",
    "calm",
    "free_exceptions",
    "may_fail",
    "merges",
    "needed_exceptions",
    "reads_what_it_should",
    "roomy",
]


@dataclass(frozen=True, slots=True)
class Ahead:
    """What the operations from here on may show.

    ``cuts``: the power may be cut.  ``looked_at``: disks that are read directly, around every mapping; ``changed``:
    those that are written to, broken or healed.  None: any disk.  ``only_io``: nothing comes but reads, writes and
    flushes of devices that are not linear, and the ends of operations.
    """

    cuts: bool = True
    looked_at: frozenset[str] | None = None
    changed: frozenset[str] | None = None
    only_io: bool = False


ANYTHING: Final = Ahead()
"""Of what comes nothing is known."""


def ahead(operations: tuple[op.Operation, ...]) -> list[Ahead]:
    """For each of the operations what it and those after it may show."""
    plain = [op.inner(one) for one in operations]
    disks = {one.name for one in plain if isinstance(one, op.Disk)}
    linear = {one.device for one in plain if isinstance(one, op.Create | op.Load) and _has_linear(one)}
    found: list[Ahead] = []
    here = Ahead(cuts=False, looked_at=frozenset(), changed=frozenset(), only_io=True)
    for one in reversed(plain):
        here = replace(_with(here, one, disks, linear), only_io=here.only_io and _is_io(one, disks | linear))
        found.append(here)
    return found[::-1]


def _has_linear(one: op.Create | op.Load) -> bool:
    """Whether its table has a line that passes I/O on to the sectors of a lower device."""
    lines = [line.split() for line in (one.table or "").split(";")]
    return any(word in LINEAR.names for words in lines for word in words[2:3])


_IO = (op.Read, op.Write, op.Flush)


def _is_io(one: op.Plain | op.Finish, direct: set[str]) -> bool:
    """Whether it is the end of something, or I/O that is not on one of these disks or devices."""
    return isinstance(one, op.Finish) or (isinstance(one, _IO) and one.where not in direct)


def _with(after: Ahead, one: op.Plain | op.Finish, disks: set[str], linear: set[str]) -> Ahead:
    match one:
        case op.Crash():
            return Ahead(cuts=True, looked_at=after.looked_at, changed=after.changed)
        case op.Fault(disk) | op.Heal(disk):
            return Ahead(after.cuts, after.looked_at, _and(after.changed, disk))
        case op.Read(where) if where in disks or where in linear:
            return Ahead(after.cuts, _and(after.looked_at, where if where in disks else None), after.changed)
        case op.Write(where) | op.Discard(where) if where in disks or where in linear:
            return Ahead(after.cuts, after.looked_at, _and(after.changed, where if where in disks else None))
        case _:
            return after


def _and(names: frozenset[str] | None, name: str | None) -> frozenset[str] | None:
    return None if names is None or name is None else names | {name}


# --- failures ----------------------------------------------------------------------------------------------------


def merges(world: World) -> bool:
    """Whether a merge is under way: a target works by itself, beside everything else."""
    types = world.rules.by_class
    return any(types[type(target)].works(target) for target in world.stack.targets.values())


def may_fail(world: World) -> bool:
    """Whether a disk can make a copy-out fail."""
    return any(disk.faults and _matters(world, name, disk) for name, disk in world.disks.items())


def _matters(world: World, name: str, disk: Disk) -> bool:
    """Whether a disk's faults can make a copy-out fail: reads of an origin, writes and flushes of a COW device."""
    copying = [t for t in world.stack.targets.values() if _copies(t)]
    for snap in (t for t in copying if isinstance(t, SnapshotTarget)):
        for kind, sector, count in disk.faults:
            lower = snap.origin if kind == "read" else snap.cow
            there = places(world.stack, lower, 0, world.stack.size(lower))
            at = (name, 0, disk.size) if kind == "flush" else (name, sector, count)
            if there is None or overlaps(there, (at,)):
                return True
    return False


def _copies(target: Target) -> bool:
    return isinstance(target, SnapshotTarget) and target.merge is None and target.valid


def calm(world: World) -> bool:
    """Whether no exception that is in the making, or will be for what is under way, can fail.

    A merge goes on, and may need one for every chunk.  A copy for a snapshot that is lost has failed, in a way: nobody
    waits for it who does not yet.
    """
    if may_fail(world):
        return False
    if any(isinstance(w, StoreIo | CopyJob) and _is_of_lost(world, w) for w in world.stack.work.values()):
        return False
    snaps = [t for t in world.stack.targets.values() if _copies(t) and isinstance(t, SnapshotTarget)]
    if not snaps:
        return True
    writes = None if merges(world) else _writes(world)
    return all(free_exceptions(world, snap) >= needed_exceptions(snap, writes) for snap in snaps)


def roomy(world: World) -> bool:
    """Whether every snapshot has room for all the exceptions that it can ever need."""
    return all(_is_roomy(world, t) for t in world.stack.targets.values() if isinstance(t, SnapshotTarget))


def _is_roomy(world: World, snap: SnapshotTarget) -> bool:
    if not _copies(snap):
        return False
    room, chunks = free_exceptions(world, snap), chunk_count(snap.table_size, snap.store.chunk_size or 1)
    return room >= chunks or room >= chunks - len({*snap.pending, *(old for old, _ in pairs(snap.completed))})


def _writes(world: World) -> list[tuple[WorkId, Bio, bool]]:
    """For each piece of a write that may still need exceptions its id, its bio, and whether it is all in one chunk.

    A piece that a disk has been given is beyond all snapshots, unless it is sent on from there.
    """
    sent = {flight.effect.id for flight in world.flights if isinstance(flight.effect, Io)}
    found: list[tuple[WorkId, Bio, bool]] = []
    for id, work in world.stack.work.items():
        match work:
            case Rest(bio=bio) | DeviceBio(bio=bio, remaining=0) if bio.is_write:
                found.append((id, bio, False))
            case Piece(bio=bio, then=then) if bio.is_write and (id not in sent or then is not None):
                found.append((id, bio, True))
            case _:
                pass
    return found


def needed_exceptions(snap: SnapshotTarget, writes: list[tuple[WorkId, Bio, bool]] | None) -> int:
    """How many exceptions a snapshot may need for what is under way, at most; ``writes`` None: a merge is.

    A write to the snapshot that waits for its exception needs no other, nor one to the origin whose chunk has one.
    """
    chunk_size = snap.store.chunk_size or 1
    most = chunk_count(snap.table_size, chunk_size)
    if writes is None:
        return most
    served = {id for pending in snap.pending.values() for id in pending.waiting}
    left = [
        1 if whole else min(bio.count, bio.count // chunk_size + 2)
        for id, bio, whole in writes
        if id not in served and not (whole and bio.where == snap.origin and _has(snap, bio.sector))
    ]
    return min(most, sum(left))


def _has(snap: SnapshotTarget, sector: int) -> bool:
    """Whether a snapshot has an exception for a sector of its origin, or is making one."""
    chunk = chunk_of(sector, snap.store.chunk_size or 1)
    return chunk in snap.pending or lookup(snap.completed, chunk) is not None


def _is_of_lost(world: World, work: StoreIo | CopyJob) -> bool:
    """Whether this is done for a snapshot that is being lost, or a copy for one that has been."""
    if isinstance(work, StoreIo):
        return work.step is StoreStep.DROP
    snap = world.stack.targets[work.target]
    return work.purpose is Copy.OUT and isinstance(snap, SnapshotTarget) and not snap.valid


def free_exceptions(world: World, snap: SnapshotTarget) -> int:
    """How many more exceptions a store has room for: chunks to allocate, and records to commit.

    An area that fills up needs room for the one behind it, or the last record fails.
    """
    store, total = snap.store, world.stack.size(snap.cow)
    if not store.chunk_size or places(world.stack, snap.cow, 0, total) is None:
        return 0
    allocated, _, _ = store.usage(total)
    chunks, free = total // store.chunk_size, allocated // store.chunk_size
    if not isinstance(store, Persistent):
        return chunks - free
    stride = store.per_area + 1
    areas = max(0, (chunks - 2) // stride + 1)
    areas_allocated = max(0, (free - 2) // stride + 1)
    recorded = store.area * store.per_area + store.committed + store.prepared
    return min(chunks - free - (areas - areas_allocated), areas * store.per_area - 1 - recorded)


# --- what a copy reads -------------------------------------------------------------------------------------------


def reads_what_it_should(world: World, job: CopyJob, after: Ahead) -> bool:
    """Whether nobody will see if a copy-out reads now or later.

    Who writes to the chunk waits for its exception, unless the snapshot is lost, or was not there when the write was
    sent.  What is copied for a lost snapshot is seen only by reading its COW device directly.  A power cut leaves no
    less of what has been read and is being written than of what is still to be read.
    """
    snap = world.stack.targets[job.target]
    if job.purpose is not Copy.OUT or not isinstance(snap, SnapshotTarget) or may_fail(world):
        return False
    if not _is_unseen(world, snap, after):
        return False
    start = chunk_start(job.old, snap.store.chunk_size)
    old = places(world.stack, snap.origin, start, job.destination.count)
    if old is None or after.changed is None or not {name for name, _, _ in old}.isdisjoint(after.changed):
        return False
    return not snap.valid or not _is_written(world, snap, old, (start, job.destination.count))


def _is_unseen(world: World, snap: SnapshotTarget, after: Ahead) -> bool:
    """Whether nothing that comes shows what is on a snapshot's COW device but the snapshot, and its store."""
    if after.cuts and not isinstance(snap.store, Persistent):
        return False  # on the disk may be an older store, which the data overwrites
    cow = places(world.stack, snap.cow, 0, world.stack.size(snap.cow))
    if cow is None or after.looked_at is None or after.changed is None:
        return False
    return {name for name, _, _ in cow}.isdisjoint(after.looked_at | after.changed)


def _is_written(world: World, snap: SnapshotTarget, old: tuple[Place, ...], chunk: tuple[int, int]) -> bool:
    """Whether something is under way that may write there without asking the snapshot (any more)."""
    for flight in world.flights:
        effect = flight.effect
        if isinstance(effect, Io) and effect.bio.is_write and overlaps(old, (_place(effect.bio),)):
            return True
    for work in world.stack.work.values():
        if isinstance(work, DeviceBio | Rest) and work.bio.is_write:
            there = places_of_bio(world.stack, work.bio)
            if there is not None and overlaps(old, there):
                return True
    others = (t for t in world.stack.targets.values() if isinstance(t, SnapshotTarget) and t.merge)
    return any(_takes(other, snap.origin, chunk) for other in others)


def _place(bio: Bio) -> Place:
    return bio.where, bio.sector, bio.count


def _takes(merge: SnapshotTarget, origin: str, chunk: tuple[int, int]) -> bool:
    """Whether the run of a merge, which has asked everybody, has to do with these sectors."""
    run = merge.merge.run if merge.merge is not None else None
    if run is None:
        return False
    start, count = chunk
    size = merge.store.chunk_size
    return merge.origin != origin or (run.old * size < start + count and start < (run.old + run.count) * size)
