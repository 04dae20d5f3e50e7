"""The records of ``snapshot-origin``, ``snapshot`` and ``snapshot-merge``, and the transitions that Linux makes.

One record serves ``snapshot`` and ``snapshot-merge``, as one class of targets does: a merge is a snapshot with
``merge`` set.
"""

from typing import Final

from snapmerge.errors import MachineError
from snapmerge.format.store import Persistent
from snapmerge.machine.core import bios, plain
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft, TargetType
from snapmerge.machine.core.state import Piece
from snapmerge.machine.snapshot import (
    copy_out,
    ctr,
    handover,
    merge,
    origin,
    registry,
    resume,
    snapshot,
    status,
    store_io,
)
from snapmerge.machine.snapshot.rules import SnapshotRules, rules_of
from snapmerge.machine.snapshot.state import Copy, MergeFlush, OriginTarget, Phase, SnapshotTarget, StoreIo, StoreStep
from snapmerge.records import replace

__all__ = ["ORIGIN", "SNAPSHOT", "SNAPSHOT_RULES"]


# --- bios --------------------------------------------------------------------------------------------------------


def _max_io_len(d: Draft, snap: SnapshotTarget, bio: Bio) -> int:
    return rules_of(d).max_io_len(d, snap, bio)


def _clones(snap: SnapshotTarget, bio: Bio) -> int:
    """Two clones of a flush for a merge, for the origin and for the COW device (MERGE-22); else one.

    The features determine the number of clones of a discard (SNAP-19, SNAP-14).
    """
    if bio.op is Op.FLUSH and snap.merge is not None:
        return 2
    if bio.op is Op.DISCARD:
        return snap.discards * (snap.features.zeroes + snap.features.passdown)
    return 1


def _map(d: Draft, id: WorkId, snap: SnapshotTarget, piece: Piece) -> None:
    if snap.merge is None:
        rules_of(d).map_snapshot(d, id, snap, piece)
    else:
        rules_of(d).map_merge(d, id, snap, piece)


def _retry(d: Draft, id: WorkId, snap: SnapshotTarget, piece: Piece) -> None:
    """Maps a snapshot's own piece again; that of a merge is a write to the origin, which asks the snapshots again."""
    if snap.merge is None:
        bios.map_piece(d, id)
    else:
        origin.retry_origin(d, id, snap, piece)


def _end_io(d: Draft, id: WorkId, snap: SnapshotTarget, piece: Piece, error: str | None) -> None:
    """Ends a piece and stops tracking it; exceptions and merges that waited for it continue (EXC-11, MERGE-19).

    Source: ``snapshot_end_io``.
    """
    if piece.full:
        copy_out.full_written(d, piece, error)
        return
    d.end(id)
    if piece.chunk is not None and snapshot.untrack(d, snap.id, piece.chunk):
        quiet = registry.snapshot(d, snap.id)
        if snap.merge is None:
            rules_of(d).publish(d, quiet)
        else:
            merge.writers_gone(d, quiet)
    bios.count_down(d, piece.parent, error)


# --- ends of work ------------------------------------------------------------------------------------------------


def _store_io_done(d: Draft, id: WorkId, io: StoreIo, error: str | None, data: bytes) -> None:
    """A metadata I/O has ended; a read continues when its bytes have been fetched."""
    reads = io.step in (StoreStep.READ_HEADER, StoreStep.READ_AREA, StoreStep.MERGE_READ)
    if reads and error is None and not io.fetching:
        d.change(id, replace(io, fetching=True), over=io)
        d.fetch(id)
        return
    d.end(id)
    snap = registry.snapshot(d, io.target)
    match io.step:
        case StoreStep.READ_HEADER | StoreStep.READ_AREA | StoreStep.NEW_HEADER | StoreStep.NEW_AREA:
            ctr.load_step(d, snap, io, error, data)
        case StoreStep.ZERO_NEXT:
            copy_out.next_area_zeroed(d, snap, error)
        case StoreStep.WRITE_AREA:
            copy_out.area_written(d, snap, error)
        case StoreStep.DROP:
            copy_out.dropped(d, snap, error)
        case StoreStep.MERGE_READ:
            rules_of(d).area_read(d, snap, error, data)
        case StoreStep.MERGE_COMMIT:
            rules_of(d).commit_done(d, snap, error)
        case _:
            raise MachineError(f"unknown step {io.step}")


def _flush_done(d: Draft, id: WorkId, flush: MergeFlush, error: str | None, _data: bytes) -> None:
    d.end(id)
    merge.flushed(d, registry.snapshot(d, flush.target), error)


# --- questions ---------------------------------------------------------------------------------------------------


def _works(snap: SnapshotTarget) -> bool:
    return merge.merge_of(snap).phase is not Phase.IDLE


def _settled(snap: SnapshotTarget) -> bool:
    """Whether the merge has failed or can't continue, or its status shows that everything is merged."""
    if snap.merge is None or not snap.valid or snap.overflowed or snap.merge.failed:
        return True
    if not isinstance(snap.store, Persistent):
        return True
    allocated, _, metadata = snap.store.usage(0)
    return allocated == metadata


def _admit(_d: Draft, _snap: SnapshotTarget) -> str | None:
    return None


# --- the records -------------------------------------------------------------------------------------------------

ORIGIN: Final[TargetType[OriginTarget]] = TargetType(
    target=OriginTarget,
    names={"snapshot-origin": (1, 9, 0)},
    devices=(0,),
    construct=origin.construct_origin,
    destroy=plain.destroy,
    map=origin.map_origin,
    end_io=plain.end_io,
    retry=origin.retry_origin,
    done={},
    copied={},
    presuspend=plain.nothing,
    at_rest=plain.at_rest,
    presuspended=plain.nothing,
    postsuspend=resume.postsuspend_origin,
    preresume=plain.preresume,
    resuming=plain.nothing,
    resume=resume.resume_origin,
    message=plain.message,
    status=plain.status,
    table=lambda target: (target.lower,),
    lower=lambda target: (target.lower,),
    extent=lambda _d, target: (target.lower, 0),
    set_limits=plain.nothing,
    max_io_len=origin.origin_max_io_len,
    clones=plain.no_discards,
    store=plain.no_store,
    works=plain.works,
    settled=plain.settled,
    locked=plain.locked,
    busy=plain.busy,
    claims=None,
)

SNAPSHOT: Final[TargetType[SnapshotTarget]] = TargetType(
    target=SnapshotTarget,
    names={"snapshot": (1, 16, 0), "snapshot-merge": (1, 5, 0)},
    devices=(0, 1),
    construct=ctr.construct_snapshot,
    destroy=resume.destroy_snapshot,
    map=_map,
    end_io=_end_io,
    retry=_retry,
    done={StoreIo: _store_io_done, MergeFlush: _flush_done},
    copied={Copy.OUT: copy_out.copied, Copy.MERGE: merge.copied},
    presuspend=resume.presuspend,
    at_rest=resume.at_rest,
    presuspended=resume.presuspended,
    postsuspend=plain.nothing,
    preresume=handover.preresume,
    resuming=plain.nothing,
    resume=resume.resume_snapshot,
    message=plain.message,
    status=status.status_words,
    table=status.table_words,
    lower=lambda snap: (snap.origin, snap.cow),
    extent=lambda _d, snap: (snap.origin, 0),
    set_limits=resume.set_limits,
    max_io_len=_max_io_len,
    clones=_clones,
    store=lambda snap: (snap.cow, snap.store),
    works=_works,
    settled=_settled,
    locked=lambda snap: snap.dropping,
    busy=copy_out.busy,
    claims=None,
)

SNAPSHOT_RULES: Final = SnapshotRules(
    max_io_len=snapshot.max_io_len,
    map_snapshot=snapshot.map_snapshot,
    map_merge=merge.map_merge,
    origin_write=origin.origin_write,
    write_area=copy_out.write_area,
    publish=copy_out.publish,
    invalidate=copy_out.invalidate,
    drop_header=store_io.drop_header,
    finish_load=ctr.finish_load,
    hand_over=handover.hand_over,
    stop_merge=merge.stop_merge,
    next_run=merge.next_run,
    protect=merge.protect,
    drain=merge.drain,
    flush_origin=merge.flush_origin,
    commit_merge=merge.commit_merge,
    release_run=merge.release_run,
    fail_merge=merge.fail_merge,
    area_read=merge.area_read,
    commit_done=merge.commit_done,
    status=status.snapshot_status,
    can_merge=ctr.can_merge,
    admit=_admit,
    exception_done=(merge.retry_protection,),
    sibling_resumed=(),
)
