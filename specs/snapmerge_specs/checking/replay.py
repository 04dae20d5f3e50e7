"""A trace played anew: does it still end in a divergence that nothing known explains?"""

from collections.abc import Callable

from snapmerge import MAINLINE, Budget, Died, Divergence, Implementation, OperationError, Rules, Step, parse_trace
from snapmerge_specs.checking.shrink import shrink
from snapmerge_specs.generations.generation import generation_of
from snapmerge_specs.lockstep.lockstep import Lockstep, VerdictError
from snapmerge_specs.lockstep.report import DivergenceReport
from snapmerge_specs.lockstep.told import DivergenceError
from snapmerge_specs.mistakes.findings import Finding, explanation

__all__ = ["again", "assert_agrees", "explained", "shrunk"]

Steps = tuple[Step, ...]


def explained(trace: Steps, rules: Rules, budget: Budget = Budget()) -> Finding | None:  # noqa: B008  # it is frozen
    """The known finding that explains a trace: findings are of kernels, and explain nothing of another generation."""
    return explanation(trace, budget) if generation_of(rules).in_kernels else None


def again(steps: Steps, lockstep: Lockstep, died: Callable[[], None]) -> VerdictError | None:
    """Plays the operations of a trace; the unexplained divergence that they end in, if they do.

    ``died`` is called if the implementation has.
    """
    for step in steps:
        try:
            lockstep.do(step.operation)
        except OperationError:
            return None
        except VerdictError as disagreement:
            if isinstance(disagreement.trace[-1].outcome, Died):
                died()
            unexplained = isinstance(disagreement.verdict, Divergence)
            unexplained = unexplained and explained(disagreement.trace, lockstep.rules, lockstep.oracle.budget) is None
            return disagreement if unexplained else None
    return None


def shrunk(
    trace: Steps,
    divergence: Divergence,
    replayed: Callable[[Steps], VerdictError | None],
    smaller: Callable[[Steps, Callable[[Steps], Steps | None]], Steps] = shrink,
) -> DivergenceReport:
    """What was found, as small as ``smaller`` makes it; ``replayed`` plays a trace as ``again`` does."""
    verdicts = {trace: divergence}

    def still_fails(steps: Steps) -> Steps | None:
        disagreement = replayed(steps)
        if disagreement is None:
            return None
        if isinstance(disagreement.verdict, Divergence):
            verdicts[disagreement.trace] = disagreement.verdict
        return disagreement.trace

    trace = smaller(trace, still_fails)
    return DivergenceReport(trace, verdicts.get(trace, divergence))


def assert_agrees(trace: str | Steps, implementation: Implementation, rules: Rules = MAINLINE) -> None:
    """Plays a trace's operations on an implementation, as a regression test does.  Recorded outcomes are not looked at.

    Raises:
        DivergenceError: the oracle does not agree.
        VerdictError: the oracle can't decide.
        OperationError: an operation makes no sense, or the implementation refuses it.
        TraceError: the trace can't be read.
    """
    lockstep = Lockstep(implementation, rules)
    for step in parse_trace(trace) if isinstance(trace, str) else trace:
        try:
            lockstep.do(step.operation)
        except VerdictError as disagreement:
            if not isinstance(disagreement.verdict, Divergence):
                raise
            raise DivergenceError(DivergenceReport(disagreement.trace, disagreement.verdict)) from None
