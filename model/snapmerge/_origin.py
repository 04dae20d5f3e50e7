"""The ``snapshot-origin`` target, and what a write to an origin means for its snapshots.

Source: ``origin_map``, ``do_origin``, ``__origin_write``, ``origin_write_extent`` in dm-snap.c.
"""

from . import _bios, _copyout
from ._bio import Op
from ._draft import Draft
from ._exceptions import lookup
from ._replace import replace
from ._state import OriginTarget, Piece, SnapshotTarget
from ._units import chunk_of

__all__ = ["NO_BOUNDARY", "do_origin", "map_origin", "minimum_chunk_size", "origin_write", "register", "unregister"]

NO_BOUNDARY = 1 << 31
"""The smallest chunk size of an origin without snapshots."""


def map_origin(d: Draft, id: int, target: OriginTarget, piece: Piece) -> None:
    """Reads and flushes go down; writes see to the snapshots first."""
    bio = piece.bio.to(target.lower, piece.bio.sector)
    d.change(id, replace(piece, bio=bio), over=piece)
    if bio.op is Op.FLUSH or not bio.is_write:
        _bios.send(d, id, bio)
    else:
        do_origin(d, id, target.lower)


def do_origin(d: Draft, id: int, origin: str) -> None:
    """A write, already remapped to the origin, goes there when no snapshot needs the old content any more."""
    bio = d.piece(id).bio
    if not d.rules.origin_write(d, origin, bio.sector, id):
        _bios.send(d, id, bio)


def origin_write(d: Draft, origin: str, sector: int, id: int | None) -> bool:
    """Has every snapshot that needs it copy the chunk of ``sector``; True: somebody must wait for that.

    The piece ``id`` is queued on the first exception met, which is that of the largest chunk, and comes back here
    when it is done.  That exception is started last, to give the others a head start.  Source: ``__origin_write``.
    """
    must_wait = False
    last: tuple[int, int] | None = None
    for snap_id in d.registered_ids(origin):
        chunk = _needed_chunk(d, d.snapshot(snap_id), sector)
        if d.snapshot(snap_id).dropping:
            _copyout.lock_out(d, snap_id, id)
            must_wait, id = True, None
        elif chunk is not None:
            must_wait = True
            if id is None:
                _copyout.start_copy(d, snap_id, chunk)
            else:
                _copyout.queue_origin(d, snap_id, chunk, id)
                last, id = (snap_id, chunk), None
    if last is not None:
        _copyout.start_copy(d, *last)
    return must_wait


def _needed_chunk(d: Draft, snap: SnapshotTarget, sector: int) -> int | None:
    """The chunk whose exception a write to ``sector`` must wait for; it is pending then, new or not."""
    if snap.merge is not None or sector >= snap.table_size:
        return None
    if not snap.valid or not snap.active or snap.dropping:
        return None
    chunk = chunk_of(sector, snap.store.chunk_size)
    if chunk in snap.pending:
        return chunk
    if lookup(snap.completed, chunk) is not None:
        return None
    if not _copyout.prepare(d, snap.id, chunk):
        d.rules.invalidate(d, snap, "ENOMEM")
        return None
    return chunk


# --- who is registered on an origin ------------------------------------------------------------------------


def register(d: Draft, snap: SnapshotTarget) -> None:
    """Puts the snapshot in its place among those of its origin: largest chunks first, behind its equals."""
    others = [s for s in d.snapshots_of(snap.origin) if s.id != snap.id]
    size = snap.store.chunk_size
    at = next((i for i, s in enumerate(others) if s.store.chunk_size < size), len(others))
    ids = [s.id for s in others]
    d.registered = d.registered.set(snap.origin, (*ids[:at], snap.id, *ids[at:]))


def unregister(d: Draft, snap: SnapshotTarget) -> None:
    """Takes the snapshot out: no origin write asks it any more."""
    left = tuple(id for id in d.registered.get(snap.origin, ()) if id != snap.id)
    if left:
        d.registered = d.registered.set(snap.origin, left)
    elif snap.origin in d.registered:
        d.registered = d.registered.delete(snap.origin)


def minimum_chunk_size(d: Draft, origin: str) -> int:
    """The smallest chunk size of all registered snapshots, in sectors; sizes not known yet don't count."""
    sizes = (s.store.chunk_size for s in d.snapshots_of(origin))
    return min((size for size in sizes if size), default=NO_BOUNDARY)
