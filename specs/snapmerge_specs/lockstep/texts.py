"""A divergence as text, the same everywhere: the trace, the allowed outcomes, the outcome that was seen."""

from collections.abc import Sequence
from typing import Final

from snapmerge import Died, Divergence, Step, counted, print_operation, print_outcome, print_trace, shortened
from snapmerge_specs.lockstep.report import DivergenceReport
from snapmerge_specs.promises.checker import broken_promise

__all__ = [
    "OUTCOME_MAX",
    "DivergenceError",
    "allowed_text",
    "breaks",
    "cut_off_text",
    "divergence_text",
    "seen_text",
    "some_text",
]

_ALLOWED_MAX: Final = 8

OUTCOME_MAX: Final = 1000
"""The most characters of an outcome that a sentence shows; traces and JSON have all of them."""


def seen_text(step: Step) -> str:
    """The step's outcome, as a trace writes it."""
    return "nothing" if step.outcome is None else print_outcome(step.outcome)


def allowed_text(divergence: Divergence) -> str:
    """The first few allowed outcomes, and how many more there are."""
    return some_text([print_outcome(outcome) for outcome in divergence.allowed])


def some_text(texts: Sequence[str]) -> str:
    """The first few of some outcomes, and how many more there are."""
    more = len(texts) - _ALLOWED_MAX
    beyond = f", or {counted(more, 'other outcome')}" if more > 0 else ""
    return (", or ".join(shortened(text, OUTCOME_MAX) for text in texts[:_ALLOWED_MAX]) or "nothing at all") + beyond


def breaks(found: DivergenceReport) -> str | None:
    """The promise to the user that a divergence breaks, as a sentence; None: it breaks none."""
    broken = broken_promise(found.trace)
    return None if broken is None else broken.sentence


def cut_off_text(found: DivergenceReport) -> str | None:
    """Which known findings may explain a divergence, as the search was given up; None: none does."""
    if not found.cut_off:
        return None
    return f"the search was given up before it was known whether this is {' or '.join(found.cut_off)}"


def divergence_text(found: DivergenceReport, *rows: tuple[str, str]) -> str:
    """The report of a divergence; ``rows`` are further lines, such as how to replay it."""
    more = [(name, text) for name, text in (("known", cut_off_text(found)), ("breaks", breaks(found))) if text]
    rows = (("allowed", allowed_text(found.divergence)), ("seen", _seen_lines(found.divergence.step)), *more, *rows)
    body = "".join(f"{name:<10}{text}\n" for name, text in rows)
    return f"DIVERGED from the model; the shortest trace that was found:\n\n{_trace_text(found.trace)}\n{body}"


def _trace_text(trace: Sequence[Step]) -> str:
    """The trace without the last words of what died in its last step, which have lines of their own below."""
    *before, last = trace
    if not isinstance(last.outcome, Died):
        return print_trace(trace)
    return f"{print_trace(before)}{print_operation(last.operation)} -> died\n"


def _seen_lines(step: Step) -> str:
    """What was seen; last words in lines, each of them bounded and its control characters escaped."""
    if not isinstance(step.outcome, Died):
        return seen_text(step)
    lines = (shortened(line.rstrip(), OUTCOME_MAX) for line in step.outcome.text.strip().split("\n"))
    return "\n          ".join(["died", *(line if line.isprintable() else repr(line)[1:-1] for line in lines)])


class DivergenceError(AssertionError):
    """An implementation has left the model.  The message is the report; ``found`` is the divergence."""

    def __init__(self, found: DivergenceReport, *rows: tuple[str, str]) -> None:
        self.found = found
        super().__init__(divergence_text(found, *rows))
