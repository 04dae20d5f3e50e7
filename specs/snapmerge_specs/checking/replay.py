"""Replays a trace: whether it still ends in an unexplained divergence, or still breaks the same promise."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from snapmerge import (
    MAINLINE,
    Budget,
    Capabilities,
    Choices,
    Died,
    Divergence,
    Implementation,
    Operation,
    OperationError,
    Rules,
    Scheduled,
    Session,
    Step,
    operate,
    parse_trace,
)
from snapmerge_specs.checking.shrink import shrink
from snapmerge_specs.generations.generation import generation_of
from snapmerge_specs.lockstep.capabilities import is_within, may_be_refused
from snapmerge_specs.lockstep.lockstep import Lockstep, VerdictError
from snapmerge_specs.lockstep.report import DivergenceReport, PromiseReport
from snapmerge_specs.lockstep.texts import DivergenceError
from snapmerge_specs.lockstep.witness import Witness
from snapmerge_specs.mistakes.findings import CutOff, Explanation, Finding, explanation
from snapmerge_specs.promises.words import BrokenPromise

__all__ = ["again", "assert_agrees", "explained", "shrunk", "shrunk_broken", "unexplained", "witnessed"]

Steps = tuple[Step, ...]


def explained(trace: Steps, rules: Rules, budget: Budget = Budget()) -> Explanation:  # noqa: B008  # it is frozen
    """The ``explanation`` of a trace; None for other generations, since findings are those of kernels."""
    return explanation(trace, budget) if generation_of(rules).in_kernels else None


def unexplained(disagreement: VerdictError, explains: Explanation) -> DivergenceReport | None:
    """The report of a divergence, not yet shrunk; None if it is no divergence, or a finding explains it."""
    verdict = disagreement.verdict
    if not isinstance(verdict, Divergence) or isinstance(explains, Finding):
        return None
    return DivergenceReport(disagreement.trace, verdict, explains.names if isinstance(explains, CutOff) else ())


def again(steps: Steps, lockstep: Lockstep, died: Callable[[], None]) -> DivergenceReport | None:
    """Runs the operations of a trace; returns the unexplained divergence in which they end, or None.

    ``died`` is called if the implementation dies.
    """
    asked = _Asked(lockstep.rules, lockstep.capabilities)
    for step in steps:
        if not asked.may_ask(step.operation):
            return None
        try:
            lockstep.do(step.operation)
        except OperationError:
            return None
        except VerdictError as disagreement:
            if isinstance(disagreement.trace[-1].outcome, Died):
                died()
            if not isinstance(disagreement.verdict, Divergence):
                return None
            return unexplained(disagreement, explained(disagreement.trace, lockstep.rules, lockstep.oracle.budget))
    return None


Smaller = Callable[[Steps, Callable[[Steps], Steps | None]], Steps]
"""Makes a trace smaller, as ``shrink`` does."""

Found = TypeVar("Found", DivergenceReport, PromiseReport)


def _smallest(first: Found, played: Callable[[Steps], Found | None], smaller: Smaller) -> Found:
    """The report of the smallest trace; ``played`` returns that of a trace that still shows the same as ``first``."""
    reports = {first.trace: first}

    def still_shows(steps: Steps) -> Steps | None:
        if (report := played(steps)) is None:
            return None
        reports[report.trace] = report
        return report.trace

    return reports[smaller(first.trace, still_shows)]


def shrunk(
    found: DivergenceReport, replayed: Callable[[Steps], DivergenceReport | None], smaller: Smaller = shrink
) -> DivergenceReport:
    """The divergence with its trace shrunk by ``smaller``; ``replayed`` runs a trace as ``again`` does."""
    return _smallest(found, replayed, smaller)


class _Asked:
    """A prediction of a trace by the canonical schedule.

    Attributes: ``is_valid`` whether the last operation is valid, and ends.
    """

    def __init__(self, rules: Rules, can: Capabilities) -> None:
        self._session, self._can = Session.new(rules), can
        self.is_valid = True

    def may_ask(self, operation: Operation) -> bool:
        """Whether the operation may be sent to an implementation of these capabilities."""
        try:
            outcome, self._session = operate(self._session, operation)
        except OperationError:
            self.is_valid = False
            return is_within(operation, self._can)
        self.is_valid = True
        return is_within(operation, self._can) and may_be_refused(operation, outcome, self._can)


def witnessed(steps: Steps, witness: Witness, rules: Rules) -> PromiseReport | None:
    """Runs the operations of a trace; returns the promise that they break, or None.

    The rules decide which operations are valid, since the implementation may be in any state.  Operations that may
    block are left out.
    """
    asked = _Asked(rules, witness.capabilities)
    for step in steps:
        if witness.would_block(step.operation):
            continue
        if not asked.may_ask(step.operation) or not asked.is_valid:
            return None
        try:
            witness.apply(step.operation)
        except OperationError:
            return None
        if witness.broken is not None:
            return PromiseReport(witness.trace, witness.broken)
    return None


def shrunk_broken(
    trace: Steps,
    promise: BrokenPromise,
    replayed: Callable[[Steps], PromiseReport | None],
    smaller: Smaller = shrink,
) -> PromiseReport:
    """The broken promise with its trace shrunk by ``smaller``; ``replayed`` runs a trace as ``witnessed`` does.

    The smaller trace breaks the same statement: one that breaks another statement shows another mistake.
    """

    def breaks(steps: Steps) -> PromiseReport | None:
        one = replayed(steps)
        return one if one is not None and one.promise.statement == promise.statement else None

    return _smallest(PromiseReport(trace, promise), breaks, smaller)


def assert_agrees(
    trace: str | Steps,
    implementation: Implementation | Callable[[], Implementation],
    rules: Rules = MAINLINE,
    *,
    schedule: Sequence[Choices] | None = None,
) -> None:
    """Runs a trace's operations on an implementation, as a regression test.  Recorded outcomes are ignored.

    ``implementation`` may be a function that makes one, which is closed at the end.  ``schedule``: the choices of each
    operation, for an implementation that can follow them (``snapmerge.Scheduled``).

    Raises:
        DivergenceError: the oracle does not agree.
        VerdictError: the oracle can't decide.
        OperationError: an operation is invalid, or the implementation refuses it.
        TraceError: the trace can't be read.
    """
    steps = parse_trace(trace) if isinstance(trace, str) else trace
    if not callable(implementation):
        _assert_agrees(steps, implementation, rules, schedule)
        return
    made = implementation()
    try:
        _assert_agrees(steps, made, rules, schedule)
    finally:
        made.close()


def _assert_agrees(
    steps: Iterable[Step], implementation: Implementation, rules: Rules, schedule: Sequence[Choices] | None
) -> None:
    if schedule is not None and isinstance(implementation, Scheduled):
        implementation.follow(schedule)
    try:
        lockstep = Lockstep(implementation, rules)
        for step in steps:
            lockstep.do(step.operation)
    except VerdictError as disagreement:
        if not isinstance(disagreement.verdict, Divergence):
            raise
        raise DivergenceError(DivergenceReport(disagreement.trace, disagreement.verdict)) from None
