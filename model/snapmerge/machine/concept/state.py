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
    """What a merge is at."""

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

    ``progress`` is the next chunk to be looked up, ``end`` the one behind the last; ``copies`` are the chunks being
    copied.  ``scheduled``: the worker has been called.  ``queued`` are ids of pieces that wait for a chunk, ``held`` of
    those that wait for the end; ``tracked`` counts what is on its way to the COW device, and writes to both homes of a
    chunk, by chunk.  ``broken``: the store could not be read; ``valid``: what its header
    says.  ``claims``: its resume has begun, and the destination is its own.  ``io_max``: no piece
    crosses a multiple of it, in sectors.
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
        """In sectors; never 0."""
        return self.store.chunk_size

    def covers(self, chunk: int) -> bool:
        """Whether any sector of the chunk is the target's."""
        start, end = self.line.start, self.line.start + self.line.length
        return start < (chunk + 1) * self.chunk_size and chunk * self.chunk_size < end

    @property
    def is_over(self) -> bool:
        """Whether it has ended, well or badly, as the status has it."""
        return (self.finished and self.stage is not Stage.ENDING) or self.failed or self.broken or not self.valid

    @property
    def works(self) -> bool:
        """Whether something of it is under way."""
        return self.stage not in (Stage.UNREAD, Stage.IDLE) or bool(self.copies) or self.scheduled


class ConceptStep(Enum):
    """An I/O of a merge, by what it is for."""

    READ_HEADER = "read header"
    READ_AREA = "read area"
    FLUSH = "flush the destination"
    RECORD = "clear the records"


@dataclass(frozen=True, slots=True)
class ConceptIo(Work):
    """An I/O under way.  ``fetching``: it was read, and its bytes are asked for."""

    target: int
    step: ConceptStep
    area: int = 0
    fetching: bool = False

    @property
    def name(self) -> str:
        """The target and what it is for."""
        return f"{self.target}/{self.step.value}"

    @property
    def keeps_buffer(self) -> bool:
        """What was read is to be fetched."""
        return self.fetching


@dataclass(frozen=True, slots=True)
class Worker(Work):
    """The worker of a merge, called and not run yet (``merge_work``)."""

    target: int

    @property
    def name(self) -> str:
        """The target."""
        return f"{self.target}/worker"


class ConceptCopy(Purpose):
    """What a copy of a merge is for."""

    CHUNK = "a chunk"
