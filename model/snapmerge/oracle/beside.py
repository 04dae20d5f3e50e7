"""Reductions of the search for data that other operations have in flight.

*Data* are pieces of users' reads and writes that a disk has been given and that end when the disk has finished.

*   The search may postpone the end of data while it follows an operation that touches other sectors, if no other I/O
    touches the sectors of both (``_beyond``), and before one that does not access disks directly.  A write that ends
    later is less durable, so a power cut can leave everything that it could have left before.  Reads that a snapshot
    tracks are no data, since exceptions wait for them.
*   If only data is in flight, each sector of a read was read before a given write in flight, or after it.  The observed
    content says which, so one order suffices, or none explains the read.  This does not hold for a write whose sectors
    other I/O reads or writes, too: that may have to come before it.
"""

from collections.abc import Iterator, Mapping

from snapmerge.machine.core.bio import Bio, Buffer, Op, WorkId
from snapmerge.machine.core.events import Io
from snapmerge.machine.core.state import SUBMITTER, DeviceBio, Piece, Rest, Work
from snapmerge.machine.snapshot.state import SnapshotTarget
from snapmerge.oracle.calm import merges
from snapmerge.oracle.places import frame, places, submitter
from snapmerge.trace import operations as op
from snapmerge.trace.outcomes import Data, Outcome
from snapmerge.trace.payload import Content, Seen, as_seen
from snapmerge.units import Sector, Sectors, chunk_start
from snapmerge.world.disk import Unknown
from snapmerge.world.moves import finish
from snapmerge.world.session import Session
from snapmerge.world.state import Flight, World, payload_of

__all__ = ["data_that_waits", "data_token", "meet", "overlap", "read_as_seen", "sectors_of", "shows", "whole_chunks"]


def data_token(world: World, flight: Flight) -> int | None:
    """The token of the user's bio whose data the flight is; None: it is no data."""
    effect = flight.effect
    if not isinstance(effect, Io) or effect.bio.op is Op.FLUSH or flight.flushing:
        return None
    return submitter(world.stack, world.stack.work[effect.id], _is_data)


def _is_data(piece: Piece) -> bool:
    """Whether no other work depends on the end of this piece."""
    return not piece.full and piece.chunk is None and piece.then is None


def overlap(world: World, mine: op.Plain, bio: Bio, other: op.Plain) -> bool:
    """Whether a piece of an operation touches sectors of another; a device maps sectors to themselves."""
    return meet(world, _part(mine, bio), other)


def _part(operation: op.Plain, bio: Bio) -> op.Plain:
    """What a bio is of an operation: a discard of its sectors; the whole, where it is not known."""
    if not isinstance(operation, _RANGES) or not isinstance(bio.payload, Buffer):
        return operation
    return op.Discard(operation.where, Sector(operation.sector + bio.payload.offset), Sectors(bio.count))


def meet(world: World, mine: op.Plain, other: op.Plain) -> bool:
    """Whether two operations touch the same sectors; a flush touches none, and any other operation all."""
    if isinstance(other, op.Flush):
        return False
    if not isinstance(mine, _RANGES) or not isinstance(other, _RANGES):
        return True
    if mine.where != other.where and frame(world.stack, mine.where) != frame(world.stack, other.where):
        return True
    return mine.sector < other.sector + other.count and other.sector < mine.sector + mine.count


_RANGES = (op.Read, op.Write, op.Discard)


def _snapshots(world: World) -> list[SnapshotTarget]:
    return [target for target in world.stack.targets.values() if isinstance(target, SnapshotTarget)]


def shows(content: Content | Unknown, seen: Seen) -> bool:
    """Whether a read of this content shows ``seen``."""
    return not isinstance(content, Unknown) and as_seen(content) == seen


# --- what may wait -----------------------------------------------------------------------------------------------


def data_that_waits(session: Session, key: int | None) -> set[WorkId]:
    """The ids of data in flight whose end may be postponed until the operation has ended (WORLD-14).

    The operation accesses no disk directly; ``key`` is its key, None if it has not begun.
    """
    world = session.world
    copied = _copied(world)
    if world.stack.requests or merges(world) or copied is None:
        return set()
    mine = None if key is None else session.tasks[key]
    tasks = {task.token: task for task in session.tasks.values()}
    data: dict[WorkId, op.Plain] = {}
    for flight in world.flights:
        token = data_token(world, flight)
        if token is None or not isinstance(flight.effect, Io) or token not in tasks or tasks[token] is mine:
            continue
        if copied.isdisjoint(sectors_of(flight.effect.bio)):
            data[flight.effect.id] = _part(tasks[token].operation, flight.effect.bio)
    return set(data) if mine is None or not data else _beyond(session, data, mine.operation)


def _beyond(session: Session, data: dict[WorkId, op.Plain], operation: op.Plain) -> set[WorkId]:
    """The data that has nothing to do with an operation, not even through other I/O that comes in between."""
    world = session.world
    touched = [whole_chunks(world, operation)]
    left = dict(data)
    others = list(_others(session, set(data)))
    while touched:
        one = touched.pop()
        met = [id for id, part in left.items() if meet(world, part, one)]
        touched += [left.pop(id) for id in met]
        touched += [part for part in others if meet(world, part, one)]
        others = [part for part in others if not meet(world, part, one)]
    return set(left)


def _others(session: Session, data: set[WorkId]) -> Iterator[op.Plain]:
    """What is under way of users' I/O besides this data, each part over all the chunks that it has to do with."""
    work = session.world.stack.work
    tasks = {task.token: task.operation for task in session.tasks.values()}
    split = {above for id in data for above in _above(work, id)}
    for id, part in work.items():
        if not isinstance(part, Piece | Rest | DeviceBio) or (isinstance(part, DeviceBio) and part.remaining):
            continue
        *_, top = _above(work, id)
        sent = work[top]
        if id not in split and isinstance(sent, DeviceBio) and sent.token in tasks:
            yield whole_chunks(session.world, _part(tasks[sent.token], part.bio))


def _above(work: Mapping[WorkId, Work], id: WorkId) -> Iterator[WorkId]:
    """The id, and those of all that waits for this work."""
    while True:
        yield id
        above = work[id]
        if not isinstance(above, Piece | Rest | DeviceBio) or above.parent == SUBMITTER:
            return
        id = above.parent


def whole_chunks(world: World, operation: op.Plain) -> op.Plain:
    """The operation, extended to whole chunks if it writes: a write can copy the rest of its chunks."""
    if not isinstance(operation, op.Write | op.Discard):
        return operation
    chunk = max((snap.store.chunk_size for snap in _snapshots(world)), default=0) or 1
    start = operation.sector // chunk * chunk
    end = -(-(operation.sector + operation.count) // chunk) * chunk
    return op.Discard(operation.where, Sector(start), Sectors(end - start))


def _copied(world: World) -> set[tuple[str, int]] | None:
    """The disk sectors that pending exceptions are copies of; None: some of them are no sectors of a disk."""
    found: set[tuple[str, int]] = set()
    for snap in _snapshots(world):
        chunk, end = snap.store.chunk_size, world.stack.size(snap.origin)
        for old in snap.pending:
            start = chunk_start(old, chunk)
            ranges = places(world.stack, snap.origin, start, max(0, min(chunk, end - start)))
            if ranges is None:
                return None
            found |= {(name, at) for name, sector, count in ranges for at in range(sector, sector + count)}
    return found


def sectors_of(bio: Bio) -> set[tuple[str, int]]:
    """The sectors that a bio is for, each with the name of its disk or device."""
    return {(bio.where, at) for at in range(bio.sector, bio.sector + bio.count)}


# --- a read whose outcome is known -------------------------------------------------------------------------------


def read_as_seen(session: Session, key: int, seen: Outcome | None) -> tuple[World, ...] | None:
    """The one move that suffices to explain what a read has shown, as the world after it (WORLD-14).

    Empty: no order explains it.  None: this reduction does not apply, since more than data is in flight.
    """
    world, task = session.world, session.tasks[key]
    if not isinstance(task.operation, op.Read) or not isinstance(seen, Data) or not _is_only_data(world):
        return None
    if len(seen.sectors) != task.operation.count:
        return ()
    for flight in world.flights:
        if data_token(world, flight) == task.token and isinstance(flight.effect, Io):
            return _read_next(world, flight, flight.effect.bio, seen)
    return None


def _is_only_data(world: World) -> bool:
    """Whether the only possible moves are successful ends of data."""
    stack = world.stack
    return (
        not stack.requests
        and not merges(world)
        and not any(device.deferred for device in stack.devices.values())
        and not any(snap.pending for snap in _snapshots(world))
        and not any(disk.faults for disk in world.disks.values())
        and all(data_token(world, flight) is not None for flight in world.flights)
    )


def _read_next(world: World, flight: Flight, bio: Bio, seen: Data) -> tuple[World, ...] | None:
    """The next of the writes that the read has seen, else the read itself, if the disk holds what it has shown.

    None: two writes are to the same sector, other I/O shares sectors with a write that comes first, or a content is
    unknown.
    """
    if not isinstance(bio.payload, Buffer):
        return None
    wanted = dict(enumerate(seen.sectors[bio.payload.offset :][: bio.count], bio.sector))
    now = dict(zip(wanted, world.disks[bio.where].read(bio.sector, bio.count), strict=True))
    writes = [(other, written) for other, written in _writes(world, bio.where) if not written.keys().isdisjoint(wanted)]
    touched = [at for _, written in writes for at in written]
    known = not any(isinstance(c, Unknown) for held in (now, *(w for _, w in writes)) for c in held.values())
    if not known or len(touched) != len(set(touched)):
        return None
    for other, written in writes:
        both = written.keys() & wanted
        if any(not shows(now[at], wanted[at]) for at in both):
            if not all(shows(written[at], wanted[at]) for at in both):
                return ()
            return None if _is_shared(world, other, flight) else (finish(world, other),)
    return (finish(world, flight),) if all(shows(now[at], wanted[at]) for at in wanted) else ()


def _is_shared(world: World, write: Flight, read: Flight) -> bool:
    """Whether something in flight other than these two is for the sectors of the write, so that the order may show."""
    others = [f.effect for f in world.flights if f.effect is not write.effect and f.effect is not read.effect]
    mine = sectors_of(write.effect.bio) if isinstance(write.effect, Io) else set()
    return any(isinstance(other, Io) and not mine.isdisjoint(sectors_of(other.bio)) for other in others)


def _writes(world: World, disk: str) -> list[tuple[Flight, dict[int, Content | Unknown]]]:
    """The writes in flight to a disk, each with its contents by sector."""
    found = []
    for flight in world.flights:
        if isinstance(flight.effect, Io) and flight.effect.bio.is_write and flight.effect.bio.where == disk:
            bio = flight.effect.bio
            found.append((flight, dict(enumerate(payload_of(world, bio), bio.sector))))
    return found
