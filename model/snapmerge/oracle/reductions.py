"""What may come next, without what can't make a difference.

In principle any effect in flight may be the next to finish.  Most orders lead to the same: the forty pieces of a
read can end in 40! ways.  What is left out, and why nothing is lost by it:

*   While an operation is waited for, nobody looks before it ends.  So a piece of it may end at once, unless another
    operation under way touches the same sectors.  The read half of a copy may end at once, too, if no other operation
    is under way, and if nobody would write to what it reads should the snapshot become invalid (``_may_be_overtaken``).
*   Where no later operation shows what is on a COW device (``Ahead``), the read half of a copy-out may end at once:
    whoever would write there waits for the copy, unless the snapshot becomes invalid, and then nobody sees what was
    read.
*   Copies of one snapshot are committed in the order of allocation.  Which of them ends first shows only if one fails,
    if the store overflows meanwhile, or if somebody reads the disk.  In a ``calm`` world none of that can happen, so
    they end in the order of allocation.
*   Where a store may overflow but no disk can fail, the *writes* of those copies, and writes that fill a chunk in place
    of a copy, end in the order of allocation: an exception that is filled out of turn waits for its turn, whatever
    becomes of the snapshot meanwhile, and so does everybody who is to see it.  The *reads* end in any order: a write to
    the origin does not wait for a snapshot that is invalid, and may come before them.
*   In a calm world without a merge, the order of an operation's own effects shows only in what a power cut would take
    back.  A cut may take back most when the operation's own data is written last, behind every flush; what it may leave
    then includes what it may leave after any other order.  So this one schedule stands for all.
*   Once an operation has made a snapshot overflow, the rest of the operation is refused, as soon as the header is
    invalid.  If no other operation is under way, the header may be written at once, and the rest be refused at once.

Linear devices only pass bios on: a copy through some of them is treated as the copy itself (``sender``).  The rules for
what is in flight for other operations are in ``beside``, those for exceptions whose making nobody sees in ``unseen``.
"""

from collections.abc import Iterator

from snapmerge.format.store import Persistent, Store
from snapmerge.machine.core.bio import Op, WorkId
from snapmerge.machine.core.events import Fetch, Io
from snapmerge.machine.core.state import SUBMITTER, CopyJob, DeviceBio, Piece, Rest
from snapmerge.machine.linear import LinearTarget
from snapmerge.machine.snapshot.state import Copy, SnapshotTarget, StoreIo, StoreStep
from snapmerge.oracle.beside import data_that_waits, overlap, read_as_seen
from snapmerge.oracle.calm import Ahead, calm, may_fail, merges, reads_what_it_should
from snapmerge.oracle.places import frame, is_linear, names_below, overlaps, places, sender, submitter
from snapmerge.oracle.unseen import made_at_once, mapped_later
from snapmerge.trace import operations as op
from snapmerge.trace.outcomes import Outcome
from snapmerge.units import chunk_start
from snapmerge.world.moves import advance, finish, in_canonical_order, moves
from snapmerge.world.session import Session, Task
from snapmerge.world.state import Flight, World

__all__ = ["commutes", "flight_of_lost", "is_of_lost", "next_worlds", "out_of_turn"]


def next_worlds(
    key: int | None, session: Session, operation: op.Operation, after: Ahead, seen: Outcome | None = None
) -> tuple[Iterator[World], bool]:
    """The worlds that come next, and whether there is one at most; ``seen``: what the operation should show."""
    world = session.world
    made = made_at_once(session, after)
    if made is not None:
        return iter((made,)), True
    read = None if key is None else read_as_seen(session, key, seen)
    if read is not None:
        return iter(read), True
    flight = next((f for f in world.flights if commutes(session, key, f, after)), None) or flight_of_lost(session, key)
    if flight is not None:
        return (finish(world, f) for f in (flight,)), True
    if key is not None and _may_be_canonical(session, key, operation):
        late = _written_late(session, key) if after.cuts else set()
        flight = next((f for f in in_canonical_order(world) if f.effect.id not in late), None)
        return (advance(world) if f is None else finish(world, f) for f in (flight,)), True
    waiting = _waiting(world, operation)
    if key is not None and after.cuts and not (_others(session, key) or merges(world) or may_fail(world)):
        late = _written_late(session, key)
        if len(late) == len(world.flights):
            return (advance(w) for w in (world,)), True
        waiting |= late
    if _sees_no_disk(session, key, operation):
        later = waiting | data_that_waits(session, key)
        waiting = later if key is None or len(later) < len(world.flights) else waiting
    later = waiting | mapped_later(session, operation, after)
    waiting = later if len(later) < len(world.flights) or key is None else waiting
    free = [flight for flight in world.flights if flight.effect.id not in waiting]
    only = not free or (len(free) == 1 and not isinstance(free[0].effect, Fetch))
    return moves(world, unless=lambda flight: flight.effect.id in waiting), only


def _may_be_canonical(session: Session, key: int, operation: op.Operation) -> bool:
    world = session.world
    return not _others(session, key) and bool(world.flights) and _is_io(operation) and not merges(world) and calm(world)


def _written_late(session: Session, key: int) -> set[WorkId]:
    """The ids of the writes of the operation's own data: the later they end, the more a power cut may take back."""
    token, stack, found = session.tasks[key].token, session.world.stack, set()
    for flight in session.world.flights:
        if isinstance(flight.effect, Io) and flight.effect.bio.is_write:
            _, work = sender(stack, flight.effect.id)
            if isinstance(work, Piece) and _token(session.world, work) == token:
                found.add(flight.effect.id)
    return found


def _is_flushed(world: World, disk: str) -> bool:
    """Whether the disk may be flushed beside what users flush: stores and merges do that."""
    return merges(world) or any(
        isinstance(store, Persistent) and disk in names_below(world.stack, world.rules, cow)
        for cow, store in _stores(world)
    )


def _stores(world: World) -> list[tuple[str, Store]]:
    """The exception stores that targets keep, each with the device that it is on."""
    types = world.rules.by_class
    kept = (types[type(target)].store(target) for target in world.stack.targets.values())
    return [one for one in kept if one is not None]


def _waiting(world: World, operation: op.Operation) -> set[WorkId]:
    """The ids of the flights that may as well end after the others."""
    if len(world.flights) < 2 or _looks_at_disks(world, operation):
        return set()
    if calm(world):
        return set(_behind_others(world))
    return set() if may_fail(world) else set(out_of_turn(world))


def _is_io(operation: op.Operation) -> bool:
    return isinstance(operation, op.Read | op.Write | op.Flush | op.Discard | op.Finish)


def commutes(session: Session, key: int | None, flight: Flight, after: Ahead) -> bool:
    """Whether the flight may as well end at once, while the operation under ``key`` is waited for, or is to come."""
    world = session.world
    if not isinstance(flight.effect, Io) or flight.effect.bio.op is Op.FLUSH:
        return False
    if world.rules.claiming and merges(world):
        return False  # nothing keeps that merge from the sectors that others write
    _, work = sender(world.stack, flight.effect.id)
    if isinstance(work, CopyJob):
        return work.reading and (_reads_alone(session, key, work) or reads_what_it_should(world, work, after))
    if key is None or not isinstance(work, Piece) or _token(world, work) != session.tasks[key].token:
        return False
    if (
        after.cuts
        and flight.effect.bio.is_write
        and (_others(session, key) or _is_flushed(world, flight.effect.bio.where))
    ):
        return False  # a flush makes durable what was written before it, so the order matters
    mine = session.tasks[key].operation
    return not any(overlap(world, mine, flight.effect.bio, other.operation) for other in _others(session, key))


def flight_of_lost(session: Session, key: int | None) -> Flight | None:
    """What is in flight because the operation under ``key``, which is alone, has made a snapshot overflow."""
    world = session.world
    lost = [t for t in world.stack.targets.values() if isinstance(t, SnapshotTarget) and (t.dropping or not t.valid)]
    if key is None or not lost or _others(session, key) or merges(world) or may_fail(world):
        return None
    devices = {snap.device for snap in lost if snap.merge is None}
    return next((flight for flight in world.flights if is_of_lost(world, flight, devices)), None)


def is_of_lost(world: World, flight: Flight, lost: set[str]) -> bool:
    """Whether a header is being invalidated, or a part of a bio is to be mapped by a snapshot that refuses it."""
    if isinstance(flight.effect, Io):
        work = sender(world.stack, flight.effect.id)[1]
        return isinstance(work, StoreIo) and work.step is StoreStep.DROP
    rest = world.stack.work[flight.effect.id]
    return isinstance(rest, Rest) and rest.bio.where in lost and len(world.stack.devices[rest.bio.where].live) == 1


def _others(session: Session, key: int) -> list[Task]:
    """The operations under way beside the one under ``key``."""
    return [t for k, t in session.tasks.items() if k != key and not _is_idle(session.world, t)]


def _reads_alone(session: Session, key: int | None, job: CopyJob) -> bool:
    """Whether there is nobody beside the operation under ``key`` who might change what a copy is to read."""
    return key is not None and not _others(session, key) and not _may_be_overtaken(session.world, job)


def _may_be_overtaken(world: World, job: CopyJob) -> bool:
    """Whether a write may reach what a copy is to read before the copy does, should the snapshot become invalid.

    Writes that are queued on this very exception wait even then; others may be waiting for that of another snapshot.  A
    copy that nobody waits for may still be in flight when the next operation begins.
    """
    snap = world.stack.targets[job.target]
    if job.purpose is not Copy.OUT or not isinstance(snap, SnapshotTarget) or calm(world):
        return False
    if merges(world) or any(device.deferred for device in world.stack.devices.values()):
        return True
    start = chunk_start(job.old, snap.store.chunk_size)
    end = start + job.destination.count
    pending = snap.pending[job.old]
    if not pending.waiting and not pending.origin_waiting:
        return True
    shifted = _is_shifted(world, snap)
    for id, work in world.stack.work.items():
        if isinstance(work, Rest) and work.bio.is_write and (shifted or work.bio.sector < end):
            return True
        if isinstance(work, Piece) and work.bio.is_write and id not in pending.origin_waiting:
            bio = work.bio
            if shifted or (bio.where == snap.origin and bio.sector < end and start < bio.sector + bio.count):
                return True
    return False


def _is_shifted(world: World, snap: SnapshotTarget) -> bool:
    """Whether sectors of the snapshot's origin have other numbers in some linear device that is not the origin."""
    mine = places(world.stack, snap.origin, 0, world.stack.size(snap.origin))
    for target in world.stack.targets.values():
        if isinstance(target, LinearTarget) and target.device != snap.origin:
            theirs = places(world.stack, target.lower, target.offset, target.line.length)
            if mine is None or theirs is None or overlaps(mine, theirs):
                return True
    return False


def _is_idle(world: World, task: Task) -> bool:
    """Whether an operation is over, or held back until somebody resumes its device."""
    if task.result is not None or task.token in world.ended or task.token in world.replies:
        return True
    if world.stack.requests:
        return False
    waiting = (world.stack.work[id] for d in world.stack.devices.values() if d.held for id in d.deferred)
    return any(isinstance(w, DeviceBio) and w.parent == SUBMITTER and w.token == task.token for w in waiting)


def _token(world: World, piece: Piece) -> int | None:
    """The token of the user's bio that a piece belongs to; None: it stands for a copy, or belongs to other work."""
    return submitter(world.stack, piece, lambda one: not one.full)


def _looks_at_disks(world: World, operation: op.Operation) -> bool:
    """Whether an operation sees or changes disks in another way than through snapshots, origins and merges."""
    match operation:
        case op.Metadata(disk):
            return not _is_store(world, disk)
        case op.Fault() | op.Heal():
            return True
        case op.Read(where) | op.Write(where) | op.Flush(where) | op.Discard(where):
            return where in world.disks or _is_near_disks(world, where)
        case op.Suspend(device) | op.Resume(device):
            return is_linear(world.stack, device)
        case op.Start(_, inner):
            return _looks_at_disks(world, inner)
        case _:
            return False


def _sees_no_disk(session: Session, key: int | None, operation: op.Operation) -> bool:
    """Whether this is I/O on a device, or a query of one, that does not look at disks in another way."""
    plain = op.inner(operation)
    plain = session.tasks[plain.key].operation if isinstance(plain, op.Finish) and key is not None else plain
    kinds = op.Read | op.Write | op.Flush | op.Discard | op.Status | op.Table | op.Events
    return isinstance(plain, kinds) and not _looks_at_disks(session.world, plain)


def _is_store(world: World, disk: str) -> bool:
    """Whether one persistent store alone is on the disk: then no data that is written there is in its metadata."""
    there = [(cow, store) for cow, store in _stores(world) if disk in names_below(world.stack, world.rules, cow)]
    return len(there) == 1 and there[0][0] == disk and isinstance(there[0][1], Persistent)


def _is_near_disks(world: World, name: str) -> bool:
    """Whether a device is linear, or lies on the COW device of a store."""
    stack = world.stack
    return is_linear(stack, name) or frame(stack, name) in {cow for cow, _ in _stores(world)}


def _behind_others(world: World) -> Iterator[WorkId]:
    """The copies in flight that are not the oldest of their snapshot."""
    met: dict[int, int] = {}
    for flight in world.flights:
        filled = _filled(world, flight)
        if filled is not None and met.setdefault(filled[0], filled[1]) != filled[1]:
            yield flight.effect.id


def out_of_turn(world: World) -> Iterator[WorkId]:
    """The writes in flight that fill an exception's chunk before an older exception, in flight as well, is filled."""
    filling = {f.effect.id: at for f in world.flights if (at := _filled(world, f)) is not None}
    under_way = set(filling.values())
    oldest: dict[int, int] = {}
    for target in {target for target, _ in under_way}:
        snap = world.stack.targets[target]
        if isinstance(snap, SnapshotTarget):
            oldest[target] = next(old for old in snap.order if (target, old) in under_way)
    for id, (target, chunk) in filling.items():
        _, work = sender(world.stack, id)
        if not (isinstance(work, CopyJob) and work.reading) and chunk != oldest.get(target, chunk):
            yield id


def _filled(world: World, flight: Flight) -> tuple[int, int] | None:
    """The snapshot and the chunk of the exception that a flight helps to fill."""
    match sender(world.stack, flight.effect.id)[1]:
        case CopyJob(target, Copy.OUT, int(chunk)) | Piece(target=target, chunk=int(chunk), full=True):
            return target, chunk
        case _:
            return None
