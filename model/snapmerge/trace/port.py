"""The port: the interface of every implementation.

It has one verb, ``apply``.  Everything that drives or judges an implementation uses this interface only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from snapmerge.trace.control import Control
from snapmerge.trace.operations import Operation
from snapmerge.trace.outcomes import Died, Outcome
from snapmerge.trace.requests import Requests

__all__ = ["Capabilities", "Choices", "Controlled", "Implementation", "Scheduled"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an implementation can do; it is never asked for more.

    ``operations`` are the first words of trace lines; ``targets`` those of table lines; ``faults`` what ``fault``
    can fail; ``features`` free words: ``texts`` (failures carry the kernel's message), ``discard`` (disks take
    discards), ``controlled`` (``Controlled``).  ``sectors_max`` bounds the disks' sizes together.  ``about`` says
    which implementation this is, for people: a kernel's release with its targets' versions, say.
    """

    operations: frozenset[str]
    targets: frozenset[str]
    faults: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    sectors_max: int = 1 << 20
    about: str = ""
    versions: tuple[tuple[str, str], ...] = field(default=())


Choices = tuple[tuple[int, int], ...]
"""The choices during an operation that differ from the canonical schedule, as pairs of a position and a choice.

Positions count the choices of the operation from 0.  A choice is the index of the effect in flight that ends next, in
the order in which they were begun; before the operation begins, the next higher number lets it begin.  After a power
cut there is a choice for each unknown sector: the index of its content, the newest first.
"""


class Implementation(Protocol):
    """An implementation that can be compared with the model."""

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities; constant from the first call on."""
        ...

    def apply(self, operation: Operation) -> Outcome:
        """Carry the operation out; return its outcome.

        Raises:
            snapmerge.OperationError: the operation is invalid now (an unknown name, sectors beyond the end, a missing
                capability); nothing has changed.
        """
        ...

    def close(self) -> None:
        """Release everything: devices, files, processes.  May be called twice."""
        ...


@runtime_checkable
class Controlled(Implementation, Protocol):
    """An implementation whose disks are under control, if its features have the word ``controlled``."""

    def control(self, control: Control) -> Requests | Died:
        """Tells the disks; the requests that wait when the implementation can do nothing more by itself.

        Raises:
            snapmerge.OperationError: it makes no sense here; nothing has changed.
        """
        ...


@runtime_checkable
class Scheduled(Implementation, Protocol):
    """An implementation whose schedule is known, and may be given."""

    @property
    def choices(self) -> Choices:
        """The choices of the last operation."""
        ...

    def follow(self, schedule: Sequence[Choices] | None) -> None:
        """From the next ``reset`` on, follow the canonical schedule with these choices for each operation.

        None: the implementation's own schedule.  A choice that is not possible is made canonically.
        """
        ...
