"""Shrinking a trace: as few operations as possible that still end in a disagreement."""

from collections.abc import Callable

from snapmerge import Step

__all__ = ["shrink"]

Steps = tuple[Step, ...]


def shrink(trace: Steps, still_fails: Callable[[Steps], Steps | None], *, tries: int = 300) -> Steps:
    """Leaves out ever smaller parts of the trace, from the end backwards, as long as what is left still fails.

    ``still_fails`` plays the steps anew and gives the trace up to the disagreement, or None; it is called
    ``tries`` times at most.
    """
    size = max(len(trace) // 2, 1)
    while tries > 0:
        shorter, tries = _without(trace, size, still_fails, tries)
        if len(shorter) < len(trace):
            trace = shorter
        elif size == 1:
            break
        else:
            size = max(size // 2, 1)
    return trace


def _without(trace: Steps, size: int, still_fails: Callable[[Steps], Steps | None], tries: int) -> tuple[Steps, int]:
    """The trace without those parts of this size that it can do without, and how many tries are left."""
    end = len(trace)
    while end > 0 and tries > 0:
        start = max(end - size, 0)
        tries -= 1
        found = still_fails((*trace[:start], *trace[end:]))
        if found is not None:
            trace = found
        end = min(start, len(trace))
    return trace, tries
