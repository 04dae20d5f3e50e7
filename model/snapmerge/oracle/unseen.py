"""Exceptions whose making shows to nobody: they are made at once, and the mapping of other chunks waits.

The problem.  A write of 1,024 chunks over two snapshots makes 2,048 exceptions, each by a read, a write and a commit,
which may end in any order beside the operation that is asked about.  Nearly all of these orders look the same.

Where it holds (``_is_unseen``).  From here on come only reads, writes and flushes of devices that are not linear, and
the ends of operations (``Ahead.only_io``): no status, no power cut, no fault, no look at a disk, no other table.  No
merge, request or discard is under way, nothing is held back, and no disk has a fault.  Every snapshot has room for an
exception of each of its chunks (``roomy``), so that none is ever lost.  Each COW device consists of sectors that nobody
else uses, and what lies below a snapshot is a disk, through linear devices at most.

What then shows.  A read shows what is in the sectors of its chunks, and the end of an operation that it could end.
Where on a COW device a chunk lies, what is committed, and in which order, shows nowhere.

*Copies and commits are made at once.*  Let X be a session, Y the same after one of them.  Whatever X can show Y can.

*   The copy holds what the origin does until then: a write to the chunk waits for the exception, and nothing that was
    sent without asking the snapshot is in flight there (``reads_what_it_should``).
*   A read of the snapshot that X maps to the origin, since the exception is not published, Y maps to the copy.  X reads
    what was there before the exception: those that wait for it go on only when such reads have ended.  In Y the same
    is in the copy until a write of the snapshot's ends there, and Y can let the read end first.
*   A write that waits in X has been sent in Y.  It is data in flight, which may end as late as in X.
*   A commit publishes chunks that a write has filled, too.  X may read such a chunk from the origin after it was
    filled.  That it was filled shows only after the commit, so Y can fill it after that read is mapped.
*   Exceptions are committed in the order of allocation.  Y has committed more, so nothing in Y waits for more.
*   Nothing is allocated or freed by it, and there is room for all, so no later write finds less room.

*A read need not wait for the mapping of other chunks.*  A part of a write that is still to be mapped (``Rest``)
allocates exceptions of its own chunks.  These are younger than all that there are, so none of those waits for them, and
what is sent for them is for other sectors than the read's.  So it can be mapped after the read has ended as well; only
the places of exceptions on the COW device differ.  Mapping is *not* done at once: a read may see a write half mapped.
"""

from snapmerge.machine.core.bio import WorkId
from snapmerge.machine.core.events import Io, Requeue
from snapmerge.machine.core.state import SUBMITTER, CopyJob, DeviceBio, Rest
from snapmerge.machine.snapshot.state import Copy, OriginTarget, SnapshotTarget, StoreIo, StoreStep
from snapmerge.oracle.beside import data_token, overlap, sectors_of, whole_chunks
from snapmerge.oracle.calm import Ahead, calm, merges, reads_what_it_should, roomy
from snapmerge.oracle.places import Place, overlaps, places, sender
from snapmerge.records import replace
from snapmerge.trace import operations as op
from snapmerge.world.moves import finish
from snapmerge.world.session import Session
from snapmerge.world.state import Flight, Flights, World

__all__ = ["made_at_once", "made_without_data", "mapped_beside", "mapped_later"]

_AT_ONCE_MAX = 4096
"""How many moves are made at once at most, so that whoever waits can give up between them."""


def made_at_once(session: Session, after: Ahead) -> World | None:
    """The world in which the exceptions in the making have come as far as they get without data that is to end.

    None: none can go on, or how far they have come may show.
    """
    world, moved = session.world, 0
    if not world.flights or not _is_unseen(session, after):
        return None
    data: list[Flight] = []
    written: set[tuple[str, int]] = set()
    while moved < _AT_ONCE_MAX:
        world = _without_data(world, data, written)
        last = next((f for f in reversed(world.flights) if made_without_data(world, f, after, written)), None)
        if last is None:
            break
        world, moved = finish(world, last), moved + 1
    return replace(world, flights=Flights((*data, *_without_data(world, data, written).flights))) if moved else None


def mapped_later(session: Session, operation: op.Operation, after: Ahead) -> set[WorkId]:
    """The ids of parts of writes that may as well be mapped when the operation, a read, has ended."""
    world = session.world
    plain = session.tasks[operation.key].operation if isinstance(operation, op.Finish) else operation
    rests = [f.effect.id for f in world.flights if isinstance(f.effect, Requeue)]
    if not rests or not isinstance(plain, op.Read) or not _is_unseen(session, after):
        return set()
    wide = whole_chunks(world, op.Discard(plain.where, plain.sector, plain.count))
    return {id for id in rests if mapped_beside(session, id, wide)}


def _is_unseen(session: Session, after: Ahead) -> bool:
    """Whether nothing that comes shows how far exceptions have come."""
    world = session.world
    stack = world.stack
    if not after.only_io or stack.requests or any(isinstance(t.operation, op.Discard) for t in session.tasks.values()):
        return False
    if any(device.held or device.deferred for device in stack.devices.values()):
        return False
    if any(disk.faults for disk in world.disks.values()) or merges(world):
        return False
    return _are_apart(world) and roomy(world) and calm(world)


def _are_apart(world: World) -> bool:
    """Whether there are snapshots, and each COW device consists of sectors of disks that no other target shows."""
    stack = world.stack
    snaps = [target for target in stack.targets.values() if isinstance(target, SnapshotTarget)]
    lower = {snap.origin for snap in snaps} | {t.lower for t in stack.targets.values() if isinstance(t, OriginTarget)}
    used: tuple[Place, ...] = ()
    for snap in snaps:
        cow = places(stack, snap.cow, 0, stack.size(snap.cow))
        if cow is None or overlaps(used, cow):
            return False
        used += cow
    shown = [places(stack, name, 0, stack.size(name)) for name in lower]
    return bool(snaps) and all(there is not None and not overlaps(used, there) for there in shown)


def _without_data(world: World, data: list[Flight], written: set[tuple[str, int]]) -> World:
    """The world without the data in flight, which is put aside, as are the sectors that it is for."""
    rest = []
    for flight in world.flights:
        if data_token(world, flight) is None or not isinstance(flight.effect, Io):
            rest.append(flight)
            continue
        data.append(flight)
        if flight.effect.bio.is_write:
            written |= sectors_of(flight.effect.bio)
    return replace(world, flights=Flights(rest))


def made_without_data(world: World, flight: Flight, after: Ahead, written: set[tuple[str, int]]) -> bool:
    """Whether a flight copies or commits, with no need that data in flight to the sectors ``written`` ends first."""
    match sender(world.stack, flight.effect.id)[1]:
        case CopyJob(purpose=Copy.OUT, reading=True) as job if isinstance(flight.effect, Io):
            return written.isdisjoint(sectors_of(flight.effect.bio)) and reads_what_it_should(world, job, after)
        case CopyJob(purpose=Copy.OUT):
            return True
        case StoreIo(step=StoreStep.ZERO_NEXT | StoreStep.WRITE_AREA):
            return True
        case _:
            return False


def mapped_beside(session: Session, id: WorkId, wide: op.Plain) -> bool:
    """Whether this is a part of a user's write that is for none of the chunks of another operation."""
    rest = session.world.stack.work[id]
    above = session.world.stack.work.get(rest.parent) if isinstance(rest, Rest) else None
    if not isinstance(rest, Rest) or not isinstance(above, DeviceBio) or above.parent != SUBMITTER:
        return False
    mine = next((t.operation for t in session.tasks.values() if t.token == above.token), None)
    return isinstance(mine, op.Write) and not overlap(session.world, mine, rest.bio, wide)
