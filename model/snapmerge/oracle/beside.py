"""Reductions of the search for data that other operations have in flight.

*Data* are pieces of users' reads and writes that a disk has been given and that end when the disk has finished.

*   The search may postpone the end of data while it follows an operation that touches other sectors, and before one
    that does not access disks directly.  A write that ends later is less durable, so a power cut can leave everything
    that it could have left before.  Reads that a snapshot tracks are no data, since exceptions wait for them.
*   If only data is in flight, each sector of a read was read before a given write in flight, or after it.  The observed
    content says which, so one order suffices, or none explains the read.
"""

from snapmerge.machine.core.bio import Bio, Buffer, Op, WorkId
from snapmerge.machine.core.events import Io
from snapmerge.machine.core.state import Piece
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

__all__ = ["data_that_waits", "overlap", "read_as_seen", "shows"]


def _data_token(world: World, flight: Flight) -> int | None:
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
    if isinstance(other, op.Flush):
        return False
    if not isinstance(mine, _RANGES) or not isinstance(other, _RANGES) or not isinstance(bio.payload, Buffer):
        return True
    if frame(world.stack, mine.where) != frame(world.stack, other.where):
        return True
    start = mine.sector + bio.payload.offset
    return start < other.sector + other.count and other.sector < start + bio.count


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
    wide = None if mine is None else _whole_chunks(world, mine.operation)
    tasks = {task.token: task for task in session.tasks.values()}
    found: set[WorkId] = set()
    for flight in world.flights:
        token = _data_token(world, flight)
        if token is None or not isinstance(flight.effect, Io) or token not in tasks or tasks[token] is mine:
            continue
        touched = wide is not None and overlap(world, tasks[token].operation, flight.effect.bio, wide)
        if not touched and copied.isdisjoint(_sectors(flight.effect.bio)):
            found.add(flight.effect.id)
    return found


def _whole_chunks(world: World, operation: op.Plain) -> op.Plain:
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


def _sectors(bio: Bio) -> set[tuple[str, int]]:
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
        if _data_token(world, flight) == task.token and isinstance(flight.effect, Io):
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
        and all(_data_token(world, flight) is not None for flight in world.flights)
    )


def _read_next(world: World, flight: Flight, bio: Bio, seen: Data) -> tuple[World, ...] | None:
    """The next of the writes that the read has seen, else the read itself, if the disk holds what it has shown.

    None: two writes are to the same sector, or a content is unknown.
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
            return (finish(world, other),) if all(shows(written[at], wanted[at]) for at in both) else ()
    return (finish(world, flight),) if all(shows(now[at], wanted[at]) for at in wanted) else ()


def _writes(world: World, disk: str) -> list[tuple[Flight, dict[int, Content | Unknown]]]:
    """The writes in flight to a disk, each with its contents by sector."""
    found = []
    for flight in world.flights:
        if isinstance(flight.effect, Io) and flight.effect.bio.is_write and flight.effect.bio.where == disk:
            bio = flight.effect.bio
            found.append((flight, dict(enumerate(payload_of(world, bio), bio.sector))))
    return found
