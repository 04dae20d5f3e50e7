"""What a check has found: a value, for people to read and for programs to use."""

from dataclasses import dataclass

from snapmerge import Divergence, Operation, Step, Undecided
from snapmerge_specs.promises.words import NOT_COMPARED, BrokenPromise

__all__ = ["DivergenceReport", "FindingMet", "Kept", "PromiseReport", "Report"]


@dataclass(frozen=True, slots=True)
class DivergenceReport:
    """A scenario in which the implementation left the model; the last of ``trace`` is the step that did.

    ``trace`` is shrunk: no part of it can be left out, as far as the search went.  ``known``: the name of the recorded
    finding that explains it, if one does.
    """

    trace: tuple[Step, ...]
    divergence: Divergence
    known: str | None = None


@dataclass(frozen=True, slots=True)
class PromiseReport:
    """A scenario in which a promise to a user is broken, by the last step of ``trace``, which is shrunk."""

    trace: tuple[Step, ...]
    promise: BrokenPromise


@dataclass(frozen=True, slots=True)
class Kept:
    """What has come of the promises: ``broken`` is the first that was broken; None: they were kept, so far.

    ``diverged``: whether the implementation has left the model; from then on the oracle was not asked any more.
    ``compared`` counts the reads of which something is promised, by what was read, and those of which nothing is.
    """

    broken: PromiseReport | None
    diverged: bool
    compared: tuple[tuple[str, int], ...]

    @property
    def looked(self) -> int:
        """How many reads say something: those of which something is promised."""
        return sum(count for name, count in self.compared if name != NOT_COMPARED)


@dataclass(frozen=True, slots=True)
class FindingMet:
    """A recorded misbehaviour of a real implementation, how often it was met in this check, and what it breaks."""

    name: str
    summary: str
    met: int
    statement: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole check.  ``kinds`` counts operations by their first word, ``reached`` the states that matter by name.

    ``avoided`` counts, by finding, the operations that were left out as the kernel is known to die of them.
    ``refused`` counts the operations that make sense and that the implementation refused all the same, ``refusal`` is
    the first of them and why; ``left_out`` what was never asked for, as its capabilities lack it.
    ``kept``: the promises, if they were asked for.
    """

    about: str
    seed: int
    runs: int
    operations: int
    kinds: tuple[tuple[str, int], ...]
    reached: tuple[tuple[str, int], ...]
    seconds: float
    found: DivergenceReport | None = None
    known: tuple[FindingMet, ...] = ()
    avoided: tuple[tuple[str, int], ...] = ()
    undecided: tuple[Undecided, ...] = ()
    refused: tuple[tuple[str, int], ...] = ()
    refusal: tuple[Operation, str] | None = None
    left_out: tuple[tuple[str, tuple[str, ...]], ...] = ()
    kept: Kept | None = None

    @property
    def checked(self) -> int:
        """How many operations say something about the implementation: all but those that only make disks."""
        return self.operations - dict(self.kinds).get("disk", 0)
