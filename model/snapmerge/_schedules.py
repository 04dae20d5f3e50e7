"""Every schedule of an operation, without those that can't make a difference.

In principle any effect in flight may be the next to finish.  Most orders lead to the same: the forty pieces of a
read can end in 40! ways.  What is left out, and why nothing is lost by it:

*   While an operation is waited for, nobody looks before it ends.  A piece of its data may as well be done at
    once, unless another operation under way touches the same sectors; and so may the read half of a copy, if there is
    no other, and nobody who might write to what it reads if the snapshot is lost.
*   Copies of one snapshot are committed in the order of allocation.  Which of them ends first shows only when one
    fails, when the store overflows meanwhile, or to somebody who reads the disk.  In a ``calm`` world none of that can
    happen, and they end in their order.
*   Where a store may overflow but no disk can fail, the *writes* of those copies, and writes that fill a chunk in place
    of one, end in the order of allocation: what has been filled out of turn waits for its turn, whatever becomes of the
    snapshot meanwhile, and so does who is to see it.  What they read is free: an origin need not wait for a snapshot
    that is lost.
*   In a calm world without a merge, the order of everything that an operation does by itself shows only in what a power
    cut would take back.  Where none comes (``cuts`` is false), the canonical schedule stands for all.
"""

from collections.abc import Callable, Iterator

from . import _operations as op
from ._bio import Bio, Buffer, Op
from ._concept_state import ConceptMerge, Generation
from ._direct import metadata
from ._disk import Disk
from ._events import Io
from ._outcomes import Done
from ._session import Result, Session, Task, blocked, enter, poll, tend
from ._state import (
    SUBMITTER,
    CopyJob,
    DeviceBio,
    LinearTarget,
    Phase,
    Piece,
    Purpose,
    Rest,
    SnapshotTarget,
    StoreIo,
    StoreStep,
    Work,
)
from ._units import chunk_count, chunk_start
from ._world import Flight, World, advance, finish, moves

__all__ = ["calm", "outcomes"]

Node = tuple[int | None, Session]
"""A session in which the operation has begun under a key, or (None) has not."""


def _nothing() -> None:
    pass


def outcomes(
    session: Session, operation: op.Operation, spend: Callable[[], None] = _nothing, *, cuts: bool = True
) -> Iterator[tuple[Result, Session]]:
    """Every outcome that an operation can have, with the session that it leaves, over every schedule.

    What is in flight may go on before the operation begins, and does so first: the canonical schedule comes first.
    ``spend`` is called for every world that is looked at; it may raise to end the search.  ``cuts``: the power may
    be cut later.

    Raises:
        OperationError: the operation makes no sense here; WouldBlock: it would never end.
    """
    seen: set[Node] = set()
    stack: list[Iterator[Node]] = [iter([(None, session)])]
    while stack:
        node = next(stack[-1], None)
        if node is None:
            stack.pop()
        elif node not in seen:
            spend()
            seen.add(node)
            result = _ended(node, operation)
            if result is not None:
                yield result
            else:
                stack.append(_next_nodes(node[0], tend(node[1]), operation, cuts=cuts))
                if node[0] is None and isinstance(operation, op.Start):
                    for here in _known_enough(node[1], operation.operation):
                        yield Done(), enter(here, operation)[1]


def _ended(node: Node, operation: op.Operation) -> tuple[Result, Session] | None:
    key, session = node
    if key is None:
        return None
    session, result = poll(session, key)
    if result is None and not session.world.flights:
        result = blocked(operation)
    return None if result is None else (result, session)


def _next_nodes(key: int | None, session: Session, operation: op.Operation, *, cuts: bool) -> Iterator[Node]:
    for world in _next_worlds(key, session, operation, cuts=cuts):
        yield key, Session(world, session.tasks)
    if key is None:
        for here in _known_enough(session, operation):
            begun, after = enter(here, operation)
            if begun is not None:
                yield begun, after


def _known_enough(session: Session, operation: op.Operation) -> Iterator[Session]:
    """The session in every way in which what the operation must know of a disk can turn out."""
    if not isinstance(operation, op.Metadata):
        yield session
        return
    for world, _ in metadata(session.world, operation.disk):
        yield Session(world, session.tasks)


def _next_worlds(key: int | None, session: Session, operation: op.Operation, *, cuts: bool) -> Iterator[World]:
    world = session.world
    flight = None if key is None else next((f for f in world.flights if _commutes(session, key, f)), None)
    alone = key is not None and all(k == key or _is_over(world, t) for k, t in session.tasks.items())
    if flight is not None:
        yield finish(world, flight)
    elif alone and not cuts and world.flights and _is_io(operation) and not _merges(world) and calm(world):
        yield advance(world)
    elif not _looks_at_disks(world, operation) and calm(world):
        waiting = set(_behind_others(world))
        yield from moves(world, unless=lambda flight: flight.effect.id in waiting)
    elif not _looks_at_disks(world, operation) and not _may_fail(world):
        waiting = set(_out_of_turn(world))
        yield from moves(world, unless=lambda flight: flight.effect.id in waiting)
    else:
        yield from moves(world)


def _is_io(operation: op.Operation) -> bool:
    return isinstance(operation, op.Read | op.Write | op.Flush | op.Discard | op.Finish)


def _merges(world: World) -> bool:
    """Whether a merge is under way, which goes on beside everything else."""
    if any(isinstance(t, ConceptMerge) and t.works for t in world.stack.targets.values()):
        return True
    merges = (t.merge for t in world.stack.targets.values() if isinstance(t, SnapshotTarget))
    return any(merge is not None and merge.phase is not Phase.IDLE for merge in merges)


def _commutes(session: Session, key: int, flight: Flight) -> bool:
    """Whether the flight may as well end at once, while the operation under ``key`` is waited for."""
    if not isinstance(flight.effect, Io) or flight.effect.bio.op is Op.FLUSH:
        return False
    if session.world.stack.generation is Generation.CONCEPT and _merges(session.world):
        return False  # nothing keeps that merge from the sectors that others write
    work = session.world.stack.work.get(flight.effect.id)
    others = [t for k, t in session.tasks.items() if k != key and not _is_over(session.world, t)]
    if isinstance(work, CopyJob):
        return work.reading and not others and not _may_be_overtaken(session.world, work)
    if not isinstance(work, Piece) or work.full or _token(session.world, work) != session.tasks[key].token:
        return False
    mine = session.tasks[key].operation
    return not any(_overlap(mine, flight.effect.bio, other.operation) for other in others)


def _may_be_overtaken(world: World, job: CopyJob) -> bool:
    """Whether what a copy is to read may be written to before: by those who need not wait when the snapshot is lost.

    Who waits for this very exception does so even then; others may be waiting for that of another snapshot.  A copy
    that nobody waits for may still be there when the next operation begins.
    """
    snap = world.stack.targets[job.target]
    if job.purpose is not Purpose.COPY_OUT or not isinstance(snap, SnapshotTarget) or calm(world):
        return False
    if _merges(world) or any(device.deferred for device in world.stack.devices.values()):
        return True
    start = chunk_start(job.old, snap.store.chunk_size)
    end = start + job.destination.count
    pending = snap.pending[job.old]
    if not pending.waiting and not pending.origin_waiting:
        return True
    shifted = any(isinstance(t, LinearTarget) for t in world.stack.targets.values())
    for id, work in world.stack.work.items():
        if isinstance(work, Rest) and work.bio.is_write and (shifted or work.bio.sector < end):
            return True
        if isinstance(work, Piece) and work.bio.is_write and id not in pending.origin_waiting:
            bio = work.bio
            if shifted or (bio.where == snap.origin and bio.sector < end and start < bio.sector + bio.count):
                return True
    return False


def _is_over(world: World, task: Task) -> bool:
    return task.result is not None or task.token in world.ended or task.token in world.replies


def _token(world: World, piece: Piece) -> int | None:
    """Whose bio the piece is part of, at the end."""
    work: Work | None = piece
    while isinstance(work, Piece):
        above = world.stack.work[work.parent]
        if not isinstance(above, DeviceBio):
            return None
        if above.parent == SUBMITTER:
            return above.token
        work = world.stack.work[above.parent]
    return None


def _overlap(mine: op.Plain, bio: Bio, other: op.Plain) -> bool:
    """Whether a piece of an operation touches sectors of another; a device maps sectors to themselves."""
    if isinstance(other, op.Flush):
        return False
    if not isinstance(mine, _RANGES) or not isinstance(other, _RANGES) or not isinstance(bio.payload, Buffer):
        return True
    start = mine.sector + bio.payload.offset
    return start < other.sector + other.count and other.sector < start + bio.count


_RANGES = (op.Read, op.Write, op.Discard)


def _looks_at_disks(world: World, operation: op.Operation) -> bool:
    match operation:
        case op.Metadata() | op.Fault() | op.Heal():
            return True
        case op.Read(where) | op.Write(where) | op.Flush(where) | op.Discard(where):
            return where in world.disks
        case _:
            return False


def _behind_others(world: World) -> Iterator[int]:
    """The copies in flight that are not the oldest of their snapshot."""
    met: set[int] = set()
    for flight in world.flights:
        work = world.stack.work.get(flight.effect.id)
        if (isinstance(work, CopyJob) and work.purpose is Purpose.COPY_OUT) or (isinstance(work, Piece) and work.full):
            if work.target in met:
                yield flight.effect.id
            met.add(work.target)


def _out_of_turn(world: World) -> Iterator[int]:
    """The writes in flight that fill an exception's chunk before an older exception, in flight as well, is filled."""
    filling = {f.effect.id: at for f in world.flights if (at := _filled(world, f)) is not None}
    under_way = set(filling.values())
    for id, (target, chunk) in filling.items():
        snap, work = world.stack.targets[target], world.stack.work[id]
        if isinstance(snap, SnapshotTarget) and not (isinstance(work, CopyJob) and work.reading):
            oldest = next(old for old in snap.order if (target, old) in under_way)
            if chunk != oldest:
                yield id


def _filled(world: World, flight: Flight) -> tuple[int, int] | None:
    """The snapshot and the chunk of the exception that a flight helps to fill."""
    match world.stack.work.get(flight.effect.id):
        case CopyJob(target, Purpose.COPY_OUT, int(chunk)) | Piece(target=target, chunk=int(chunk), full=True):
            return target, chunk
        case _:
            return None


def _may_fail(world: World) -> bool:
    return any(disk.faults and _matters(world, name, disk) for name, disk in world.disks.items())


def calm(world: World) -> bool:
    """Whether no exception that is in the making, or will be for what is under way, can fail.

    A merge goes on, and may need one for every chunk.  A copy for a snapshot that is lost has failed, in a way: nobody
    waits for it who does not yet.
    """
    if _may_fail(world):
        return False
    needed = 0
    merges = _merges(world)
    for work in world.stack.work.values():
        if isinstance(work, Rest):
            needed += work.bio.count
        elif isinstance(work, Piece):
            needed += 1
        elif isinstance(work, StoreIo | CopyJob) and _is_of_lost(world, work):
            return False
    return all(
        _room(world, target) >= (chunk_count(target.table_size, target.store.chunk_size or 1) if merges else needed)
        for target in world.stack.targets.values()
        if isinstance(target, SnapshotTarget) and target.merge is None and target.valid
    )


def _is_of_lost(world: World, work: StoreIo | CopyJob) -> bool:
    """Whether this is done for a snapshot that is being lost, or a copy for one that has been."""
    if isinstance(work, StoreIo):
        return work.step is StoreStep.DROP
    snap = world.stack.targets[work.target]
    return work.purpose is Purpose.COPY_OUT and isinstance(snap, SnapshotTarget) and not snap.valid


def _room(world: World, snap: SnapshotTarget) -> int:
    """How many exceptions a store has room for, at least."""
    if not snap.store.chunk_size or snap.cow not in world.disks:
        return 0
    total = world.disks[snap.cow].size
    allocated, _, metadata = snap.store.usage(total)
    chunks = (total - allocated) // snap.store.chunk_size
    return chunks - chunks // 32 - 2 if metadata else chunks


def _matters(world: World, name: str, disk: Disk) -> bool:
    """Whether a disk's faults can make a copy-out fail: reads of an origin, writes and flushes of a COW device."""
    kinds = {kind for kind, _, _ in disk.faults}
    targets = world.stack.targets.values()
    copying = [t for t in targets if isinstance(t, SnapshotTarget) and t.merge is None and t.valid]
    if any(isinstance(t, LinearTarget) for t in targets):
        return True
    if "read" in kinds and any(t.origin == name for t in copying):
        return True
    return bool(kinds & {"write", "flush"}) and any(t.cow == name for t in copying)
