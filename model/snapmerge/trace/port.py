"""The port: the interface of every implementation.

It has one verb, ``apply``.  Everything that drives or judges an implementation uses this interface only.
"""

from dataclasses import dataclass, field
from typing import Protocol

from snapmerge.trace.operations import Operation
from snapmerge.trace.outcomes import Outcome

__all__ = ["Capabilities", "Implementation"]


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
