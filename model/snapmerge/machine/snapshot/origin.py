"""The ``snapshot-origin`` target, and the copying out before a write to an origin.

A write to an origin waits until no snapshot needs the old content any more (ORIGIN-1).  ``do_origin`` asks every
snapshot registered on the origin; each that needs an exception makes one.  The write is queued on the first of these
and asks again when that one is done, until it need not wait for any snapshot.

Source: ``origin_map``, ``do_origin``, ``__origin_write``, ``origin_write_extent`` in dm-snap.c (specs/origin.md).
"""

from snapmerge.format.exceptions import lookup
from snapmerge.machine.core import bios, tables
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Load, Piece
from snapmerge.machine.core.table_line import BadTable, TableLine
from snapmerge.machine.snapshot import copy_out
from snapmerge.machine.snapshot.registry import registered_ids, snapshot
from snapmerge.machine.snapshot.rules import rules_of
from snapmerge.machine.snapshot.state import OriginTarget, SnapshotTarget
from snapmerge.records import replace
from snapmerge.units import chunk_of

__all__ = ["construct_origin", "do_origin", "map_origin", "origin_max_io_len", "origin_write", "retry_origin"]


def construct_origin(d: Draft, id: int, request: Load, line: TableLine) -> bool:
    """Makes a ``snapshot-origin`` (CTOR-4).  Raises BadTable.  Source: ``origin_ctr``."""
    if len(line.args) != 1:
        raise BadTable("origin: incorrect number of arguments")
    lower = tables.open_lower(d, request.device, line.args[0], "Cannot get target device")
    d.add(OriginTarget(id, request.device, line, lower))
    return False


def origin_max_io_len(_d: Draft, target: OriginTarget, bio: Bio) -> int:
    """No write crosses a border of the smallest chunks (ORIGIN-7).

    Source: ``dm_accept_partial_bio`` in ``origin_map``.
    """
    return target.boundary - bio.sector % target.boundary if bio.is_write else bio.count


def map_origin(d: Draft, id: WorkId, target: OriginTarget, piece: Piece) -> None:
    """Reads and flushes go to the origin (ORIGIN-8); writes ask the snapshots first."""
    bio = piece.bio.to(target.lower, piece.bio.sector)
    d.change(id, replace(piece, bio=bio), over=piece)
    if bio.op is Op.FLUSH or not bio.is_write:
        bios.send(d, id, bio)
    else:
        do_origin(d, id, target.lower)


def retry_origin(d: Draft, id: WorkId, _target: object, piece: Piece) -> None:
    """A write that has waited for an exception asks all snapshots again (ORIGIN-6); it has been remapped already."""
    do_origin(d, id, piece.bio.where)


def do_origin(d: Draft, id: WorkId, origin: str) -> None:
    """Sends a write, already remapped to the origin, when no snapshot needs the old content any more (ORIGIN-1)."""
    bio = d.piece(id).bio
    if not rules_of(d).origin_write(d, origin, bio.sector, id):
        bios.send(d, id, bio)


def origin_write(d: Draft, origin: str, sector: int, id: WorkId | None) -> bool:
    """Has every snapshot that needs it copy the chunk of ``sector``; True: the write must wait for that.

    The piece ``id`` is queued on the first exception met, which is that of the largest chunk, and comes back here
    when it is done.  That exception is started last, to give the others a head start (ORIGIN-6).  It waits as well
    while a snapshot's header is written (ORIGIN-5).  ``id`` None: a merge asks, which waits by itself.

    Source: ``__origin_write``.
    """
    must_wait = False
    last: tuple[int, int] | None = None
    for snap_id in registered_ids(d, origin):
        chunk = _needed_chunk(d, snapshot(d, snap_id), sector)
        if snapshot(d, snap_id).dropping:
            copy_out.lock_out(d, snap_id, id)
            must_wait, id = True, None
        elif chunk is not None:
            must_wait = True
            if id is None:
                copy_out.start_copy(d, snap_id, chunk)
            else:
                copy_out.queue_origin(d, snap_id, chunk, id)
                last, id = (snap_id, chunk), None
    if last is not None:
        copy_out.start_copy(d, *last)
    return must_wait


def _needed_chunk(d: Draft, snap: SnapshotTarget, sector: int) -> int | None:
    """The chunk, of this snapshot's size (ORIGIN-10), whose exception a write must wait for; it is pending then.

    Not asked are a merge, a snapshot whose table ends before the write (ORIGIN-9), one that is invalid, and one that
    was not resumed yet (SNAP-3).  A snapshot without room becomes invalid, also with ``PO`` (ORIGIN-4, SNAP-5), and
    also if it is a merge that asks (MERGE-13).
    """
    if snap.merge is not None or sector >= snap.table_size:
        return None
    if not snap.valid or not snap.active or snap.dropping:
        return None
    chunk = chunk_of(sector, snap.store.chunk_size)
    if chunk in snap.pending:
        return chunk
    if lookup(snap.completed, chunk) is not None:
        return None
    if not copy_out.prepare(d, snap.id, chunk):
        rules_of(d).invalidate(d, snap, "ENOMEM")
        return None
    return chunk
