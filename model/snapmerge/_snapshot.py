"""The ``snapshot`` target: where its bios go.  Source: ``snapshot_map`` in dm-snap.c (specs/snapshot.md)."""

from . import _bios, _copyout
from ._bio import Bio, Op
from ._draft import Draft
from ._exceptions import lookup
from ._replace import replace
from ._state import Pending, Piece, SnapshotTarget
from ._units import Chunk, chunk_of, chunk_start, offset_in_chunk

__all__ = ["in_cow", "map_snapshot", "track", "untrack"]


def map_snapshot(d: Draft, id: int, snap: SnapshotTarget, piece: Piece) -> None:
    """Decides where a piece goes, in the kernel's order of questions."""
    bio = piece.bio
    if bio.op is Op.FLUSH:
        _bios.send(d, id, bio.to(snap.cow, 0))
    elif snap.dropping:
        _copyout.lock_out(d, snap.id, id)
    elif not snap.valid or (snap.overflowed and bio.is_write):
        _bios.piece_ended(d, id, "EIO")
    elif bio.op is Op.DISCARD:
        _map_discard(d, id, snap, piece)
    else:
        _map_data(d, id, snap, piece)


def _map_data(d: Draft, id: int, snap: SnapshotTarget, piece: Piece) -> None:
    bio = piece.bio
    chunk = chunk_of(bio.sector, snap.store.chunk_size)
    new = lookup(snap.completed, chunk)
    if new is not None:
        _bios.send(d, id, in_cow(snap, bio, new))
    elif bio.op is Op.READ:
        track(d, id, snap.id, chunk)
        _bios.send(d, id, bio.to(snap.origin, bio.sector))
    else:
        _write_new(d, id, snap, chunk)


def _write_new(d: Draft, id: int, snap: SnapshotTarget, chunk: Chunk) -> None:
    """A write to a chunk without a completed exception waits for one, or makes it by itself if it fills the chunk."""
    if chunk not in snap.pending and not _copyout.prepare(d, snap.id, chunk):
        _overflow(d, id, snap)
        return
    pending = d.snapshot(snap.id).pending[chunk]
    piece = d.piece(id)
    bio = in_cow(snap, piece.bio, Chunk(pending.new))
    fills = bio.count == snap.store.chunk_size and not pending.started
    d.change(id, replace(piece, bio=bio, chunk=chunk if fills else None, full=fills), over=piece)
    if fills:
        _put_pending(d, snap.id, replace(pending, started=True, full=id))
        _bios.send(d, id, bio)
    else:
        _put_pending(d, snap.id, replace(pending, waiting=(*pending.waiting, id)))
        _copyout.start_copy(d, snap.id, chunk)


def _overflow(d: Draft, id: int, snap: SnapshotTarget) -> None:
    """No room for an exception: the write fails, and with ``PO`` that is all."""
    if snap.store.overflow:
        d.put(replace(snap, overflowed=True), over=snap)
        d.log("snapshots: Snapshot overflowed: Unable to allocate exception.")
    else:
        d.rules.invalidate(d, snap, "ENOMEM")
    if d.snapshot(snap.id).dropping:
        _copyout.lock_out(d, snap.id, id)
    else:
        _bios.piece_ended(d, id, "EIO")


def _map_discard(d: Draft, id: int, snap: SnapshotTarget, piece: Piece) -> None:
    """A discard makes no exception, and changes only chunks that have one; a second clone goes to the origin."""
    bio = piece.bio
    chunk = chunk_of(bio.sector, snap.store.chunk_size)
    if piece.number == 1:
        track(d, id, snap.id, chunk)
        _bios.send(d, id, bio.to(snap.origin, bio.sector))
        return
    new = lookup(snap.completed, chunk)
    if new is None:
        _bios.piece_ended(d, id, None)
        return
    there = in_cow(snap, bio, new)
    whole = bio.count == snap.store.chunk_size
    _bios.send(d, id, replace(there, op=Op.ZERO) if whole else there)


def in_cow(snap: SnapshotTarget, bio: Bio, new: Chunk) -> Bio:
    """The bio, remapped to its exception.  Source: ``remap_exception``."""
    size = snap.store.chunk_size
    return bio.to(snap.cow, chunk_start(new, size) + offset_in_chunk(bio.sector, size))


def _put_pending(d: Draft, snap_id: int, pending: Pending) -> None:
    snap = d.snapshot(snap_id)
    d.put(replace(snap, pending=snap.pending.set(pending.old, pending)), over=snap)


def track(d: Draft, id: int, snap_id: int, chunk: int) -> None:
    """Counts a piece in flight under its chunk until it ends.  Source: ``track_chunk``."""
    piece = d.piece(id)
    d.change(id, replace(piece, chunk=chunk), over=piece)
    snap = d.snapshot(snap_id)
    d.put(replace(snap, tracked=snap.tracked.set(chunk, snap.tracked.get(chunk, 0) + 1)), over=snap)


def untrack(d: Draft, snap_id: int, chunk: int) -> None:
    """One less; at zero, whoever waited for the chunk goes on.  Source: ``stop_tracking_chunk``."""
    snap = d.snapshot(snap_id)
    left = snap.tracked[chunk] - 1
    d.put(replace(snap, tracked=snap.tracked.set(chunk, left) if left else snap.tracked.delete(chunk)), over=snap)
    if left == 0:
        _copyout.chunk_quiet(d, snap_id)
