"""The core of device-mapper: bios enter a device, are split, mapped piece by piece, and end.

Source: ``dm_submit_bio``, ``dm_split_and_process_bio``, ``__send_empty_flush``, ``dm_io_dec_pending`` in dm.c.
"""

from typing import assert_never

from . import _concept, _copyout, _merge, _origin, _snapshot, _storeio
from ._bio import Bio, Op
from ._concept_state import ConceptIo, ConceptMerge, Generation, Worker
from ._draft import Draft
from ._errors import MachineError
from ._replace import replace
from ._state import (
    SUBMITTER,
    CopyJob,
    DeviceBio,
    LinearTarget,
    MergeFlush,
    OriginTarget,
    Piece,
    Rest,
    SnapshotTarget,
    StoreIo,
    Target,
    Wake,
)
from ._units import room_in_chunk

__all__ = ["complete", "enter", "map_piece", "piece_ended", "release_deferred", "send", "take"]


def send(d: Draft, id: int, bio: Bio) -> None:
    """Sends a bio to a disk or device on behalf of work ``id``, which ``complete`` will hear of, never at once."""
    if bio.op is not Op.FLUSH and bio.sector + bio.count > d.size(bio.where):
        d.ended.append((id, "EIO"))
    elif bio.where in d.devices:
        enter(d, DeviceBio(bio, parent=id))
    elif d.generation is Generation.CONCEPT and _is_claimed(d, bio, id):
        d.ended.append((id, "EBUSY"))
    else:
        d.io(id, bio)


def enter(d: Draft, work: DeviceBio) -> None:
    """A bio arrives at a mapped device, which may be holding I/O back."""
    id = d.begin(work)
    device = d.device(work.bio.where)
    if d.generation is Generation.CONCEPT and _is_claimed(d, work.bio, work.parent):
        _refused(d, id, work, "EBUSY")
    elif work.bio.op is Op.DISCARD and any(_clones(d.targets[t], work.bio) == 0 for t in device.live):
        _refused(d, id, work, "EOPNOTSUPP")
    elif device.held:
        d.put_device(replace(device, deferred=(*device.deferred, id)), over=device)
    elif not device.live:
        _refused(d, id, work, "EIO")
    else:
        d.put_device(replace(device, busy=device.busy + 1), over=device)
        _process(d, id, work)


def _refused(d: Draft, id: int, work: DeviceBio, error: str) -> None:
    """The bio is not let in."""
    d.end(id)
    _tell(d, replace(work, error=error))


def _is_claimed(d: Draft, bio: Bio, sender: int) -> bool:
    """Whether this is a write to what is somebody else's to write to; ``sender``: the work that it is for."""
    work = d.work.get(sender)
    by = d.targets[work.target].device if isinstance(work, Piece | CopyJob) else None
    return bio.is_write and _concept.is_claimed(d, bio.where, by)


def release_deferred(d: Draft, name: str) -> None:
    """Has the bios that were held back let in, by another thread.  Source: ``dm_queue_flush``."""
    device = d.device(name)
    if not device.held and device.deferred:
        d.requeue(d.begin(Wake(name)), later=True)


def _wake(d: Draft, name: str) -> None:
    """Lets in the first of what was held back, unless I/O is held back again by now.  Source: ``dm_wq_work``."""
    device = d.devices.get(name)
    if device is None or device.held or not device.deferred:
        return
    id, *rest = device.deferred
    d.put_device(replace(device, deferred=tuple(rest), busy=device.busy + 1), over=device)
    work = d.work[id]
    if isinstance(work, DeviceBio):
        _process(d, id, work)
    release_deferred(d, name)


def _process(d: Draft, id: int, work: DeviceBio) -> None:
    if work.bio.op is Op.FLUSH or work.bio.preflush:
        _send_flushes(d, id, work)
    else:
        _map_first(d, id, work.bio)


def _send_flushes(d: Draft, id: int, work: DeviceBio) -> None:
    """An empty flush to every target, as often as it wants one: a merge wants two."""
    targets = [d.targets[t] for t in d.device(work.bio.where).live]
    numbers = [(t.id, n) for t in targets for n in range(2 if _merges(t) else 1)]
    d.change(id, replace(work, remaining=len(numbers)), over=work)
    for target, number in numbers:
        map_piece(d, d.begin(Piece(id, target, Bio(Op.FLUSH, work.bio.where), number)))


def _merges(target: Target) -> bool:
    return isinstance(target, ConceptMerge) or (isinstance(target, SnapshotTarget) and target.merge is not None)


def _map_first(d: Draft, id: int, bio: Bio) -> None:
    """Maps as much of the bio as one target takes in one go; the rest is queued to be mapped later."""
    target = _target_at(d, bio)
    work = d.work[id]
    if not isinstance(work, DeviceBio):
        raise MachineError(f"work {id} is no bio: {work}")
    if target is None:
        d.change(id, replace(work, remaining=work.remaining + 1), over=work)
        _count_down(d, id, "EIO")
        return
    count = min(bio.count, target.line.start + target.line.length - bio.sector, d.rules.take(target, bio))
    number_of = _clones(target, bio)
    rest = count < bio.count
    d.change(id, replace(work, remaining=work.remaining + max(number_of, 1) + rest), over=work)
    if rest:
        d.requeue(d.begin(Rest(id, bio.without(count))))
    if number_of == 0:
        piece_ended(d, d.begin(Piece(id, target.id, bio)), "EOPNOTSUPP")
    for number in range(number_of):
        map_piece(d, d.begin(Piece(id, target.id, bio.first(count), number)))


def _target_at(d: Draft, bio: Bio) -> Target | None:
    """The target that the bio begins in; None: the table has become shorter while the bio was held back."""
    for id in d.device(bio.where).live:
        target = d.targets[id]
        if target.line.start <= bio.sector < target.line.start + target.line.length:
            return target
    return None


def take(target: Target, bio: Bio) -> int:
    """How many sectors from the bio's start one piece may have.  Source: ``max_io_len``, ``dm_accept_partial_bio``."""
    if isinstance(target, ConceptMerge):
        return room_in_chunk(bio.sector, target.io_max)
    if isinstance(target, SnapshotTarget) and target.io_max:
        return target.io_max - (bio.sector - target.line.start) % target.io_max
    if isinstance(target, OriginTarget) and bio.is_write:
        return target.boundary - bio.sector % target.boundary
    return bio.count


def _clones(target: Target, bio: Bio) -> int:
    """How many pieces a target wants of the same sectors; 0: it does not take such a bio.  ``num_discard_bios``."""
    if bio.op is not Op.DISCARD:
        return 1
    match target:
        case SnapshotTarget(discards=False) | OriginTarget() | ConceptMerge():
            return 0
        case SnapshotTarget(features=features):
            return features.zeroes + features.passdown
        case LinearTarget():
            return 1


def map_piece(d: Draft, id: int) -> None:
    """Lets the piece's target decide where it goes."""
    piece = d.piece(id)
    target = d.targets[piece.target]
    match target:
        case LinearTarget(lower=lower, offset=offset, line=line):
            send(d, id, piece.bio.to(lower, piece.bio.sector - line.start + offset))
        case OriginTarget():
            _origin.map_origin(d, id, target, piece)
        case SnapshotTarget(merge=None):
            d.rules.map_snapshot(d, id, target, piece)
        case SnapshotTarget():
            d.rules.map_merge(d, id, target, piece)
        case ConceptMerge():
            d.rules.concept.map_merge(d, id, target, piece)
        case _:
            assert_never(target)


def complete(d: Draft, id: int, error: str | None, data: bytes = b"") -> None:
    """Something that was asked for is done, well or badly."""
    work = d.work[id]
    match work:
        case Piece(full=True):
            _copyout.full_written(d, work, error)
        case Piece(then=Bio()) if error is None:
            _concept.second_leg(d, id, work)
        case Piece():
            piece_ended(d, id, error)
        case Rest(parent, bio):
            d.end(id)
            _map_first(d, parent, bio)
            _count_down(d, parent, None)
        case Wake(device):
            d.end(id)
            _wake(d, device)
        case CopyJob():
            _copyout.copy_step(d, id, work, error)
        case StoreIo():
            _storeio.step_done(d, id, work, error, data)
        case MergeFlush(target):
            d.end(id)
            _merge.flushed(d, d.snapshot(target), error)
        case ConceptIo():
            _concept.io_done(d, id, work, error, data)
        case Worker(target):
            d.end(id)
            _concept.turn(d, target)
        case DeviceBio():
            raise MachineError(f"a bio ends when its pieces have: {work}")
        case _:
            assert_never(work)


def piece_ended(d: Draft, id: int, error: str | None) -> None:
    """A piece has ended; what was tracked for it no longer is.  Source: ``snapshot_end_io``."""
    piece = d.piece(id)
    d.end(id)
    if piece.chunk is not None and not piece.full:
        target = d.targets[piece.target]
        if isinstance(target, ConceptMerge):
            _concept.untrack(d, target, piece.chunk)
        else:
            _snapshot.untrack(d, piece.target, piece.chunk)
    _count_down(d, piece.parent, error)


def _count_down(d: Draft, id: int, error: str | None) -> None:
    work = d.work[id]
    if not isinstance(work, DeviceBio):
        raise MachineError(f"work {id} is no bio: {work}")
    work = d.change(id, replace(work, remaining=work.remaining - 1, error=work.error or error), over=work)
    if work.remaining == 0:
        _bio_ended(d, id, work)


def _bio_ended(d: Draft, id: int, work: DeviceBio) -> None:
    if work.bio.preflush and work.error is None:
        work = d.change(id, replace(work, bio=replace(work.bio, preflush=False)), over=work)
        if work.bio.count:
            _map_first(d, id, work.bio)
            return
    d.end(id)
    device = d.device(work.bio.where)
    if device.live:
        d.put_device(replace(device, busy=device.busy - 1), over=device)
    if work.parent == SUBMITTER and work.bio.op is Op.DISCARD and work.error == "EOPNOTSUPP":
        work = replace(work, error=None)  # once it is let in, its user does not hear of that: blkdev_issue_discard
    _tell(d, work)


def _tell(d: Draft, work: DeviceBio) -> None:
    """Tells whoever waits for it that a bio has ended."""
    if work.parent == SUBMITTER:
        d.end_bio(work.token, work.error)
    else:
        d.ended.append((work.parent, work.error))
