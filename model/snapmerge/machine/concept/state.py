"""The state of the ``snapshot-merge`` that was proposed in 2009, a part of the stack (specs/concept.md)."""

from enum import Enum

from immutables import Map

from snapmerge.format.exceptions import NO_EXCEPTIONS, Exceptions
from snapmerge.format.store import Store
from snapmerge.machine.core.bio import WorkId
from snapmerge.machine.core.state import Purpose, Target, Work
from snapmerge.records import dataclass

__all__ = ["ConceptCopy", "ConceptIo", "ConceptMerge", "ConceptStep", "Stage", "Worker"]


class Stage(Enum):
    """The stages of a merge."""

    UNREAD = "its store has not been read yet"
    LOADING = "its store is being read"
    IDLE = "between two chunks"
    DRAINING = "waiting for writers of the chunk"
    PROTECTING = "waiting for copies in other snapshots"
    COPYING = "copying a chunk"
    FLUSHING = "flushing the destination"
    RECORDING = "recording that it is over"
    ENDING = "waiting for I/O of the COW device that began before the end"


@dataclass(frozen=True, slots=True)
class ConceptMerge(Target):
    """A ``snapshot-merge`` of version 0.1.0.  Chunks are numbered from the destination's first sector.

    ``progress`` is the next chunk to look up, ``end`` the last one plus 1; ``copies`` are the chunks being copied.
    ``scheduled``: the worker has been called.  ``queued``: ids of pieces that wait for a chunk; ``held``: of those that
    wait for the end.  ``tracked`` counts, by chunk, I/O in flight to the COW device and writes to both homes.
    ``broken``: the store could not be read; ``valid``: as in its header.  ``claims``: its resume has begun, and it has
    claimed the destination.  ``io_max``: no piece crosses a multiple of it, in sectors.
    """

    destination: str
    cow: str
    store: Store
    stage: Stage = Stage.UNREAD
    active: bool = False
    claims: bool = False
    completed: Exceptions = NO_EXCEPTIONS
    progress: int = 0
    end: int = 0
    copies: tuple[int, ...] = ()
    scheduled: bool = False
    stopping: bool = False
    valid: bool = True
    broken: bool = False
    failed: bool = False
    finished: bool = False
    queued: tuple[WorkId, ...] = ()
    held: tuple[WorkId, ...] = ()
    tracked: Map[int, int] = Map()
    io_max: int = 0

    @property
    def chunk_size(self) -> int:
        """The chunk size in sectors; never 0."""
        return self.store.chunk_size

    def covers(self, chunk: int) -> bool:
        """Whether any sector of the chunk belongs to the target."""
        start, end = self.line.start, self.line.start + self.line.length
        return start < (chunk + 1) * self.chunk_size and chunk * self.chunk_size < end

    @property
    def is_over(self) -> bool:
        """Whether the merge has finished or failed, by its status."""
        return (self.finished and self.stage is not Stage.ENDING) or self.failed or self.broken or not self.valid

    @property
    def works(self) -> bool:
        """Whether the merge is under way."""
        return self.stage not in (Stage.UNREAD, Stage.IDLE) or bool(self.copies) or self.scheduled


class ConceptStep(Enum):
    """The purpose of an I/O of a merge."""

    READ_HEADER = "read header"
    READ_AREA = "read area"
    FLUSH = "flush the destination"
    RECORD = "clear the records"


@dataclass(frozen=True, slots=True)
class ConceptIo(Work):
    """An I/O in flight.  ``fetching``: the read has ended, and its bytes are being fetched."""

    target: int
    step: ConceptStep
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
class Worker(Work):
    """A call of a merge's worker that has not run yet (``merge_work``)."""

    target: int

    @property
    def name(self) -> str:
        """The target."""
        return f"{self.target}/worker"


class ConceptCopy(Purpose):
    """The purpose of a copy of a merge."""

    CHUNK = "a chunk"
