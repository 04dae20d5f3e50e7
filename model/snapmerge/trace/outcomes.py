"""What a user of device-mapper can see: the outcome of an operation."""

from snapmerge.format.metadata import Records
from snapmerge.records import dataclass
from snapmerge.trace.payload import Seen

__all__ = ["Blocked", "Count", "Data", "Died", "Done", "Failed", "Line", "Outcome", "Records"]


@dataclass(frozen=True, slots=True)
class Done:
    """The operation succeeded without a result.  Also the outcome of ``start``."""


@dataclass(frozen=True, slots=True)
class Failed:
    """The operation failed.  ``errno`` is the error's name, such as EIO.

    ``text`` is the kernel's own message; None without one, or when it is not known.
    """

    errno: str
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """The operation has not ended, and will not until another operation lets it."""


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
    """The implementation has died: a panic, a hang, an exit.  ``text`` are its last words."""

    text: str


Outcome = Done | Failed | Blocked | Data | Line | Count | Records | Died
