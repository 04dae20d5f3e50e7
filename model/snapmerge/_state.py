"""The state of device-mapper as one value: the ``Stack`` and all that is in it.

Everything here is frozen and hashable.  What changes it is in the other files; this one only says what there is.
Devices and disks have names; targets and what is under way have small numbers (ids), reused when free, so that
equal situations are equal values.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from immutables import Map

from ._bio import Bio
from ._concept_state import ConceptIo, ConceptMerge, Generation, Worker
from ._exceptions import NO_EXCEPTIONS, Exceptions
from ._store import Run, Store
from ._table import Features, TableLine

__all__ = [
    "EMPTY",
    "SUBMITTER",
    "ConceptMerge",
    "CopyJob",
    "Device",
    "DeviceBio",
    "LinearTarget",
    "Load",
    "Merge",
    "MergeFlush",
    "OriginTarget",
    "Pending",
    "Phase",
    "Piece",
    "Purpose",
    "Removing",
    "Request",
    "Rest",
    "Resuming",
    "SnapshotTarget",
    "Stack",
    "StoreIo",
    "StoreStep",
    "Suspending",
    "Target",
    "Wake",
    "Work",
]

SUBMITTER: Final = -1
"""The parent of a bio that came from outside."""


@dataclass(frozen=True, slots=True)
class Device:
    """A mapped device.  ``live`` and ``inactive`` are the ids of its tables' targets, in the order of the sectors.

    ``suspended``: by the user, or on the way there (``resting``); ``held``: new I/O is held back, for that or for a
    handover under way.  ``busy`` counts bios that were let in and have not ended, ``deferred`` are the ids of
    those held back.  ``typed``: it has had a table, so that it is a block device that others may be made on.
    """

    name: str
    live: tuple[int, ...] = ()
    inactive: tuple[int, ...] = ()
    suspended: bool = False
    resting: bool = False
    held: int = 0
    busy: int = 0
    deferred: tuple[int, ...] = ()
    events: int = 0
    typed: bool = False

    @property
    def is_nameless(self) -> bool:
        """Whether it is being removed, so that nobody can name it any more."""
        return " " in self.name

    @property
    def called(self) -> str:
        """Its name, or what that was until its removal began."""
        return self.name.split(" ")[0]


# --- targets -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinearTarget:
    """A slice of a lower device, from its sector ``offset`` on."""

    id: int
    device: str
    line: TableLine
    lower: str
    offset: int


@dataclass(frozen=True, slots=True)
class OriginTarget:
    """A ``snapshot-origin`` on ``lower``.  ``boundary``: no write crosses a multiple of it; ``acting``: resumed (5)."""

    id: int
    device: str
    line: TableLine
    lower: str
    boundary: int = 0
    acting: bool = False


@dataclass(frozen=True, slots=True)
class Pending:
    """An exception in the making.  ``waiting`` and ``origin_waiting`` are ids of pieces that wait for it.

    ``full``: id of the piece that writes the whole chunk itself, so that nothing is copied.  ``copied``: None while the
    copy (or that write) is under way or not started, then whether it went well.
    """

    old: int
    new: int
    started: bool = False
    full: int | None = None
    copied: bool | None = None
    waiting: tuple[int, ...] = ()
    origin_waiting: tuple[int, ...] = ()


class Phase(Enum):
    """Where a merge is in its loop; specs/merge.md has the letters."""

    IDLE = "idle"
    READING = "reading the area before"  # A, B
    PROTECTING = "waiting for copies in other snapshots"  # D
    DRAINING = "waiting for writers of the run"  # E, F
    COPYING = "copying the run"  # G, H
    FLUSHING = "flushing the origin"  # I
    COMMITTING = "clearing the records"  # J, K


@dataclass(frozen=True, slots=True)
class Merge:
    """The merge of a ``snapshot-merge`` target.  ``run`` is set from DRAINING on: writes to it are queued."""

    phase: Phase = Phase.IDLE
    run: Run | None = None
    queued: tuple[int, ...] = ()
    stopping: bool = False
    failed: bool = False


@dataclass(frozen=True, slots=True)
class SnapshotTarget:
    """A ``snapshot`` or, when ``merge`` is set, a ``snapshot-merge``.

    ``line`` is the table line it was made from, ``table_size`` the size of its whole table in sectors.
    ``discards``: its device takes them, which is decided when the table becomes live.
    ``pending`` are exceptions in the making, by old chunk; ``order`` their old chunks in the order of allocation,
    those not committed yet.  ``recorded``: committed in memory, waiting for the area to be written;
    ``publishing``: what remains of a committed batch, with its success. ``tracked`` counts the bios in flight by
    chunk: reads of the origin in a snapshot, writes of the COW in a merge. ``writing``: the area is being written;
    ``dropping``: the header is, with the snapshot's lock held; ``locked_out`` are ids of pieces that wait for it.
    """

    id: int
    device: str
    line: TableLine
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
    success: bool = True
    tracked: Map[int, int] = Map()
    writing: bool = False
    dropping: bool = False
    locked_out: tuple[int, ...] = ()


Target = LinearTarget | OriginTarget | SnapshotTarget | ConceptMerge


# --- what is under way -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DeviceBio:
    """A bio in a mapped device: ``remaining`` pieces of it have not ended; ``parent`` is who waits for it.

    ``token`` is the submitter's own name for it when the parent is the submitter.
    """

    bio: Bio
    parent: int
    token: int = 0
    remaining: int = 0
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Wake:
    """A device that was resumed, whose deferred bios are still to be let in."""

    device: str


@dataclass(frozen=True, slots=True)
class Rest:
    """The rest of a split bio, still to be mapped."""

    parent: int
    bio: Bio


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a bio, mapped by one target.  ``chunk``: it is tracked there, or (``full``) fills it by itself.

    ``then``: where it goes next, when it has been where it goes first.
    """

    parent: int
    target: int
    bio: Bio
    number: int = 0
    chunk: int | None = None
    full: bool = False
    then: Bio | None = None


class Purpose(Enum):
    """What a copy is for."""

    COPY_OUT = "an exception"
    MERGE = "a run of a merge"
    CONCEPT = "a chunk of a merge as it was proposed in 2009"


@dataclass(frozen=True, slots=True)
class CopyJob:
    """A copy by kcopyd: first reads, then writes.  ``old`` names the exception of a copy-out."""

    target: int
    purpose: Purpose
    old: int
    destination: Bio
    reading: bool = True


class StoreStep(Enum):
    """A metadata I/O of a store, by what it is for."""

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
class StoreIo:
    """A metadata I/O under way.  ``fetching``: it was read, and its bytes are asked for."""

    target: int
    step: StoreStep
    area: int = 0
    fetching: bool = False


@dataclass(frozen=True, slots=True)
class MergeFlush:
    """The flush of the origin after a run was copied."""

    target: int


Work = DeviceBio | Wake | Rest | Piece | CopyJob | StoreIo | MergeFlush | ConceptIo | Worker


# --- requests of the user that may take time ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """A table under construction: ``built`` targets of ``lines`` are done; ``loading`` is reading its metadata."""

    token: int
    device: str
    lines: tuple[TableLine, ...]
    built: tuple[int, ...] = ()
    loading: int | None = None


@dataclass(frozen=True, slots=True)
class Suspending:
    """A device on its way to rest; ``begun``: this request's turn has come."""

    token: int
    device: str
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Resuming:
    """A device whose targets are being resumed: those in ``left`` are not yet.  ``quiet``: the device that is held
    back for the target that comes next; ``restart``: the merge to start again after that; ``old``: targets to destroy.
    ``refused``: why a target could not be resumed; the device stays suspended then.
    """

    token: int
    device: str
    old: tuple[int, ...] = ()
    swapped: bool = False
    left: tuple[int, ...] = ()
    quiet: str | None = None
    restart: int | None = None
    waiting: int | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Removing:
    """A device on its way out."""

    token: int
    device: str
    old: tuple[int, ...] = ()


Request = Load | Suspending | Resuming | Removing


@dataclass(frozen=True, slots=True)
class Stack:
    """All of device-mapper: disks (name to sectors), devices, targets, what is under way.

    ``registered``: for each origin the ids of its snapshots, largest chunks first.  ``generation``: which
    ``snapshot-merge`` its tables make.
    """

    disks: Map[str, int] = Map()
    devices: Map[str, Device] = Map()
    targets: Map[int, Target] = Map()
    registered: Map[str, tuple[int, ...]] = Map()
    work: Map[int, Work] = Map()
    requests: tuple[Request, ...] = ()
    generation: Generation = Generation.MAINLINE


EMPTY: Final = Stack()
