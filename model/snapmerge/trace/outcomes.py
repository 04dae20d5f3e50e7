"""What a user of device-mapper can see: the outcome of an operation."""

from typing import Literal

from snapmerge.format.metadata import Records
from snapmerge.records import dataclass
from snapmerge.trace.payload import Seen

__all__ = ["Blocked", "Count", "Data", "Died", "Done", "Errno", "Failed", "Line", "Outcome", "Records"]

Errno = Literal[
    "EIO", "ENXIO", "ENOMEM", "EBUSY", "EEXIST", "ENODEV", "ENOENT", "EINVAL", "ENOSPC", "EOPNOTSUPP", "EACCES"
]
"""An error number, by its name."""


@dataclass(frozen=True, slots=True)
class Done:
    """It succeeded, and there is nothing to see.  Also the outcome of ``start``."""


@dataclass(frozen=True, slots=True)
class Failed:
    """It failed.  ``text`` is the kernel's own message, None when there is none or it was not looked for."""

    errno: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """It has not ended, and will not until something else is done."""


@dataclass(frozen=True, slots=True)
class Data:
    """What was read: one entry a sector."""

    sectors: tuple[Seen, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """A status or a table; "" when the device has no live table."""

    text: str


@dataclass(frozen=True, slots=True)
class Count:
    """A counter."""

    value: int


@dataclass(frozen=True, slots=True)
class Died:
    """The implementation is no more: a panic, a hang, an exit.  ``text`` is its last word."""

    text: str


Outcome = Done | Failed | Blocked | Data | Line | Count | Records | Died
