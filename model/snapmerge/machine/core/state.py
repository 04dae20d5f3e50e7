"""The state of device-mapper as one value: the ``Stack``.

Everything here is frozen and hashable.  The other modules compute new values; this one only defines them.  Equal
situations are equal values, whatever led to them.  So devices and disks have names, targets have small numbers (ids),
which are reused when they are free, and work in flight is named by its content: a copy by its target and chunk, a piece
by its bio and first sector.  A number is added to the name only while other work has the same name.

Three kinds of values belong to the targets' own packages, which derive them from the bases here: ``Target`` (a target
of a table), ``Work`` (work of a target in flight) and ``ResumeState`` (the progress of a target's resume).
"""

from enum import Enum
from typing import Final

from immutables import Map

from snapmerge.machine.core.bio import Bio, WorkId
from snapmerge.machine.core.table_line import TableLine
from snapmerge.machine.core.transitions import Named
from snapmerge.records import dataclass

__all__ = [
    "EMPTY",
    "SUBMITTER",
    "CopyJob",
    "Device",
    "DeviceBio",
    "Load",
    "Piece",
    "Purpose",
    "Removing",
    "Request",
    "Rest",
    "ResumeStage",
    "ResumeState",
    "Resuming",
    "Shared",
    "Stack",
    "Suspending",
    "Target",
    "Wake",
    "Work",
    "size_of",
]

SUBMITTER: Final = WorkId("")
"""The parent of a bio that a user has submitted."""


@dataclass(frozen=True, slots=True)
class Device:
    """A mapped device.  ``live`` and ``inactive`` are the ids of its tables' targets, in the order of the sectors.

    ``suspended``: by the user, or about to be (``resting``).  ``held`` counts the reasons to hold back new I/O: that,
    and handovers under way.  ``busy`` counts bios that were let in and have not ended; ``deferred`` are the ids of
    those held back.  ``typed``: it has had a table, so that it is a block device on which others may be made.
    ``flushes``: something below it takes flushes, so that the block layer lets them through to it.
    """

    name: str
    live: tuple[int, ...] = ()
    inactive: tuple[int, ...] = ()
    suspended: bool = False
    resting: bool = False
    held: int = 0
    busy: int = 0
    deferred: tuple[WorkId, ...] = ()
    events: int = 0
    typed: bool = False
    flushes: bool = False

    @property
    def is_nameless(self) -> bool:
        """Whether it is being removed, so that no user can name it any more."""
        return " " in self.name

    @property
    def called(self) -> str:
        """Its name, or what that was until its removal began."""
        return self.name.split(" ")[0]


@dataclass(frozen=True, slots=True)
class Target:
    """A target of a table.  Each target type derives a class of its own, which selects its ``TargetType``.

    ``device``: the device in whose table it is.  ``line``: the table line from which it was made.
    """

    id: int
    device: str
    line: TableLine


# --- work in flight ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Work:
    """Work in flight.  It ends when the effect with its id has ended, or other work that was begun for it.

    The core's kinds are here; targets derive others, and their ``TargetType.done`` has the functions for their ends.
    """

    @property
    def name(self) -> str:
        """A name made from the work's content, which does not change, and which other work hardly ever has."""
        raise NotImplementedError

    @property
    def keeps_buffer(self) -> bool:
        """Whether the work still needs the content of its buffer."""
        return False


@dataclass(frozen=True, slots=True)
class DeviceBio(Work):
    """A bio in a mapped device.  ``remaining`` pieces of it have not ended.  ``parent``: the id of the work that waits.

    ``token`` is the submitter's own name for it when the parent is ``SUBMITTER``.
    """

    bio: Bio
    parent: WorkId
    token: int = 0
    remaining: int = 0
    error: str | None = None

    @property
    def name(self) -> str:
        """The submitter's token, or the work that has sent the bio: it sends one at a time."""
        return f"bio {self.token}" if self.parent == SUBMITTER else f"{self.parent}/bio"


@dataclass(frozen=True, slots=True)
class Wake(Work):
    """A resumed device with deferred bios to be let in."""

    device: str

    @property
    def name(self) -> str:
        """The device."""
        return f"{self.device}/wake"


@dataclass(frozen=True, slots=True)
class Rest(Work):
    """The rest of a split bio, to be mapped."""

    parent: WorkId
    bio: Bio

    @property
    def name(self) -> str:
        """The bio, which has one rest at a time."""
        return f"{self.parent}/rest"


@dataclass(frozen=True, slots=True)
class Piece(Work):
    """A part of a bio, mapped by one target: a clone, in the kernel's words.

    ``number`` distinguishes clones of the same sectors.  ``chunk``, ``full`` and ``then`` belong to the target (its
    ``per_io_data``): the chunk under which the piece is tracked, whether it fills that chunk, and a second bio to send
    after the first.
    """

    parent: WorkId
    target: int
    bio: Bio
    number: int = 0
    chunk: int | None = None
    full: bool = False
    then: Bio | None = None

    @property
    def name(self) -> str:
        """The bio, the target, the first sector, and which of the clones it is."""
        return f"{self.parent}/{self.target}+{self.bio.sector}.{self.number}"


class Purpose(Enum):
    """The purpose of a copy by kcopyd.  Targets derive their own enumerations from this empty one."""


@dataclass(frozen=True, slots=True)
class CopyJob(Work):
    """A copy by kcopyd for a target: first a read, then a write.  ``old``: the first chunk that it copies."""

    target: int
    purpose: Purpose
    old: int
    destination: Bio
    reading: bool = True

    @property
    def name(self) -> str:
        """The target and the first chunk."""
        return f"{self.target}/copy {self.old}"

    @property
    def keeps_buffer(self) -> bool:
        """True during the write, whose data is in the buffer."""
        return not self.reading


# --- requests: operations on devices that may take several steps ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Load:
    """A table under construction: ``built`` are the complete targets; ``loading`` is one that reads its metadata.

    A load with neither waits for an earlier load of the device.
    """

    token: int
    device: str
    lines: tuple[TableLine, ...]
    built: tuple[int, ...] = ()
    loading: int | None = None


@dataclass(frozen=True, slots=True)
class Suspending:
    """A suspension under way.  ``begun``: the requests before it have ended, and it is this one's turn."""

    token: int
    device: str
    begun: bool = False


@dataclass(frozen=True, slots=True)
class ResumeState:
    """The progress of the resume of one target; targets whose resume takes several steps derive their own."""

    @property
    def locks(self) -> str | None:
        """Another device whose ``suspend_lock`` this resume holds (DEV-30)."""
        return None

    def renamed(self, old: str, new: str) -> "ResumeState":
        """With the new name of a device, if it has the old one."""
        _ = old, new
        return self


class ResumeStage(Named):
    """How far the resume of a device has come (``devices`` has the table)."""

    WAITING = "requests before it have not ended"
    SUSPENDING = "the device is suspended first, if it is not"
    RESUMING = "the new table is live; its targets are resumed one after the other"
    REFUSED = "a target can't be resumed; the device stays suspended with the new table"
    CLEARING = "I/O flows; the targets of the table before are destroyed"
    ENDED = "the request is answered"


@dataclass(frozen=True, slots=True)
class Resuming:
    """A resume under way.  ``new``: the targets of the table that was inactive when it began, until that is live.
    ``suspends``: the device was not suspended then.  ``left``: the targets not yet resumed, of which the first is at
    ``state``.  ``old``: the targets of the table before, to be destroyed.  ``refused``: why a target could not be
    resumed.
    """

    token: int
    device: str
    new: tuple[int, ...] = ()
    suspends: bool = False
    stage: ResumeStage = ResumeStage.WAITING
    old: tuple[int, ...] = ()
    left: tuple[int, ...] = ()
    state: ResumeState | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True)
class Removing:
    """A removal under way.  ``old``: the targets that are still to be destroyed."""

    token: int
    device: str
    old: tuple[int, ...] = ()


Request = Load | Suspending | Resuming | Removing


# --- the stack ---------------------------------------------------------------------------------------------------


Shared = Map[str, tuple[int, ...]]
"""A target module's lists of target ids, by a name of its own (the kernel's ``_origins`` is one)."""


@dataclass(frozen=True, slots=True)
class Stack:
    """All of device-mapper: disks (name to sectors), devices, targets, work in flight, requests under way.

    ``shared``: state of target modules that belongs to no single target.
    """

    disks: Map[str, int] = Map()
    devices: Map[str, Device] = Map()
    targets: Map[int, Target] = Map()
    shared: Shared = Map()
    work: Map[WorkId, Work] = Map()
    requests: tuple[Request, ...] = ()

    def size(self, name: str) -> int:
        """The size in sectors of a disk, or of a device by its live table."""
        return size_of(name, self.disks, self.devices, self.targets)

    def targets_of(self, name: str) -> list[Target]:
        """The targets of all tables of a device: live, inactive, and on the way to be either or to be destroyed."""
        return [target for target in self.targets.values() if target.device == name]


EMPTY: Final = Stack()


def size_of(name: str, disks: Map[str, int], devices: Map[str, Device], targets: Map[int, Target]) -> int:
    """The size in sectors of a disk, or of a device by its live table."""
    if name in disks:
        return disks[name]
    live = devices[name].live
    if not live:
        return 0
    line = targets[live[-1]].line
    return line.start + line.length
