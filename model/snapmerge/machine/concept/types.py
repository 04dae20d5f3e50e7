"""The record of the ``snapshot-merge`` of 2009, and the rules that have it in place of the kernel's.

Snapshots differ from those of Linux in three ways: they are refused where a merge serves their COW device, they take
messages, and merges of 2009 are notified of their exceptions and resumes.
"""

from dataclasses import replace as replace_fields
from typing import Final

from snapmerge.machine.concept import claims, ctr, load, mapping, messages, suspend, worker
from snapmerge.machine.concept.rules import ConceptRules, rules_of
from snapmerge.machine.concept.state import ConceptCopy, ConceptIo, ConceptMerge, ConceptStep, Worker
from snapmerge.machine.core import bios, plain
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft, Rules, TargetType
from snapmerge.machine.core.state import Piece, Stack, Target
from snapmerge.machine.registry import MAINLINE
from snapmerge.machine.snapshot import handover
from snapmerge.machine.snapshot.rules import SnapshotRules
from snapmerge.machine.snapshot.state import SnapshotTarget
from snapmerge.machine.snapshot.types import SNAPSHOT
from snapmerge.records import replace
from snapmerge.units import room_in_chunk

__all__ = ["CONCEPT"]

_AS_MEANT: Final = ConceptRules(
    takes=ctr.takes,
    merges=ctr.merges,
    span=ctr.span,
    chunks=ctr.chunks,
    recount=load.recount,
    refuse=claims.refuse,
    take_over=claims.take_over,
    load_failed=load.load_failed,
    invalid=load.invalid,
    map_merge=mapping.map_merge,
    claims=claims.claims,
    protects=mapping.protects,
    usable=ctr.usable,
    extent=ctr.extent,
    not_submitted=worker.not_submitted,
    copy_failed=worker.copy_failed,
    stop=suspend.stop,
    copies_settled=suspend.copies_settled,
    work_settled=suspend.work_settled,
    flush=worker.flush,
    record=worker.record,
    announce=worker.announce,
)


# --- bios --------------------------------------------------------------------------------------------------------


def _clones(_merge: ConceptMerge, bio: Bio) -> int:
    """A flush goes to the destination and to the COW device."""
    if bio.op is Op.FLUSH:
        return 2
    return 0 if bio.op is Op.DISCARD else 1


def _max_io_len(_d: Draft, merge: ConceptMerge, bio: Bio) -> int:
    return room_in_chunk(bio.sector, merge.io_max)


def _map(d: Draft, id: WorkId, merge: ConceptMerge, piece: Piece) -> None:
    rules_of(d).map_merge(d, id, merge, piece)


def _retry(d: Draft, id: WorkId, _merge: ConceptMerge, piece: Piece) -> None:
    mapping.to_destination(d, id, piece)


def _end_io(d: Draft, id: WorkId, merge: ConceptMerge, piece: Piece, error: str | None) -> None:
    """Sends a write to a chunk with two homes to the second one; ends any other piece."""
    if piece.then is not None and error is None:
        mapping.second_leg(d, id, piece)
        return
    d.end(id)
    if piece.chunk is not None:
        worker.untrack(d, merge, piece.chunk)
    bios.count_down(d, piece.parent, error)


# --- ends of work ------------------------------------------------------------------------------------------------


def _io_done(d: Draft, id: WorkId, io: ConceptIo, error: str | None, data: bytes) -> None:
    """An I/O of a merge has ended; a read continues when its bytes have been fetched."""
    reads = io.step in (ConceptStep.READ_HEADER, ConceptStep.READ_AREA)
    if reads and error is None and not io.fetching:
        d.change(id, replace(io, fetching=True), over=io)
        d.fetch(id)
        return
    d.end(id)
    merge = mapping.concept_of(d, io.target)
    if merge is None:
        return
    if reads:
        load.loaded_part(d, merge, io, error, data)
    elif error is not None:
        rules_of(d).copy_failed(d, merge, "Failed merge operation")
    elif io.step is ConceptStep.FLUSH:
        rules_of(d).record(d, merge)
    else:
        worker.released(d, merge)


def _worker_runs(d: Draft, id: WorkId, work: Worker, _error: str | None, _data: bytes) -> None:
    d.end(id)
    worker.turn(d, work.target)


# --- questions ---------------------------------------------------------------------------------------------------


def _refusal(d: Draft, target: Target) -> str | None:
    problem = rules_of(d).refuse(d, target) or claims.in_use(d, target)
    return None if problem is None else f"snapshots: {problem}"


def _preresume_snapshot(d: Draft, snap: SnapshotTarget) -> str | None:
    return _refusal(d, snap) or handover.preresume(d, snap)


def _admit(d: Draft, snap: SnapshotTarget) -> str | None:
    return rules_of(d).refuse(d, snap)


def _status(_stack: Stack, rules: Rules, merge: ConceptMerge) -> tuple[str, ...]:
    first = rules.part(ConceptRules).span(merge.line)[0] // merge.chunk_size
    return (messages.status(merge, first),)


def _table(merge: ConceptMerge) -> tuple[str, ...]:
    """The arguments of the table line (CONCEPT-23)."""
    return merge.destination, merge.cow, merge.store.letters, str(merge.store.chunk_size)


def _extent(d: Draft, merge: ConceptMerge) -> tuple[str, int]:
    return merge.destination, rules_of(d).span(merge.line)[0]


_CONCEPT_MERGE: Final[TargetType[ConceptMerge]] = TargetType(
    target=ConceptMerge,
    names={"snapshot-merge": (0, 1, 0)},
    devices=(0, 1),
    construct=ctr.construct,
    destroy=suspend.destroyed,
    map=_map,
    end_io=_end_io,
    retry=_retry,
    done={ConceptIo: _io_done, Worker: _worker_runs},
    copied={ConceptCopy.CHUNK: worker.copied},
    presuspend=suspend.presuspend,
    at_rest=suspend.at_rest,
    presuspended=suspend.presuspended,
    postsuspend=plain.nothing,
    preresume=_refusal,
    resuming=claims.claim,
    resume=suspend.resume,
    message=messages.message,
    status=_status,
    table=_table,
    lower=lambda merge: (merge.destination, merge.cow),
    extent=_extent,
    set_limits=plain.nothing,
    max_io_len=_max_io_len,
    clones=_clones,
    store=lambda merge: (merge.cow, merge.store),
    works=lambda merge: merge.works,
    settled=lambda merge: not merge.active or merge.is_over,
    locked=plain.locked,
    busy=plain.busy,
    claims=claims.is_claimed,
)

_SNAPSHOT: Final[TargetType[SnapshotTarget]] = replace_fields(
    SNAPSHOT,
    names={"snapshot": SNAPSHOT.names["snapshot"]},
    preresume=_preresume_snapshot,
    message=messages.message,
)


def _concept(linux: Rules) -> Rules:
    """The rules of Linux with the ``snapshot-merge`` of 2009, as intended."""
    types = tuple(_SNAPSHOT if kind is SNAPSHOT else kind for kind in linux.types)
    rules = Rules(linux.core, (*types, _CONCEPT_MERGE), (*linux.parts, _AS_MEANT))
    woken = (*rules.part(SnapshotRules).exception_done, worker.retry_protection)
    return rules.changed(SnapshotRules, admit=_admit, exception_done=woken, sibling_resumed=(suspend.new_sibling,))


CONCEPT: Final = _concept(MAINLINE)
"""The rules of Linux with the ``snapshot-merge`` of 2009, as intended."""
