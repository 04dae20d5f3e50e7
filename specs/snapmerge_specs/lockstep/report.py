"""The report of a check, as a value."""

from dataclasses import dataclass

from snapmerge import Divergence, Operation, Step, Undecided
from snapmerge_specs.promises.words import NOT_COMPARED, BrokenPromise

__all__ = ["DivergenceReport", "FindingMet", "Kept", "PromiseReport", "Report"]


@dataclass(frozen=True, slots=True)
class DivergenceReport:
    """A scenario in which the implementation left the model, with the last step of ``trace``.

    ``trace`` is shrunk: the search has found no shorter one.  ``cut_off`` names the known findings that may explain it:
    the budget did not suffice to find out; mostly there are none.
    """

    trace: tuple[Step, ...]
    divergence: Divergence
    cut_off: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PromiseReport:
    """A scenario in which the last step of ``trace`` breaks a promise to the user; ``trace`` is shrunk."""

    trace: tuple[Step, ...]
    promise: BrokenPromise


@dataclass(frozen=True, slots=True)
class Kept:
    """The promises of a check: ``broken`` is the first broken one; None: all were kept so far.

    ``diverged``: whether the implementation has left the model, after which the oracle was not asked any more.
    ``compared`` counts the reads by the kind of device, and those about which nothing is promised.
    """

    broken: PromiseReport | None
    diverged: bool
    compared: tuple[tuple[str, int], ...]

    @property
    def looked(self) -> int:
        """How many reads were compared with a promise."""
        return sum(count for name, count in self.compared if name != NOT_COMPARED)


@dataclass(frozen=True, slots=True)
class FindingMet:
    """A finding that a check has met: how often, and the statement that it breaks."""

    name: str
    summary: str
    met: int
    statement: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A whole check.  ``kinds`` counts operations by their first word, ``reached`` the states of ``coverage`` by name.

    ``avoided`` counts, by finding, the operations that were left out since the kernel is known to die of them.
    ``refused`` counts the valid operations that the implementation refused, and ``refusal`` is the first of them with
    its reason.  ``left_out``: the words that the capabilities lack.  ``kept``: the promises, if the check judges them.
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
        """How many operations test the implementation: all except those that create disks."""
        return self.operations - dict(self.kinds).get("disk", 0)
