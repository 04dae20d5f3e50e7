"""Whether the model allows a controlled trace, and how many states it has in a scope."""

from collections.abc import Iterable, Iterator

import snapmerge as sm
from snapmerge import MAINLINE, Answer, ControlStep, HeldDivergence, HeldOracle, Rules, Session, Step
from snapmerge_specs.search.scope import Begin, Scope

__all__ = ["HeldJudge", "State", "judge_held", "model_scope"]

State = tuple[int, bool, Session]
"""The next step of a scope, whether the script waits for the step before, and a quiet session."""


def judge_held(steps: Iterable[Step | ControlStep], rules: Rules = MAINLINE) -> HeldDivergence | sm.Verdict:
    """The first divergence of a controlled trace, or what is undecided; None: the model allows it.

    Before ``hold`` the oracle for whole operations judges; its world there, at rest, is where control begins.  After a
    ``reset`` everything begins anew.

    Raises:
        OperationError: a step makes no sense.
    """
    judge = HeldJudge(rules)
    return next((found for step in steps if (found := judge.observe(step)) is not None), None)


class HeldJudge:
    """Judges a controlled trace step by step."""

    def __init__(self, rules: Rules = MAINLINE) -> None:
        self._rules = rules
        self._before: sm.Oracle = sm.Oracle(rules)
        self._held: HeldOracle | None = None

    def observe(self, step: Step | ControlStep) -> HeldDivergence | sm.Verdict:
        """A divergence, or what is undecided; None: it is allowed.  Raises OperationError: it makes no sense."""
        if isinstance(step, ControlStep):
            return self._control(step)
        if isinstance(step.operation, sm.Reset):
            self._before, self._held = sm.Oracle(self._rules), None
        if isinstance(step.outcome, sm.Died):
            return HeldDivergence(step, ())
        judge = self._before if self._held is None else self._held
        return judge.observe(step.operation, step.outcome)

    def _control(self, step: ControlStep) -> HeldDivergence | None:
        if isinstance(step.seen, sm.Died):
            return HeldDivergence(step, ())
        sm.check_control(step.control, held=self._held is not None, started=bool(self._before.keys))
        if self._held is None:
            self._held = HeldOracle((sm.settled(Session(self._before.world)),))
        return self._held.control(step.control, step.seen)


def model_scope(scope: Scope) -> set[State]:
    """All states of the model in a scope."""
    first: list[State] = [(0, False, session) for session in sm.quiet((scope.start,))]
    seen, left = set(first), first
    while left:
        state = left.pop()
        for action in _actions(scope, state):
            new = set(_after(scope, state, action)) - seen
            seen |= new
            left += new
    return seen


def _actions(scope: Scope, state: State) -> Iterator[Begin | Answer]:
    at, waiting, session = state
    yield from dict.fromkeys(Answer(request.place) for request in sm.requests(session.world))
    if at < len(scope.explored) and not waiting:
        yield Begin()


def _after(scope: Scope, state: State, action: Begin | Answer) -> Iterator[State]:
    at, waiting, session = state
    if isinstance(action, Answer):
        started = sm.answered(session, action.request)
    else:
        begun = scope.begins(at)
        key, after = sm.submit(session, begun)
        at, waiting = at + 1, scope.waits(at)
        started = iter((after if key is None else sm.poll(after, key)[0],))
    for quiet in sm.quiet(started):
        yield _finished(at, waiting, quiet)


def _finished(at: int, waiting: bool, session: Session) -> State:
    for key in sorted(sm.ended_keys(session)):
        session = sm.poll(session, key)[0]
        waiting = waiting and key != Scope.KEY
    return at, waiting, session
