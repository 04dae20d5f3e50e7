"""The operations of a user of device-mapper, as values: the one vocabulary of snapmerge.

The same values are the lines of a trace, the messages of the stdio protocol, the argument of every adapter and
the steps of the stateful tests.  ``specs/trace.md`` defines how each is written.
"""

from typing import Literal

from snapmerge.records import dataclass
from snapmerge.units import Sector, Sectors

__all__ = [
    "Clear",
    "Crash",
    "Create",
    "Discard",
    "Disk",
    "Events",
    "Fault",
    "FaultKind",
    "Finish",
    "Flush",
    "Heal",
    "Load",
    "Message",
    "Metadata",
    "Operation",
    "Plain",
    "Read",
    "Remove",
    "Reset",
    "Resume",
    "Settle",
    "Start",
    "Status",
    "Suspend",
    "Table",
    "Write",
    "inner",
]

FaultKind = Literal["read", "write", "flush"]


@dataclass(frozen=True, slots=True)
class Disk:
    """Make a backing disk of ``size`` sectors, zero-filled."""

    name: str
    size: Sectors


@dataclass(frozen=True, slots=True)
class Create:
    """Make a mapped device.  With a table: also load and resume it; if either fails, the device is removed again."""

    device: str
    table: str | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """Construct a table as the device's inactive one; it replaces an inactive one that was there."""

    device: str
    table: str


@dataclass(frozen=True, slots=True)
class Clear:
    """Drop the device's inactive table, if there is one."""

    device: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Make the inactive table live, if there is one, and let I/O flow."""

    device: str


@dataclass(frozen=True, slots=True)
class Suspend:
    """Wait for the I/O in flight and hold back all that follows.  ``noflush`` is passed on to the kernel."""

    device: str
    noflush: bool = False


@dataclass(frozen=True, slots=True)
class Remove:
    """Remove the device and destroy its tables."""

    device: str


@dataclass(frozen=True, slots=True)
class Message:
    """Send a message to the target at sector 0 of the device's live table."""

    device: str
    text: str


@dataclass(frozen=True, slots=True)
class Write:
    """Write ``count`` sectors; sector k of them carries the tag ``tag + k``.  ``where`` is a device or a disk."""

    where: str
    sector: Sector
    count: Sectors
    tag: int


@dataclass(frozen=True, slots=True)
class Read:
    """Read ``count`` sectors of a device, or of a disk."""

    where: str
    sector: Sector
    count: Sectors


@dataclass(frozen=True, slots=True)
class Flush:
    """Make durable what has been written to the device or disk (an empty bio with PREFLUSH)."""

    where: str


@dataclass(frozen=True, slots=True)
class Discard:
    """Discard ``count`` sectors of a device."""

    where: str
    sector: Sector
    count: Sectors


@dataclass(frozen=True, slots=True)
class Status:
    """The device's status, as the kernel prints it."""

    device: str


@dataclass(frozen=True, slots=True)
class Table:
    """The device's live table, as the kernel prints it, with the disks' names for their numbers."""

    device: str


@dataclass(frozen=True, slots=True)
class Events:
    """The device's event counter."""

    device: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Wait until the device's merge has finished or failed; at once if it has none."""

    device: str


@dataclass(frozen=True, slots=True)
class Metadata:
    """The header and the records of a persistent exception store, decoded from the disk's bytes."""

    disk: str


@dataclass(frozen=True, slots=True)
class Fault:
    """From now on fail the reads, the writes, or the flushes of a disk that touch these sectors.

    A write that fails still writes its sectors outside the fault.  A flush touches the whole disk.
    """

    disk: str
    kind: FaultKind
    sector: Sector
    count: Sectors


@dataclass(frozen=True, slots=True)
class Heal:
    """Remove every fault of a disk."""

    disk: str


@dataclass(frozen=True, slots=True)
class Crash:
    """Cut the power: every device vanishes, every disk keeps what was durable and any part of what was not."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Remove everything: devices, disks and I/O under way.  Each scenario begins with it."""


Plain = (
    Disk
    | Create
    | Load
    | Clear
    | Resume
    | Suspend
    | Remove
    | Message
    | Write
    | Read
    | Flush
    | Discard
    | Status
    | Table
    | Events
    | Settle
    | Metadata
    | Fault
    | Heal
    | Crash
    | Reset
)


@dataclass(frozen=True, slots=True)
class Start:
    """Begin an operation that may block, under a number of your choice."""

    key: int
    operation: Plain


@dataclass(frozen=True, slots=True)
class Finish:
    """The outcome of the operation started under this number; ``Blocked`` while it can't end."""

    key: int


Operation = Plain | Start | Finish


def inner(operation: Operation) -> Plain | Finish:
    """What an operation is about: of a ``start`` the operation that it begins, else itself."""
    return operation.operation if isinstance(operation, Start) else operation
