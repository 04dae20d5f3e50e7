"""The ``snapshot-merge`` that was proposed in 2009, as it was meant: where its bios go, and its worker.

The worker looks up one chunk after the other, from the first on, and copies those that have an exception to the
destination, one at a time.  What the patch has otherwise are the defects of ``snapmerge_specs``: each replaces an
entry of ``ConceptRules``, and all of them together are the patch to the letter (specs/concept.md).
Source: ``snapshot_merge_map``, ``merge_work``, ``merge_callback``, ``snapshot_merge_resume`` of the patch.
"""

from . import _bios, _concept_table, _copyout, _origin
from ._bio import Bio, Op
from ._concept_state import ConceptIo, ConceptMerge, ConceptStep, Stage, Worker
from ._draft import Draft
from ._errors import MachineError
from ._exceptions import lookup, pairs
from ._layout import area_location
from ._replace import replace
from ._state import CopyJob, DeviceBio, Piece, Purpose, SnapshotTarget, Target
from ._store import Persistent
from ._units import SECTOR_BYTES, Chunk, chunk_of, chunk_start, offset_in_chunk

__all__ = [
    "announce",
    "claims",
    "concept_of",
    "copied",
    "copy_failed",
    "flush",
    "hold",
    "in_use",
    "io_done",
    "is_claimed",
    "map_merge",
    "not_submitted",
    "protects",
    "record",
    "released",
    "retry_protection",
    "schedule",
    "second_leg",
    "there",
    "to_destination",
    "turn",
    "untrack",
]


def concept_of(d: Draft, id: int) -> ConceptMerge | None:
    """The merge of this id; None: it has been destroyed."""
    target = d.targets.get(id)
    return target if isinstance(target, ConceptMerge) else None


def there(d: Draft, id: int) -> ConceptMerge:
    merge = concept_of(d, id)
    if merge is None:
        raise MachineError(f"target {id} is no merge")
    return merge


# --- bios --------------------------------------------------------------------------------------------------------


def map_merge(d: Draft, id: int, merge: ConceptMerge, piece: Piece) -> None:
    """Decides where a piece goes: chunks that are still to be copied live on the COW device."""
    bio = piece.bio
    if merge.broken:
        _bios.piece_ended(d, id, "EIO")
    elif bio.op is Op.FLUSH and piece.number and (merge.finished or not merge.valid):
        _bios.piece_ended(d, id, None)
    elif bio.op is Op.FLUSH:
        _bios.send(d, id, bio.to(merge.cow if piece.number else merge.destination, 0))
    else:
        _map_data(d, id, merge, piece)


def _map_data(d: Draft, id: int, merge: ConceptMerge, piece: Piece) -> None:
    """A chunk that is copied already has two homes until the end is recorded, so that a power cut may forget either.

    Writes to them take turns: two at once could leave one of them in each.
    """
    bio = piece.bio
    chunk = chunk_of(bio.sector, merge.chunk_size)
    new = _exception(d, merge, chunk)
    home = bio.to(merge.destination, bio.sector)
    if new is None:
        to_destination(d, id, replace(piece, bio=home))
    elif not bio.is_write and chunk < merge.progress:
        _bios.send(d, id, home)
    elif bio.is_write and (_in_work(merge, chunk) or (chunk < merge.progress and chunk in merge.tracked)):
        d.put(replace(merge, queued=(*merge.queued, id)), over=merge)
    elif chunk < merge.progress:
        _track(d, merge, chunk)
        to_destination(d, id, replace(piece, bio=home, then=_in_cow(merge, bio, new), chunk=chunk))
    else:
        _track(d, merge, chunk)
        d.change(id, replace(piece, chunk=chunk), over=piece)
        _bios.send(d, id, _in_cow(merge, bio, new))


def _track(d: Draft, merge: ConceptMerge, chunk: int) -> None:
    d.put(replace(merge, tracked=merge.tracked.set(chunk, merge.tracked.get(chunk, 0) + 1)), over=merge)


def _exception(d: Draft, merge: ConceptMerge, chunk: int) -> Chunk | None:
    """Where the chunk lives on the COW device, as long as the merge has not ended."""
    new = None if merge.finished or not merge.valid else lookup(merge.completed, chunk)
    return new if new is not None and d.rules.concept.usable(d, merge, new) else None


def _in_work(merge: ConceptMerge, chunk: int) -> bool:
    waiting = merge.stage in (Stage.DRAINING, Stage.PROTECTING)
    return chunk in merge.copies or (waiting and chunk == merge.progress)


def _in_cow(merge: ConceptMerge, bio: Bio, new: Chunk) -> Bio:
    size = merge.chunk_size
    return bio.to(merge.cow, chunk_start(new, size) + offset_in_chunk(bio.sector, size))


def to_destination(d: Draft, id: int, piece: Piece) -> None:
    """Sends a piece there; a write when the snapshots directly on the destination have saved what it replaces."""
    d.change(id, piece, over=d.piece(id))
    bio = piece.bio
    if not bio.is_write or not d.rules.concept.protects(d, bio.where, bio.sector, id):
        _bios.send(d, id, bio)


def hold(d: Draft, id: int, merge: ConceptMerge) -> None:
    """The piece waits for the end of all; only the patch does that."""
    d.put(replace(merge, held=(*merge.held, id)), over=merge)


def _map_again(d: Draft, id: int) -> None:
    """What waited for a chunk is mapped anew; it may have to wait again."""
    merge = there(d, id)
    d.put(replace(merge, queued=()), over=merge)
    for piece in merge.queued:
        _bios.map_piece(d, piece)


def second_leg(d: Draft, id: int, piece: Piece) -> None:
    """A write has reached the first home of its chunk; the other comes next."""
    if piece.then is not None:
        d.change(id, replace(piece, then=None), over=piece)
        _bios.send(d, id, piece.then)


def untrack(d: Draft, merge: ConceptMerge, chunk: int) -> None:
    """I/O that was tracked has ended: the worker may wait for that, another write, or the end."""
    left = merge.tracked[chunk] - 1
    tracked = merge.tracked.set(chunk, left) if left else merge.tracked.delete(chunk)
    merge = d.put(replace(merge, tracked=tracked), over=merge)
    if merge.stage is Stage.DRAINING:
        _drain(d, merge)
    elif merge.stage is Stage.ENDING:
        _ended(d, merge)
    if not left and merge.queued:
        _map_again(d, merge.id)


def claims(_merge: ConceptMerge) -> bool:
    """Whether the merge keeps everybody else from writing to its destination (``FMODE_EXCL ?``)."""
    return True


def is_claimed(d: Draft, device: str, by: str | None) -> bool:
    """Whether a live merge has the device as its destination, and only its own device (``by``) may write there."""
    merges = [t for t in d.targets.values() if isinstance(t, ConceptMerge) and t.claims and t.destination == device]
    return any(merge.device != by and d.rules.concept.claims(merge) for merge in merges)


def in_use(d: Draft, target: Target) -> str | None:
    """Why a merge can't claim its destination: somebody is writing to it, and it is not its device's already."""
    if not isinstance(target, ConceptMerge) or target.active or not d.rules.concept.claims(target):
        return None
    others = (t for t in d.targets.values() if isinstance(t, ConceptMerge) and t.device == target.device)
    if any(t.claims and t.destination == target.destination for t in others):
        return None
    bios = (w.bio for w in d.work.values() if isinstance(w, DeviceBio))
    writing = any(bio.is_write and _reaches(d, bio.where, target) for bio in bios)
    return "The usable_origin device is being written to." if writing else None


def _reaches(d: Draft, name: str, merge: ConceptMerge) -> bool:
    """Whether what is written to a device comes to the merge's destination, and not by the merge."""
    if name == merge.destination or name not in d.devices or name == merge.device:
        return name == merge.destination
    targets = [d.targets[id] for id in d.device(name).live]
    lower = {t.cow if isinstance(t, SnapshotTarget) else t.lower for t in targets if not isinstance(t, ConceptMerge)}
    lower |= {part for t in targets if isinstance(t, ConceptMerge) for part in (t.destination, t.cow)}
    return any(_reaches(d, part, merge) for part in lower)


def protects(d: Draft, destination: str, sector: int, id: int | None) -> bool:
    """Has the snapshots on the destination save the chunk of ``sector``; True: that must be waited for."""
    return d.rules.origin_write(d, destination, sector, id)


# --- the worker --------------------------------------------------------------------------------------------------


def schedule(d: Draft, id: int) -> None:
    """Calls the worker; called twice before it runs, it runs once.  Source: ``schedule_work``."""
    merge = there(d, id)
    if not merge.scheduled:
        d.put(replace(merge, scheduled=True), over=merge)
        d.requeue(d.begin(Worker(id)), later=True)


def turn(d: Draft, id: int) -> None:
    """The worker: takes the next chunk that has an exception; at the end, sees to it that the end lasts."""
    merge = concept_of(d, id)
    if merge is None:
        return
    merge = d.put(replace(merge, scheduled=False), over=merge)
    if merge.stopping or merge.broken or not merge.valid:
        return
    progress = merge.progress
    while progress < merge.end and _exception(d, merge, progress) is None:
        progress += 1
    merge = d.put(replace(merge, failed=False, progress=progress), over=merge)
    if progress < merge.end:
        _drain(d, d.put(replace(merge, stage=Stage.DRAINING), over=merge))
    else:
        _end(d, merge)


def _drain(d: Draft, merge: ConceptMerge) -> None:
    """Goes on when nothing that reads or writes the chunk is on its way to the COW device."""
    if merge.progress not in merge.tracked:
        d.put(replace(merge, stage=Stage.PROTECTING), over=merge)
        _protect(d, there(d, merge.id))


def _protect(d: Draft, merge: ConceptMerge) -> None:
    """Has the snapshots on the destination save what the copy replaces; asked again until none needs to."""
    sector, count = d.rules.concept.extent(merge, merge.progress)
    step = min(merge.chunk_size, _origin.minimum_chunk_size(d, merge.destination))
    begin = sector - sector % step
    waits = [d.rules.concept.protects(d, merge.destination, at, None) for at in range(begin, sector + count, step)]
    if not any(waits):
        _copy(d, there(d, merge.id), sector, count)


def retry_protection(d: Draft) -> None:
    """An exception somewhere is done: merges that waited for one ask again."""
    for id in sorted(d.targets):
        merge = concept_of(d, id)
        if merge is not None and merge.stage is Stage.PROTECTING:
            _protect(d, merge)


def _copy(d: Draft, merge: ConceptMerge, sector: int, count: int) -> None:
    """Copies the chunk home, if both ends are inside their devices; else nothing is begun.  ``dm_kcopyd_copy``."""
    chunk = merge.progress
    new = lookup(merge.completed, chunk)
    if new is None:
        raise MachineError(f"chunk {chunk} has no exception")
    source = _in_cow(merge, Bio(Op.READ, merge.destination, sector, count), new).sector
    merge = d.put(replace(merge, stage=Stage.COPYING), over=merge)
    if sector + count > d.size(merge.destination) or source + count > d.size(merge.cow):
        d.rules.concept.not_submitted(d, merge)
        return
    d.put(replace(merge, copies=(*merge.copies, chunk)), over=merge)
    job = CopyJob(merge.id, Purpose.CONCEPT, chunk, Bio(Op.WRITE, merge.destination, sector, count))
    _copyout.copy(d, job, merge.cow, source)


def copied(d: Draft, id: int, chunk: int, error: str | None) -> None:
    """A copy has ended.  Source: ``merge_callback``."""
    merge = concept_of(d, id)
    if merge is None:
        return
    at = merge.copies.index(chunk)
    merge = d.put(replace(merge, copies=(*merge.copies[:at], *merge.copies[at + 1 :])), over=merge)
    if error is not None:
        d.rules.concept.copy_failed(d, merge, "Failed merge operation")
        return
    d.put(replace(merge, progress=merge.progress + 1, stage=Stage.IDLE), over=merge)
    schedule(d, id)
    _map_again(d, id)


def copy_failed(d: Draft, merge: ConceptMerge, text: str) -> None:
    """The merge rests, which its status says; what waits for the chunk fails, and I/O goes on."""
    d.log(f"snapshots: {text}")
    d.put(replace(merge, stage=Stage.IDLE, failed=True, queued=(), held=()), over=merge)
    for piece in (*merge.held, *merge.queued):
        _bios.piece_ended(d, piece, "EIO")


def not_submitted(d: Draft, merge: ConceptMerge) -> None:
    """A copy that could not be begun has failed."""
    d.rules.concept.copy_failed(d, merge, "Failed merge operation")


# --- the end -----------------------------------------------------------------------------------------------------


def _end(d: Draft, merge: ConceptMerge) -> None:
    if merge.finished:
        d.rules.concept.announce(d, merge, merged=False)
    elif merge.completed:
        d.rules.concept.flush(d, merge)
    else:
        released(d, merge)


def flush(d: Draft, merge: ConceptMerge) -> None:
    """Makes the copies durable before anything says that they are."""
    d.put(replace(merge, stage=Stage.FLUSHING), over=merge)
    _bios.send(d, d.begin(ConceptIo(merge.id, ConceptStep.FLUSH)), Bio(Op.FLUSH, merge.destination))


def record(d: Draft, merge: ConceptMerge) -> None:
    """Records on the COW device that it is over: a store without exceptions has nothing to merge.

    Exceptions outside of the target would be lost by that: then it can't be recorded, and has failed.
    """
    if any(not merge.covers(old) for old, _ in pairs(merge.completed)):
        d.rules.concept.copy_failed(d, merge, "There are exceptions outside of the target")
        return
    merge = d.put(replace(merge, stage=Stage.RECORDING), over=merge)
    if not isinstance(merge.store, Persistent):
        released(d, merge)
        return
    size = merge.chunk_size
    at, data = area_location(0, merge.store.per_area) * size, bytes(size * SECTOR_BYTES)
    bio = Bio(Op.WRITE, merge.cow, at, size, data, preflush=True, fua=True)
    _bios.send(d, d.begin(ConceptIo(merge.id, ConceptStep.RECORD)), bio)


def released(d: Draft, merge: ConceptMerge) -> None:
    """It is over: the device is its destination from now on."""
    _ended(d, d.put(replace(merge, stage=Stage.ENDING, finished=True), over=merge))


def _ended(d: Draft, merge: ConceptMerge) -> None:
    """Tells the end when nothing that began before it is on its way to the COW device, which may go then."""
    if merge.tracked:
        return
    d.put(replace(merge, stage=Stage.IDLE, held=()), over=merge)
    d.rules.concept.announce(d, there(d, merge.id), merged=bool(merge.completed))
    for piece in merge.held:
        _bios.map_piece(d, piece)
    _map_again(d, merge.id)


def announce(d: Draft, merge: ConceptMerge, *, merged: bool) -> None:
    """Raises the event of the end, once, and only if there was something to merge."""
    if merged:
        d.raise_event(merge.device)


def io_done(d: Draft, id: int, io: ConceptIo, error: str | None, data: bytes) -> None:
    """An I/O of a merge has ended."""
    reads = io.step in (ConceptStep.READ_HEADER, ConceptStep.READ_AREA)
    if reads and error is None and not io.fetching:
        d.change(id, replace(io, fetching=True), over=io)
        d.fetch(id)
        return
    d.end(id)
    merge = concept_of(d, io.target)
    if merge is None:
        return
    if reads:
        _concept_table.loaded_part(d, merge, io, error, data)
    elif error is not None:
        d.rules.concept.copy_failed(d, merge, "Failed merge operation")
    elif io.step is ConceptStep.FLUSH:
        d.rules.concept.record(d, merge)
    else:
        released(d, merge)
