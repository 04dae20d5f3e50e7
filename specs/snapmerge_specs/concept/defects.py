"""The defects of the ``snapshot-merge`` of 2009: each replaces one transition of the intended design.

With all of them the target is the patch to the letter (``AS_POSTED``); with none it is ``snapmerge.CONCEPT``; each of
them violates a property (specs/concept.md).  Those called ``S`` can be found by reading the patch; those called ``N``
were found by the checker.
"""

from collections.abc import Callable
from typing import Any, Final

from snapmerge import CONCEPT, Bio, Draft, Op, Rules, WorkId
from snapmerge.format.store import Store
from snapmerge.machine.concept.mapping import hold, to_destination
from snapmerge.machine.concept.rules import ConceptRules, rules_of
from snapmerge.machine.concept.state import ConceptMerge, Stage
from snapmerge.machine.concept.worker import released
from snapmerge.machine.core.bios import piece_ended
from snapmerge.machine.core.state import Piece, Target
from snapmerge.machine.core.table_line import TableLine
from snapmerge.records import dataclass, replace
from snapmerge.units import chunk_start

__all__ = ["AS_POSTED", "CONCEPT_DEFECTS", "ConceptDefect"]


@dataclass(frozen=True, slots=True)
class ConceptDefect:
    """A defect.  ``transition``: the entry of ``ConceptRules`` that ``function`` replaces.

    ``statement``: the statement that it violates; ``why``: its place in the patch, and its consequence.
    """

    id: str
    summary: str
    why: str
    statement: str
    transition: str
    function: Callable[..., Any]

    @property
    def rules(self) -> Rules:
        """The intended design with this defect."""
        return with_defects(self)


def with_defects(*defects: ConceptDefect) -> Rules:
    """The intended design with these defects."""
    changes = {defect.transition: defect.function for defect in defects}
    return CONCEPT.changed(ConceptRules, **changes)


def _below_count(d: Draft, merge: ConceptMerge, new: int) -> bool:
    """``if (merge_chunk > sm->nr_chunks)``: compares a chunk of the COW device with the number of chunks to merge."""
    first = rules_of(d).span(merge.line)[0] // merge.chunk_size
    if new <= merge.end - first:
        return True
    d.log("snapshots: merge_chunk out of range")
    return False


def _whole_chunks(sectors: int, chunk_size: int) -> int:
    return sectors // chunk_size


def _whole_chunk(merge: ConceptMerge, chunk: int) -> tuple[int, int]:
    return chunk_start(chunk, merge.chunk_size), merge.chunk_size


def _settled(_merge: ConceptMerge) -> bool:
    return True


def _only_logs(d: Draft, _merge: ConceptMerge, text: str) -> None:
    d.log(f"snapshots: {text}")


def _records_nothing(d: Draft, merge: ConceptMerge) -> None:
    released(d, merge)


def _leaves_source(_d: Draft, _merge: ConceptMerge) -> bool:
    return True


def _refuses_none(_d: Draft, _target: Target) -> str | None:
    return None


def _ignores_unreadable(d: Draft, merge: ConceptMerge) -> None:
    d.log("snapshots: Exception store resume failed")
    d.put(replace(merge, stage=Stage.IDLE), over=merge)


def _skips_flush(d: Draft, merge: ConceptMerge) -> None:
    rules_of(d).record(d, merge)


def _blocks_all(d: Draft, id: WorkId, merge: ConceptMerge, piece: Piece) -> None:
    """``if (sm->merge_progress < sm->nr_chunks)``: every bio waits for the end of the merge."""
    bio: Bio = piece.bio
    if bio.op is Op.FLUSH and piece.number:
        piece_ended(d, id, None)
    elif merge.valid and merge.progress < merge.end:
        hold(d, id, merge)
    else:
        to_destination(d, id, replace(piece, bio=bio.to(merge.destination, bio.sector)))


def _never_stops(_d: Draft, _merge: ConceptMerge) -> None:
    pass


def _from_zero(line: TableLine) -> tuple[int, int]:
    return 0, line.length


def _protects_none(_d: Draft, _destination: str, _sector: int, _id: WorkId | None) -> bool:
    return False


def _claims_nothing(_merge: ConceptMerge) -> bool:
    return False


def _one_of_many(_d: Draft, _merge: ConceptMerge) -> str | None:
    return None


def _ignored(_d: Draft, _merge: ConceptMerge) -> None:
    pass


def _merges_invalid(_d: Draft, _merge: ConceptMerge) -> bool:
    return False


def _announces_always(d: Draft, merge: ConceptMerge, *, merged: bool) -> None:
    _ = merged
    d.raise_event(merge.device)


def _takes_all(_store: Store) -> bool:
    return True


def _counted_once(_d: Draft, merge: ConceptMerge) -> ConceptMerge:
    return merge


CONCEPT_DEFECTS: Final = (
    ConceptDefect(
        "S1",
        "a chunk of the COW device is compared with the number of chunks to merge, and skipped when it is larger",
        "merge_work() compares a chunk number of the COW device with nr_chunks, which counts chunks of the "
        "origin: two unrelated number spaces. An exception with a larger chunk number is skipped, with a line in the "
        "log, and counted as done.",
        "CONCEPT-1",
        "usable",
        _below_count,
    ),
    ConceptDefect(
        "S2",
        "a partial chunk at the end is not counted",
        "snapshot_merge_ctr() divides ti->len by the chunk size and forgets the remainder: the last, partial "
        "chunk is never looked up.",
        "CONCEPT-1",
        "chunks",
        _whole_chunks,
    ),
    ConceptDefect(
        "S3",
        "the last chunk is copied whole, beyond the end",
        "merge_work() copies chunk_size sectors of every chunk. Beyond the end of the target the copy fails, or, on "
        "a larger device, overwrites unrelated data.",
        "CONCEPT-10",
        "extent",
        _whole_chunk,
    ),
    ConceptDefect(
        "S4",
        "a suspension does not wait for the copy in flight",
        "snapshot_merge_presuspend() should wait for the copy, and does not. The device is suspended with a copy in "
        "flight; the resume calls the worker, which begins the same chunk again, and two callbacks count it.",
        "CONCEPT-7",
        "copies_settled",
        _settled,
    ),
    ConceptDefect(
        "S5",
        "a suspension does not wait for the worker that was called",
        "Nothing cancels a worker that schedule_work() has called: it runs on a suspended device and begins a "
        "copy there.",
        "CONCEPT-7",
        "work_settled",
        _settled,
    ),
    ConceptDefect(
        "S6",
        "a failed copy is only logged",
        "merge_callback() returns after an error: no state says that the merge has failed, and the worker is not "
        "called again.",
        "CONCEPT-5",
        "copy_failed",
        _only_logs,
    ),
    ConceptDefect(
        "S7",
        "nothing records the end: the next load merges again",
        "The end of a merge is not recorded: merge_progress begins at 0 with every load, and the old exceptions "
        "overwrite what was written since the end.",
        "CONCEPT-1",
        "record",
        _records_nothing,
    ),
    ConceptDefect(
        "S8",
        "the snapshot stays active beside the merge of its exceptions",
        "The merge has an instance of the store of its own, and the snapshot is not told: both keep serving one COW "
        "device.",
        "CONCEPT-11",
        "take_over",
        _leaves_source,
    ),
    ConceptDefect(
        "S9",
        "the snapshot may be in use when its merge begins",
        "The patch does not check whether the snapshot is in use: the merge misses exceptions that it makes later.",
        "CONCEPT-11",
        "refuse",
        _refuses_none,
    ),
    ConceptDefect(
        "S11",
        "a store that can't be read counts as one without exceptions",
        "snapshot_merge_resume() logs that the store could not be read, and calls the worker: no chunk has an "
        "exception, so all of them count as done, although nothing was rolled back.",
        "CONCEPT-1",
        "load_failed",
        _ignores_unreadable,
    ),
    ConceptDefect(
        "S12",
        "the merge reports its end before the copies are durable",
        "The patch does not flush the destination before it reports the end. A user who then discards the COW device "
        "has neither copy after a power cut.",
        "CONCEPT-3",
        "flush",
        _skips_flush,
    ),
    ConceptDefect(
        "S14",
        "all I/O waits for the end of the merge",
        "snapshot_merge_map() queues every bio until the last chunk is done, also those of chunks that are done "
        "or have no exception.",
        "CONCEPT-9",
        "map_merge",
        _blocks_all,
    ),
    ConceptDefect(
        "S15",
        "a suspension waits for the end of the merge",
        "The patch does not stop the worker: a suspension waits for bios, and these wait for the end of the merge.",
        "CONCEPT-8",
        "stop",
        _never_stops,
    ),
    ConceptDefect(
        "S16",
        "chunks are counted from 0, even if the target begins later",
        "The worker counts chunks from 0 to len / chunk_size, but chunks are numbered from the device's first "
        "sector: a target that begins later covers others.",
        "CONCEPT-1",
        "span",
        _from_zero,
    ),
    ConceptDefect(
        "S17",
        "snapshots on the destination itself are not asked",
        "The copy goes to the device that the table names. If that is the real origin, its old content is not "
        "copied out for the other snapshots, as the patch itself says.",
        "ORIGIN-1",
        "protects",
        _protects_none,
    ),
    ConceptDefect(
        "S18",
        "the destination can be written to during the merge",
        "FMODE_EXCL is only a question in a comment: the destination takes writes during the merge.",
        "CONCEPT-1",
        "claims",
        _claims_nothing,
    ),
    ConceptDefect(
        "S19",
        "two merges can have one destination",
        "The patch does not prevent it: of each chunk with an exception in both stores, the last copy wins.",
        "CONCEPT-12",
        "merges",
        _one_of_many,
    ),
    ConceptDefect(
        "S21",
        "a copy that can't be begun is not noticed",
        "The result of dm_kcopyd_copy() is assigned and not checked: a copy that was not begun has no callback, "
        "and the merge stops for ever.",
        "CONCEPT-5",
        "not_submitted",
        _ignored,
    ),
    ConceptDefect(
        "S27",
        "an invalid snapshot is merged in part",
        "The patch does not check whether the header says that the snapshot is valid: the exceptions from before the "
        "overflow are merged, and the others are missing.",
        "CONCEPT-1",
        "invalid",
        _merges_invalid,
    ),
    ConceptDefect(
        "S28",
        "the event of the end is raised at every resume, and without exceptions",
        "The worker raises the event whenever it finds nothing to do: at every resume after the end, and for a "
        "snapshot without exceptions.",
        "CONCEPT-14",
        "announce",
        _announces_always,
    ),
    ConceptDefect(
        "N1",
        "a transient store is accepted, and has nothing to merge",
        "create_exception_store() accepts a transient store, which has no metadata: the merge's own instance of it "
        "is empty, whatever the snapshot's holds.",
        "CONCEPT-1",
        "takes",
        _takes_all,
    ),
    ConceptDefect(
        "N2",
        "chunks are counted before the header has told their size",
        "nr_chunks is computed from the table's chunk size when the target is made; the header's, which is read "
        "later, wins everywhere else.",
        "CONCEPT-1",
        "recount",
        _counted_once,
    ),
)
"""All defects of the patch."""

AS_POSTED: Final = with_defects(*CONCEPT_DEFECTS)
"""The rules of the patch to the letter: with all of its defects."""
