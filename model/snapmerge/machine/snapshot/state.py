"""The state of ``snapshot``, ``snapshot-origin`` and ``snapshot-merge`` targets, and of what is in flight for them."""

from enum import Enum

from immutables import Map

from snapmerge.format.exceptions import NO_EXCEPTIONS, Exceptions
from snapmerge.format.store import Run, Store
from snapmerge.machine.core.bio import WorkId
from snapmerge.machine.core.state import Purpose, ResumeState, Target, Work
from snapmerge.machine.core.transitions import Named
from snapmerge.machine.snapshot.args import Features
from snapmerge.records import dataclass, replace

__all__ = [
    "Copy",
    "Merge",
    "MergeFlush",
    "OriginTarget",
    "Pending",
    "PendingStage",
    "Phase",
    "SnapshotResume",
    "SnapshotResumeStage",
    "SnapshotTarget",
    "StoreIo",
    "StoreStep",
]


@dataclass(frozen=True, slots=True)
class OriginTarget(Target):
    """A ``snapshot-origin`` on ``lower``.

    ``boundary``: no write crosses a multiple of so many sectors.  ``acting``: it is resumed, so its device must be
    quiet during a handover (``dm_internal_suspend_fast``).
    """

    lower: str
    boundary: int = 0
    acting: bool = False


class PendingStage(Named):
    """The stages of a pending exception (``copy_out`` has the theory and the table)."""

    ALLOCATED = "has a chunk of the COW device, to which nothing is copied yet"
    COPYING = "the chunk is being copied, or written as a whole"
    COPIED = "the copy is done; the exceptions allocated before it come first"
    FAILED = "the copy has failed; the exceptions allocated before it come first"
    RECORDED = "its record is in the area in memory"
    COMMITTED = "its record is durable; reads still go to the origin"
    LOST = "it could not be committed"
    PUBLISHED = "reads follow it; those that went to the origin before are still in flight"
    GONE = "it is no longer pending"


@dataclass(frozen=True, slots=True)
class Pending:
    """A pending exception: chunk ``old`` of the origin is to live in chunk ``new`` of the COW device.

    ``full``: the id of the write that fills the whole chunk and is sent there in place of a copy.  ``waiting`` are the
    ids of pieces of the snapshot's own that wait for the exception, ``origin_waiting`` those of writes to the origin.
    """

    old: int
    new: int
    stage: PendingStage = PendingStage.ALLOCATED
    full: WorkId | None = None
    waiting: tuple[WorkId, ...] = ()
    origin_waiting: tuple[WorkId, ...] = ()


class Phase(Named):
    """The phases of a merge's loop (``merge`` has the theory; specs/merge.md uses the letters).

    READING, COPYING, FLUSHING and COMMITTING have one I/O under way, the others have none (MERGE-30).
    """

    IDLE = "no run is under way: the merge has not begun, has ended, was stopped, or has failed"
    READING = "reads the area before, since this one has no records left (B)"
    PROTECTING = "waits until the other snapshots have copied what the run will overwrite (D)"
    DRAINING = "waits for writes that are on their way to the run's chunks on the COW device (E, F)"
    COPYING = "copies the run from the COW device to the origin (G, H)"
    FLUSHING = "flushes the origin (I)"
    COMMITTING = "clears the run's records on the COW device (J, K)"


@dataclass(frozen=True, slots=True)
class Merge:
    """The merge of a ``snapshot-merge`` target.  ``run`` is set from DRAINING on; writes to it are ``queued`` (ids).

    ``stopping``: the loop ends before the next run.  ``failed``: a run has failed, and the status is ``Merge failed``
    from then on (MERGE-11).
    """

    phase: Phase = Phase.IDLE
    run: Run | None = None
    queued: tuple[WorkId, ...] = ()
    stopping: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotTarget(Target):
    """A ``snapshot`` or, when ``merge`` is set, a ``snapshot-merge``.

    ``table_size``: the size of its whole table in sectors.  ``overflowed``: a write found no room; no store records it
    (SNAP-6).  ``discards``: its device takes them, which is decided when the table becomes live.  ``io_max``: no piece
    crosses a multiple of so many sectors; 0: no limit.

    ``completed`` are the exceptions that reads follow, and ``pending`` the pending ones, by old chunk.  ``order``: the
    old chunks of those not committed, in the order of allocation.  ``recorded``: those in the area in memory, which is
    to be written.  ``publishing``: the rest of a batch that is committed or lost.

    ``tracked`` counts bios in flight by chunk of the origin: in a snapshot those that read the origin, in a merge those
    that write to the COW device.
    ``writing``: the area is being written.  ``dropping``: the header is, with the snapshot's lock held; ``locked_out``
    are the ids of pieces that wait for that lock.
    """

    origin: str
    cow: str
    features: Features
    store: Store
    table_size: int
    merge: Merge | None = None
    valid: bool = True
    active: bool = False
    overflowed: bool = False
    io_max: int = 0
    discards: bool = False
    completed: Exceptions = NO_EXCEPTIONS
    pending: Map[int, Pending] = Map()
    order: tuple[int, ...] = ()
    recorded: tuple[int, ...] = ()
    publishing: tuple[int, ...] = ()
    tracked: Map[int, int] = Map()
    writing: bool = False
    dropping: bool = False
    locked_out: tuple[WorkId, ...] = ()


# --- in flight ---------------------------------------------------------------------------------------------------


class Copy(Purpose):
    """The purpose of a copy of a snapshot."""

    OUT = "an exception"
    MERGE = "a run of a merge"


class StoreStep(Enum):
    """The purpose of a metadata I/O of a store."""

    READ_HEADER = "read header"
    READ_AREA = "read area"
    NEW_HEADER = "write the first header"
    NEW_AREA = "zero the first area"
    ZERO_NEXT = "zero the next area"
    WRITE_AREA = "write the area"
    DROP = "invalidate the header"
    MERGE_READ = "read the area before"
    MERGE_COMMIT = "clear merged records"


@dataclass(frozen=True, slots=True)
class StoreIo(Work):
    """A metadata I/O in flight.  ``fetching``: the read has ended, and its bytes are being fetched."""

    target: int
    step: StoreStep
    area: int = 0
    fetching: bool = False

    @property
    def name(self) -> str:
        """The target and the purpose."""
        return f"{self.target}/{self.step.value}"

    @property
    def keeps_buffer(self) -> bool:
        """True while the bytes that were read are being fetched."""
        return self.fetching


@dataclass(frozen=True, slots=True)
class MergeFlush(Work):
    """The flush of the origin after a run was copied."""

    target: int

    @property
    def name(self) -> str:
        """The target."""
        return f"{self.target}/flush"


class SnapshotResumeStage(Named):
    """The stages of the resume of a snapshot (``resume`` has the table)."""

    BEGUN = "nothing has been done yet"
    QUIETING = "waits until the device that acts as the origin has no I/O in flight, and its merge has stopped"
    MERGING = "the target is active; its merge has not begun its first copy"
    ACTIVE = "the target is active"


@dataclass(frozen=True, slots=True)
class SnapshotResume(ResumeState):
    """The progress of the resume of a snapshot.

    ``quiet``: the device that acts as the origin, whose I/O is held back; ``restart``: the id of its merge, which is
    restarted afterwards.
    """

    stage: SnapshotResumeStage = SnapshotResumeStage.BEGUN
    quiet: str | None = None
    restart: int | None = None

    @property
    def locks(self) -> str | None:
        """The device whose suspend lock the request holds: the one that acts as the origin."""
        return self.quiet

    def renamed(self, old: str, new: str) -> "SnapshotResume":
        """With the new name of the device that is held back, if it has the old one."""
        return replace(self, quiet=new) if self.quiet == old else self
