"""Lockstep: an implementation and the oracle do the same, and what is seen is judged at once."""

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
    """An implementation has left the model, or the oracle could not decide whether.

    Attributes: ``trace`` the steps up to and with the one that was not agreed to; ``verdict`` what the oracle says.
    """

    def __init__(self, trace: tuple[Step, ...], verdict: Verdict) -> None:
        self.trace, self.verdict = trace, verdict
        super().__init__(str(verdict))


class Lockstep:
    """Drives an implementation beside an oracle, which ``make_oracle`` makes for the rules.

    Begins with ``reset``, if the implementation has it.

    Attributes: ``steps`` what was done and seen; ``refused`` what the implementation says makes no sense although it
    does, and why it says so.

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
        self.rules = rules
        self.oracle = make_oracle(rules)
        self.steps: list[Step] = []
        self.refused: list[tuple[Operation, str]] = []
        self._reset()

    @property
    def capabilities(self) -> Capabilities:
        """What the implementation can do."""
        return self.implementation.capabilities

    @property
    def world(self) -> World:
        """A world that agrees with all that was seen."""
        return self.oracle.world

    def _reset(self) -> None:
        if "reset" not in self.capabilities.operations:
            return
        outcome = self.implementation.apply(Reset())
        if not isinstance(outcome, Done):
            step = Step(Reset(), outcome)
            raise VerdictError((step,), Divergence(step, (Done(),)))

    def do(self, operation: Operation) -> Outcome:
        """Does it on both sides; what was seen.

        Raises:
            VerdictError: what was seen is not allowed, or nobody can say.
            OperationError: the operation makes no sense now, or might never end; neither side has done it.
            NotModelled: the implementation has done what the model does not have.
        """
        self.oracle.check(operation)
        try:
            outcome = self.implementation.apply(operation)
        except WouldBlock:  # where the oracle, which was asked first, has it end by one schedule
            if self.oracle.may_block(operation):
                raise
            outcome = Blocked()
        except OperationError as error:
            self.refused.append((operation, str(error)))
            raise
        self.steps.append(step_of(self.implementation, operation, outcome))
        verdict = self._verdict(self.steps[-1], operation, outcome)
        if verdict is not None:
            raise VerdictError(tuple(self.steps), verdict)
        return outcome

    def _verdict(self, step: Step, operation: Operation, outcome: Outcome) -> Verdict:
        """What the oracle says.

        A target that no kernel has, and the implementation has not either, can't be made.  A hang of an operation that
        some schedule blocks for ever is none of its making: the implementation is lost, and nothing is decided.
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
    """Whether the recorded outcomes of a trace are allowed, step by step, up to the first that is not.

    An outcome that was not recorded may have been any.  ``budget``: what each step may cost.  Raises OperationError,
    NotModelled.
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
    """Plays a trace's operations on an implementation; what was seen, and what the oracle says, up to the first No.

    Recorded outcomes are not looked at: compare them with what is given.  ``budget``: what each step may cost of the
    oracle.  Raises OperationError.
    """
    lockstep = Lockstep(implementation, rules, partial(Oracle, budget=budget))
    for step in trace:
        try:
            lockstep.do(step.operation)
        except VerdictError as disagreement:
            yield disagreement.trace[-1], disagreement.verdict
            return
        yield lockstep.steps[-1], None
