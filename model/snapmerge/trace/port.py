"""The port: the interface of every implementation.

It has one verb, ``apply``.  Everything that drives or judges an implementation uses this interface only.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from snapmerge.trace.operations import Operation
from snapmerge.trace.outcomes import Outcome

__all__ = ["Capabilities", "Choices", "Implementation", "Scheduled"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What an implementation can do; it is never asked for more.

    ``operations`` are the first words of trace lines; ``targets`` those of table lines; ``faults`` what ``fault``
    can fail; ``features`` free words: ``texts`` (failures carry the kernel's message), ``discard`` (disks take
    discards).  ``sectors_max`` bounds the disks' sizes together.  ``about`` says which implementation
    this is, for people: a kernel's release with its targets' versions, say.
    """

    operations: frozenset[str]
    targets: frozenset[str]
    faults: frozenset[str] = frozenset()
    features: frozenset[str] = frozenset()
    sectors_max: int = 1 << 20
    about: str = ""
    versions: tuple[tuple[str, str], ...] = field(default=())


Choices = tuple[tuple[int, int], ...]
"""What was chosen otherwise than by the canonical schedule while an operation was carried out.

Each is the number of the choice, from 0, and what was chosen: what is in flight is numbered from 0 in the order in
which it was begun; before the operation begins, the number behind the last is to let it begin.  After a power cut the
choices are what each sector keeps, of what it may, the newest first.
"""


class Implementation(Protocol):
    """An implementation that can be compared with the model."""

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities; constant from the first call on."""
        ...

    def apply(self, operation: Operation) -> Outcome:
        """Do the operation; its outcome.

        Raises:
            snapmerge.OperationError: the operation makes no sense here (an unknown name, sectors beyond the end,
                a capability that is missing); nothing has changed.
        """
        ...

    def close(self) -> None:
        """Release everything: devices, files, processes.  May be called twice."""
        ...


@runtime_checkable
class Scheduled(Implementation, Protocol):
    """An implementation whose schedule is known, and may be given."""

    @property
    def choices(self) -> Choices:
        """Those of the last operation."""
        ...

    def follow(self, schedule: Sequence[Choices] | None) -> None:
        """From the next ``reset`` on take the canonical schedule, but for these choices of each operation after it.

        None: what the implementation does by itself.  What can't be chosen is chosen canonically.
        """
        ...
