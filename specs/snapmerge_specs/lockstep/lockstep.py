"""Lockstep: each operation runs on an implementation, and the oracle judges its outcome at once."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from snapmerge import (
    MAINLINE,
    OTHER_TARGETS,
    Blocked,
    Budget,
    Capabilities,
    Died,
    Divergence,
    Done,
    Finish,
    Implementation,
    NotModelled,
    Operation,
    OperationError,
    Oracle,
    Outcome,
    Reset,
    Rules,
    Scheduled,
    Step,
    Undecided,
    Verdict,
    World,
    WouldBlock,
    check_modelled,
)
from snapmerge_specs.lockstep.schedule import step_of

__all__ = ["Lockstep", "VerdictError", "judge", "replay"]


class VerdictError(AssertionError):
    """The oracle has not agreed to an outcome: a divergence, or undecided.

    Attributes: ``trace`` the steps, the last of which is the one with that outcome; ``verdict`` the oracle's verdict.
    """

    def __init__(self, trace: tuple[Step, ...], verdict: Verdict) -> None:
        self.trace, self.verdict = trace, verdict
        super().__init__(str(verdict))


class Lockstep:
    """Drives an implementation and an oracle side by side; ``make_oracle`` creates the oracle for the rules.

    Begins with ``reset``, if the implementation has it.

    Attributes: ``steps`` the operations with their outcomes; ``refused`` the operations that the implementation calls
    invalid although the model does not, with the implementation's reasons.

    Raises:
        VerdictError: the implementation can't be reset.
    """

    def __init__(
        self,
        implementation: Implementation,
        rules: Rules = MAINLINE,
        make_oracle: Callable[[Rules], Oracle] = Oracle,
    ) -> None:
        self.implementation = implementation
        # Asked once: the check of a protocol looks up all of its members.
        self._scheduled = implementation if isinstance(implementation, Scheduled) else None
        self.rules = rules
        self.oracle = make_oracle(rules)
        self.steps: list[Step] = []
        self.refused: list[tuple[Operation, str]] = []
        self._reset()

    @property
    def capabilities(self) -> Capabilities:
        """The implementation's capabilities."""
        return self.implementation.capabilities

    @property
    def world(self) -> World:
        """A world that agrees with all outcomes seen so far."""
        return self.oracle.world

    def _reset(self) -> None:
        if "reset" not in self.capabilities.operations:
            return
        outcome = self.implementation.apply(Reset())
        if not isinstance(outcome, Done):
            step = Step(Reset(), outcome)
            raise VerdictError((step,), Divergence(step, (Done(),)))

    def do(self, operation: Operation) -> Outcome:
        """Carries the operation out on the implementation, lets the oracle judge the outcome, and returns it.

        Raises:
            VerdictError: the outcome is not allowed, or the oracle can't decide.
            OperationError: the operation is invalid now, or might never end; neither side has carried it out.
            NotModelled: the implementation has accepted something that the model does not have.
        """
        self.oracle.check(operation)
        try:
            outcome = self.implementation.apply(operation)
        except WouldBlock:  # the oracle was asked before: by one schedule at least the operation ends
            if self.oracle.may_block(operation):
                raise
            outcome = Blocked()
        except OperationError as error:
            self.refused.append((operation, str(error)))
            raise
        self.steps.append(step_of(self._scheduled, operation, outcome))
        verdict = self._verdict(self.steps[-1], operation, outcome)
        if verdict is not None:
            raise VerdictError(tuple(self.steps), verdict)
        return outcome

    def _verdict(self, step: Step, operation: Operation, outcome: Outcome) -> Verdict:
        """The oracle's verdict.

        A target that neither a kernel nor the implementation's capabilities have must be refused: accepting it is a
        divergence.  A hang of an operation that blocks for ever by some schedule is undecided, since it may be right.
        """
        if isinstance(outcome, Died) and outcome.text.startswith("hang:") and self.oracle.may_block(operation):
            return Undecided(step, 0)
        try:
            return self.oracle.observe(operation, outcome)
        except NotModelled as error:
            if error.target is None or error.target in OTHER_TARGETS | self.capabilities.targets:
                raise
            expected = self.oracle.expect(operation)
            return Divergence(step, () if expected is None else (expected,))


def judge(
    trace: Iterable[Step],
    rules: Rules = MAINLINE,
    *,
    budget: Budget = Budget(),  # noqa: B008  # it is frozen
) -> Iterator[tuple[Step, Verdict]]:
    """Yields each step of a trace with the verdict on its recorded outcome, up to the first that is not allowed.

    A step without an outcome allows any (ORACLE-13).  ``budget`` bounds the search for each step.

    Raises:
        OperationError: an operation is invalid.
        NotModelled: the trace has something that the model does not have.
    """
    oracle = Oracle(rules, budget=budget)
    for step in trace:
        if step.outcome is None and not isinstance(step.operation, Finish):
            check_modelled(step.operation, None)
        verdict = oracle.observe(step.operation, step.outcome)
        yield step, verdict
        if verdict is not None:
            return


def replay(
    trace: Iterable[Step],
    implementation: Implementation,
    rules: Rules = MAINLINE,
    *,
    budget: Budget = Budget(),  # noqa: B008  # it is frozen
) -> Iterator[tuple[Step, Verdict]]:
    """Runs a trace's operations on an implementation; yields each step with its new outcome and the oracle's verdict.

    Ends after the first step that is not agreed to; that is a ``reset`` ahead of the trace, if it fails.  Recorded
    outcomes are ignored: the caller compares them.
    ``budget`` bounds the oracle's search for each step.  Raises OperationError if an operation is invalid.
    """
    try:
        lockstep = Lockstep(implementation, rules, partial(Oracle, budget=budget))
    except VerdictError as disagreement:
        yield disagreement.trace[-1], disagreement.verdict
        return
    for step in trace:
        try:
            lockstep.do(step.operation)
        except VerdictError as disagreement:
            yield disagreement.trace[-1], disagreement.verdict
            return
        yield lockstep.steps[-1], None
