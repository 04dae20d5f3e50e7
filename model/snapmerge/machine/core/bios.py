"""The core of device-mapper: bios enter a device, are split, mapped piece by piece, and end.

A bio that is let in becomes ``DeviceBio`` work.  A flush, or the preflush of a write, is cloned to every target of the
table.  Anything else is mapped from its first sector on: one target takes as much of it as it can handle at once
(``max_io_len``), as one or more ``Piece``s, and the rest is queued to be mapped later (``Rest``).  The target's ``map``
sends a piece to a lower device or disk, or queues it; its ``end_io`` is called when that I/O has ended.  The bio ends
with its last piece, with the first error.

While a device is suspended, bios are deferred; after the resume another thread lets them in one by one (``Wake``).

All work ends in ``complete``, which calls the function that the rules have for that class of work.  An end that is
known at once (a sector beyond the end of a disk) is queued, so that no transition is called back by a function that it
calls.

Source: ``dm_submit_bio``, ``dm_split_and_process_bio``, ``__send_empty_flush``, ``dm_io_dec_pending`` in dm.c
(specs/devices.md).
"""

from snapmerge.errors import MachineError
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import SUBMITTER, CopyJob, Device, DeviceBio, Piece, Rest, Target, Wake, Work
from snapmerge.machine.core.tables import takes_discards
from snapmerge.records import replace

__all__ = [
    "complete",
    "count_down",
    "enter",
    "map_piece",
    "piece_done",
    "piece_ended",
    "release_deferred",
    "rest_done",
    "retry",
    "send",
    "wake_done",
]


def send(d: Draft, id: WorkId, bio: Bio) -> None:
    """Sends a bio to a disk, or to a device (DEV-17), for the work ``id``, which ``complete`` ends later.

    A piece keeps the bio that it was mapped to.
    """
    work = d.work[id]
    if isinstance(work, Piece) and work.bio is not bio:
        d.change(id, replace(work, bio=bio), over=work)
    if bio.op is not Op.FLUSH and bio.sector + bio.count > d.size(bio.where):
        d.end_later(id, "EIO")
    elif bio.where in d.devices:
        enter(d, DeviceBio(bio, parent=id))
    elif d.rules.claiming and _is_claimed(d, bio, id):
        d.end_later(id, "EBUSY")
    else:
        d.io(id, bio)


def enter(d: Draft, work: DeviceBio) -> None:
    """A bio arrives at a mapped device, which refuses it, holds it back (DEV-2, WORLD-1), or lets it in.

    A device without a live table fails every bio (DEV-6, DEV-21).
    """
    id = d.begin(work)
    device = d.device(work.bio.where)
    if d.rules.claiming and _is_claimed(d, work.bio, work.parent):
        _refuse(d, id, work, "EBUSY")
    elif (error := _not_submittable(d, work.bio)) is not None:
        _refuse(d, id, work, error)
    elif _is_needless(device, work.bio):
        _refuse(d, id, work, None)
    elif device.held:
        d.put_device(replace(device, deferred=(*device.deferred, id)), over=device)
    elif not device.live:
        _refuse(d, id, work, "EIO")
    else:
        d.put_device(replace(device, busy=device.busy + 1), over=device)
        _process(d, id, work)


def _refuse(d: Draft, id: WorkId, work: DeviceBio, error: str | None) -> None:
    d.end(id)
    _tell(d, work, error)


def _is_needless(device: Device, bio: Bio) -> bool:
    """Whether it is a flush of a device that has nothing to flush, which ends at once (DEV-29).

    Source: ``submit_bio_noacct``.
    """
    return bio.op is Op.FLUSH and device.typed and not device.flushes


def _not_submittable(d: Draft, bio: Bio) -> str | None:
    """Why the block layer refuses the whole bio, by the live table; None: it does not.

    A deferred bio is submitted again after a resume: if it does not fit the new table, it is refused before any part of
    it is mapped (DEV-16, DEV-22).  Source: ``bio_check_eod`` in ``submit_bio_noacct``.
    """
    live = d.device(bio.where).live
    if bio.op is not Op.FLUSH and live and bio.sector + bio.count > d.size(bio.where):
        return "EIO"
    if bio.op is Op.DISCARD and live and not takes_discards(d, bio.where):
        return "EOPNOTSUPP"
    return None


def _is_claimed(d: Draft, bio: Bio, sender: WorkId) -> bool:
    """Whether this is a write to a device on which a target forbids writes; ``sender``: the work that submits it."""
    if not bio.is_write:
        return False
    work = d.work.get(sender)
    by = d.targets[work.target].device if isinstance(work, Piece | CopyJob) else None
    claiming = (t for t in d.targets.values() if type(t) in d.rules.claiming)
    return any((claims := d.type_of(t).claims) is not None and claims(d, t, bio.where, by) for t in claiming)


# --- bios that were held back ------------------------------------------------------------------------------------


def release_deferred(d: Draft, name: str) -> None:
    """Wakes the thread that lets in deferred bios, if there are any.  Source: ``dm_queue_flush``."""
    device = d.device(name)
    if not device.held and device.deferred:
        d.requeue(d.begin(Wake(name)), later=True)


def wake_done(d: Draft, id: WorkId, wake: Wake, _error: str | None, _data: bytes) -> None:
    """Lets in the first deferred bio (DEV-2), unless I/O is held back again.  Source: ``dm_wq_work``."""
    d.end(id)
    device = d.devices.get(wake.device)
    if device is None or device.held or not device.deferred:
        return
    first, *rest = device.deferred
    work = _device_bio(d, first)
    error = _not_submittable(d, work.bio)
    enters = error is None and not _is_needless(device, work.bio)
    d.put_device(replace(device, deferred=tuple(rest), busy=device.busy + enters), over=device)
    if enters:
        _process(d, first, work)
    else:
        _refuse(d, first, work, _as_submitted(work, error))
    release_deferred(d, wake.device)


# --- a bio is split and mapped -----------------------------------------------------------------------------------


def _process(d: Draft, id: WorkId, work: DeviceBio) -> None:
    if work.bio.op is Op.FLUSH or work.bio.preflush:
        _send_flushes(d, id, work)
    else:
        _map_first(d, id, work.bio)


def _send_flushes(d: Draft, id: WorkId, work: DeviceBio) -> None:
    """Sends an empty flush to every target, as many clones of it as the target wants."""
    flush = Bio(Op.FLUSH, work.bio.where)
    targets = [d.targets[t] for t in d.device(work.bio.where).live]
    numbers = [(t.id, n) for t in targets for n in range(_clones(d, t, flush))]
    work = d.change(id, replace(work, remaining=len(numbers)), over=work)
    if not numbers:
        _bio_ended(d, id, work)
    for target, number in numbers:
        map_piece(d, d.begin(Piece(id, target, flush, number)))


def _map_first(d: Draft, id: WorkId, bio: Bio) -> None:
    """Maps as much of the bio as one target takes at once (DEV-11); the rest is queued to be mapped later."""
    target = _target_at(d, bio)
    work = _device_bio(d, id)
    if target is None:
        d.change(id, replace(work, remaining=work.remaining + 1), over=work)
        count_down(d, id, "EIO")
        return
    end = target.line.start + target.line.length
    count = min(bio.count, end - bio.sector, d.type_of(target).max_io_len(d, target, bio))
    clones = _clones(d, target, bio)
    rest = count < bio.count
    d.change(id, replace(work, remaining=work.remaining + max(clones, 1) + rest), over=work)
    if rest:
        d.requeue(d.begin(Rest(id, bio.without(count))))
    if clones == 0:
        piece_ended(d, d.begin(Piece(id, target.id, bio)), "EOPNOTSUPP")
    for number in range(clones):
        map_piece(d, d.begin(Piece(id, target.id, bio.first(count), number)))


def rest_done(d: Draft, id: WorkId, rest: Rest, _error: str | None, _data: bytes) -> None:
    """Maps the next part of a split bio."""
    d.end(id)
    _map_first(d, rest.parent, rest.bio)
    count_down(d, rest.parent, None)


def _target_at(d: Draft, bio: Bio) -> Target | None:
    """The target in which the bio begins; None: the table has become shorter while the bio was held back."""
    for id in d.device(bio.where).live:
        target = d.targets[id]
        if target.line.start <= bio.sector < target.line.start + target.line.length:
            return target
    return None


def _clones(d: Draft, target: Target, bio: Bio) -> int:
    return d.type_of(target).clones(target, bio)


def map_piece(d: Draft, id: WorkId) -> None:
    """Calls the ``map`` of the piece's target."""
    piece = d.piece(id)
    target = d.targets[piece.target]
    d.type_of(target).map(d, id, target, piece)


def retry(d: Draft, id: WorkId) -> None:
    """Calls the ``retry`` of the piece's target, after the exception for which the piece has waited."""
    piece = d.piece(id)
    target = d.targets[piece.target]
    d.type_of(target).retry(d, id, target, piece)


# --- ends --------------------------------------------------------------------------------------------------------


def complete(d: Draft, id: WorkId, error: str | None, data: bytes = b"") -> None:
    """Ends work, with ``error`` (an errno's name) or successfully (None).

    Every class of work has a function for its end, so none waits for ever (DEV-5).
    """
    work: Work = d.work[id]
    d.rules.done[type(work)](d, id, work, error, data)


def piece_done(d: Draft, id: WorkId, piece: Piece, error: str | None, _data: bytes) -> None:
    """The I/O of a piece has ended: calls the ``end_io`` of its target.  Source: ``clone_endio``."""
    target = d.targets[piece.target]
    d.type_of(target).end_io(d, id, target, piece, error)


def piece_ended(d: Draft, id: WorkId, error: str | None) -> None:
    """Ends a piece, and with the last piece its bio."""
    piece = d.piece(id)
    d.end(id)
    count_down(d, piece.parent, error)


def _device_bio(d: Draft, id: WorkId) -> DeviceBio:
    work = d.work[id]
    if not isinstance(work, DeviceBio):
        raise MachineError(f"work {id} is no bio: {work}")
    return work


def count_down(d: Draft, id: WorkId, error: str | None) -> None:
    """Counts a piece of the bio ``id`` as ended, and ends the bio with the last one.  Source: ``dm_io_dec_pending``."""
    work = _device_bio(d, id)
    work = d.change(id, replace(work, remaining=work.remaining - 1, error=work.error or error), over=work)
    if work.remaining == 0:
        _bio_ended(d, id, work)


def _bio_ended(d: Draft, id: WorkId, work: DeviceBio) -> None:
    if work.bio.preflush and work.error is None:
        work = d.change(id, replace(work, bio=replace(work.bio, preflush=False)), over=work)
        if work.bio.count:
            _map_first(d, id, work.bio)
            return
    d.end(id)
    device = d.device(work.bio.where)
    if device.live:
        d.put_device(replace(device, busy=device.busy - 1), over=device)
    _tell(d, work, _as_submitted(work, work.error))


def _as_submitted(work: DeviceBio, error: str | None) -> str | None:
    """The error that a bio's submitter gets; that of a discard is hidden if discards are not supported (DEV-22).

    Source: ``blkdev_issue_discard``.
    """
    hidden = work.parent == SUBMITTER and work.bio.op is Op.DISCARD and error == "EOPNOTSUPP"
    return None if hidden else error


def _tell(d: Draft, work: DeviceBio, error: str | None) -> None:
    """Reports the end of a bio to the submitter, or to the work that has sent it."""
    if work.parent == SUBMITTER:
        d.end_bio(work.token, error)
    else:
        d.end_later(work.parent, error)
