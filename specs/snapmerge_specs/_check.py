"""The check: many random scenarios on an implementation, in lockstep with the oracle."""

from collections.abc import Callable

from snapmerge import Implementation

from ._report import Report

__all__ = ["check"]


def check(
    make: Callable[[], Implementation],
    *,
    runs: int = 200,
    steps: int = 30,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Holds an implementation against the model in ``runs`` scenarios of up to ``steps`` steps.

    ``make`` is called for the implementation, and again when it has died.  ``progress`` hears of every scenario: how many are
    done, and of how many.  The same seed makes the same scenarios.
    """
    raise NotImplementedError
