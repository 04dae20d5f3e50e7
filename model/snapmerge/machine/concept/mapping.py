"""The mapping of a merge's bios: exceptions that are not copied yet are on the COW device.

A chunk that is copied has two homes, the COW device and the destination, until the end is recorded, since after a power
cut the merge begins again: so writes to it go to both.

Source: ``snapshot_merge_map`` of the patch (specs/concept.md).
"""

from snapmerge.errors import MachineError
from snapmerge.format.exceptions import lookup
from snapmerge.machine.concept.rules import rules_of
from snapmerge.machine.concept.state import ConceptMerge, Stage
from snapmerge.machine.core import bios
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Piece
from snapmerge.machine.snapshot.rules import rules_of as snapshot_rules_of
from snapmerge.records import replace
from snapmerge.units import Chunk, chunk_of, chunk_start, offset_in_chunk

__all__ = [
    "concept_of",
    "exception_of",
    "hold",
    "in_cow",
    "map_again",
    "map_merge",
    "protects",
    "require_merge",
    "second_leg",
    "to_destination",
]


def concept_of(d: Draft, id: int) -> ConceptMerge | None:
    """The merge of this id; None: it has been destroyed."""
    target = d.targets.get(id)
    return target if isinstance(target, ConceptMerge) else None


def require_merge(d: Draft, id: int) -> ConceptMerge:
    """The merge of this id.  Raises MachineError."""
    merge = concept_of(d, id)
    if merge is None:
        raise MachineError(f"target {id} is no merge")
    return merge


# --- bios -------------------------------------------------------------------------------------------------------


def map_merge(d: Draft, id: WorkId, merge: ConceptMerge, piece: Piece) -> None:
    """Maps a piece: exceptions that are not copied yet are on the COW device."""
    bio = piece.bio
    if merge.broken:
        bios.piece_ended(d, id, "EIO")
    elif bio.op is Op.FLUSH and piece.number and (merge.finished or not merge.valid):
        bios.piece_ended(d, id, None)
    elif bio.op is Op.FLUSH:
        bios.send(d, id, bio.to(merge.cow if piece.number else merge.destination, 0))
    else:
        _map_data(d, id, merge, piece)


def _map_data(d: Draft, id: WorkId, merge: ConceptMerge, piece: Piece) -> None:
    """Sends a read or write to the device that has its chunk (CONCEPT-1).

    A copied chunk has two homes until the end is recorded, and either may be the one that counts after a power cut
    (CONCEPT-21).  Writes to it take turns, since two at once could each end up last in one home.  So a bio waits only
    for the copy of its chunk or for another write to it (CONCEPT-9).
    """
    bio = piece.bio
    chunk = chunk_of(bio.sector, merge.chunk_size)
    new = exception_of(d, merge, chunk)
    home = bio.to(merge.destination, bio.sector)
    if new is None:
        to_destination(d, id, replace(piece, bio=home))
    elif not bio.is_write and chunk < merge.progress:
        bios.send(d, id, home)
    elif bio.is_write and (_in_work(merge, chunk) or (chunk < merge.progress and chunk in merge.tracked)):
        d.put(replace(merge, queued=(*merge.queued, id)), over=merge)
    elif chunk < merge.progress:
        _track(d, merge, chunk)
        to_destination(d, id, replace(piece, bio=home, then=in_cow(merge, bio, new), chunk=chunk))
    else:
        _track(d, merge, chunk)
        d.change(id, replace(piece, chunk=chunk), over=piece)
        bios.send(d, id, in_cow(merge, bio, new))


def _track(d: Draft, merge: ConceptMerge, chunk: int) -> None:
    d.put(replace(merge, tracked=merge.tracked.set(chunk, merge.tracked.get(chunk, 0) + 1)), over=merge)


def exception_of(d: Draft, merge: ConceptMerge, chunk: int) -> Chunk | None:
    """The chunk of the COW device that has this chunk's exception; None: there is none, or the merge has ended."""
    new = None if merge.finished or not merge.valid else lookup(merge.completed, chunk)
    return new if new is not None and rules_of(d).usable(d, merge, new) else None


def _in_work(merge: ConceptMerge, chunk: int) -> bool:
    waiting = merge.stage in (Stage.DRAINING, Stage.PROTECTING)
    return chunk in merge.copies or (waiting and chunk == merge.progress)


def in_cow(merge: ConceptMerge, bio: Bio, new: Chunk) -> Bio:
    """The bio, remapped to its exception."""
    size = merge.chunk_size
    return bio.to(merge.cow, chunk_start(new, size) + offset_in_chunk(bio.sector, size))


def to_destination(d: Draft, id: WorkId, piece: Piece) -> None:
    """Sends a piece to the destination; a write waits until the snapshots on the destination have copied out."""
    d.change(id, piece, over=d.piece(id))
    bio = piece.bio
    if not bio.is_write or not rules_of(d).protects(d, bio.where, bio.sector, id):
        bios.send(d, id, bio)


def protects(d: Draft, destination: str, sector: int, id: WorkId | None) -> bool:
    """Makes the snapshots on the destination copy the chunk of ``sector`` out (CONCEPT-2); True: they must copy."""
    return snapshot_rules_of(d).origin_write(d, destination, sector, id)


def hold(d: Draft, id: WorkId, merge: ConceptMerge) -> None:
    """Makes the piece wait for the end of the merge; only the patch does that."""
    d.put(replace(merge, held=(*merge.held, id)), over=merge)


def map_again(d: Draft, id: int) -> None:
    """Maps the pieces again that waited for a chunk; they may have to wait again."""
    merge = require_merge(d, id)
    d.put(replace(merge, queued=()), over=merge)
    for piece in merge.queued:
        bios.map_piece(d, piece)


def second_leg(d: Draft, id: WorkId, piece: Piece) -> None:
    """Sends a write that has reached the first home of its chunk to the second one (CONCEPT-21)."""
    if piece.then is not None:
        d.change(id, replace(piece, then=None), over=piece)
        bios.send(d, id, piece.then)
