"""The machine's input and output: events, and the effects that it asks for in return."""

from snapmerge.machine.core.bio import Bio, Buffer, WorkId
from snapmerge.records import dataclass

__all__ = [
    "AddDisk",
    "ClearTable",
    "CreateDevice",
    "Effect",
    "EndBio",
    "Event",
    "Fetch",
    "Finished",
    "Io",
    "LoadTable",
    "Log",
    "RemoveDevice",
    "Reply",
    "Requeue",
    "ResumeDevice",
    "SendMessage",
    "SubmitBio",
    "SuspendDevice",
    "Zero",
]

# --- events ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AddDisk:
    """Add a disk of ``size`` sectors."""

    name: str
    size: int


@dataclass(frozen=True, slots=True)
class SubmitBio:
    """A user submits a bio to a device; ``EndBio`` with the same token answers it."""

    token: int
    bio: Bio


@dataclass(frozen=True, slots=True)
class Finished:
    """The effect with this id has ended; ``error``: an errno's name, or None.  ``data`` answers ``Fetch``."""

    id: WorkId
    error: str | None = None
    data: bytes = b""


@dataclass(frozen=True, slots=True)
class CreateDevice:
    """Make a device without a table.  This and the following are answered by ``Reply`` with the same token."""

    token: int
    device: str


@dataclass(frozen=True, slots=True)
class LoadTable:
    """Construct the inactive table of a device."""

    token: int
    device: str
    table: str


@dataclass(frozen=True, slots=True)
class ClearTable:
    """Destroy the inactive table of a device, if there is one."""

    token: int
    device: str


@dataclass(frozen=True, slots=True)
class ResumeDevice:
    """Make the inactive table live, if there is one, and let I/O flow."""

    token: int
    device: str


@dataclass(frozen=True, slots=True)
class SuspendDevice:
    """Wait for the I/O in flight, and hold back new I/O."""

    token: int
    device: str


@dataclass(frozen=True, slots=True)
class RemoveDevice:
    """Remove a device with its tables."""

    token: int
    device: str


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Send a message to the first target of a device."""

    token: int
    device: str
    text: str


Event = (
    AddDisk
    | SubmitBio
    | Finished
    | CreateDevice
    | LoadTable
    | ClearTable
    | ResumeDevice
    | SuspendDevice
    | RemoveDevice
    | SendMessage
)

# --- effects -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Io:
    """Send this bio to this disk (``bio.where``); ``Finished`` with the same id answers it."""

    id: WorkId
    bio: Bio


@dataclass(frozen=True, slots=True)
class Fetch:
    """Return the bytes that were read into the buffer of this owner; ``Finished`` with data answers it."""

    id: WorkId


@dataclass(frozen=True, slots=True)
class Requeue:
    """Continue work without I/O: ``Finished`` with the same id answers it; ``later``: another thread continues it."""

    id: WorkId
    later: bool = False


@dataclass(frozen=True, slots=True)
class EndBio:
    """A user's bio has ended; ``error``: an errno's name, None after success."""

    token: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """A request has ended; ``errno`` None: it succeeded.  ``text``: the kernel's message."""

    token: int
    errno: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """A line for the kernel's log, without its prefix ``device-mapper:``."""

    text: str


@dataclass(frozen=True, slots=True)
class Zero:
    """Zeroes ``count`` sectors of a buffer, at once."""

    buffer: Buffer
    count: int


Effect = Io | Fetch | Requeue | EndBio | Reply | Log | Zero
