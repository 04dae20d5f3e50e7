"""The oracle: is what was seen allowed?

It holds, in effect, the set of all worlds that agree with everything seen so far, and does so lazily: it follows
one *witness*, by the canonical schedule, as long as that agrees; when an observation contradicts the witness, it
goes back over the history with every schedule, until it finds another witness or has tried them all.  So it never
calls a divergence that some schedule explains, and where the kernel is deterministic it costs one world.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ._disk import Unknown
from ._draft import Rules
from ._errors import OperationError
from ._kinds import possible
from ._machine import MAINLINE
from ._modelled import check_modelled
from ._operations import Crash, Create, Finish, Load, Message, Operation, Plain, Remove, Resume, Start, Suspend
from ._outcomes import Blocked, Data, Done, Failed, Outcome
from ._payload import Content, as_seen
from ._schedules import outcomes
from ._session import Raw, Result, Session, operate
from ._trace import Step
from ._world import World, bind, likely

__all__ = ["Divergence", "Oracle", "Undecided", "Verdict", "alike"]


@dataclass(frozen=True, slots=True)
class Divergence:
    """No schedule explains the last step.  ``allowed``: what would have been, in the worlds that explain the rest."""

    step: Step
    allowed: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Undecided:
    """The search was given up after this many worlds: neither agreement nor divergence is claimed."""

    step: Step
    worlds: int


Verdict = Divergence | Undecided | None


class Oracle:
    """Judges one implementation's outcomes, in their order.

    Attributes: ``history`` what was seen so far; ``worlds`` how many worlds were looked at beyond the canonical ones.
    """

    def __init__(self, rules: Rules = MAINLINE, *, budget: int = 20_000) -> None:
        self.history: list[Step] = []
        self.worlds = 0
        self._rules = rules
        self._budget = budget
        self._witness = Session.new(rules)
        self._expected: tuple[Operation, Result, Session] | None = None

    @property
    def world(self) -> World:
        """The witness: a world that agrees with everything seen so far."""
        return self._witness.world

    @property
    def keys(self) -> frozenset[int]:
        """The keys of operations under way in the witness."""
        return frozenset(self._witness.tasks)

    def expect(self, operation: Operation) -> Outcome:
        """The outcome by the canonical schedule; nothing is noted.

        Raises:
            OperationError: the operation makes no sense here; WouldBlock: it would never end.
        """
        return _likely(self._canonical(operation)[0])

    def _canonical(self, operation: Operation) -> tuple[Result, Session]:
        """The canonical result; what ``expect`` has found out need not be found out again."""
        if self._expected is None or self._expected[0] is not operation:
            self._expected = (operation, *operate(self._witness, operation))
        return self._expected[1:]

    def observe(self, operation: Operation, outcome: Outcome) -> Verdict:
        """Takes note of what was seen; None: it is allowed.

        Raises:
            OperationError: the operation makes no sense here; NotModelled: it concerns what the model does not have.
                Nothing is noted.
        """
        verdict = self._observe(operation, outcome)
        if verdict is not None:
            check_modelled(_asked(self._witness, operation), outcome)
        return verdict

    def _observe(self, operation: Operation, outcome: Outcome) -> Verdict:
        result, after = self._canonical(operation)
        self._expected = None
        step, asked = Step(operation, outcome), _asked(self._witness, operation)
        agreed = next(agreeing(asked, result, outcome, after), None)
        waits = isinstance(operation, Finish) and isinstance(outcome, Blocked)
        if agreed is None and not waits and not possible(asked, outcome):
            return Divergence(step, (_likely(result),))
        self.history.append(step)
        if agreed is None:
            return self._search()
        self._witness = agreed
        return None

    def _search(self) -> Verdict:
        search = _Search(tuple(self.history), self._budget)
        found = search.run(Session.new(self._rules))
        self.worlds += search.worlds
        if found is not None:
            self._witness = found
            return None
        step = self.history.pop()
        if search.worlds >= self._budget:
            return Undecided(step, search.worlds)
        return Divergence(step, tuple(search.allowed))


class _Exhausted(Exception):
    """The budget of a search is used up."""


class _Search:
    """One search for a session that explains all of a history, depth first, the canonical schedule first."""

    def __init__(self, history: tuple[Step, ...], budget: int) -> None:
        self.history = history
        self.budget = budget
        self.worlds = 0
        self.allowed: dict[Outcome, None] = {}
        self._seen: set[tuple[int, Session]] = set()
        self._cuts = any(isinstance(step.operation, Crash) for step in history)

    def run(self, start: Session) -> Session | None:
        """A session that explains everything; None: there is none, or (``worlds`` is the budget then) nobody knows."""
        stack = [self._after(start, 0)]
        try:
            while stack:
                after = next(stack[-1], None)
                if after is None:
                    stack.pop()
                elif len(stack) == len(self.history):
                    return after
                elif (len(stack), after) not in self._seen:
                    self._seen.add((len(stack), after))
                    stack.append(self._after(after, len(stack)))
        except _Exhausted:
            pass
        return None

    def _spend(self) -> None:
        self.worlds += 1
        if self.worlds >= self.budget:
            raise _Exhausted

    def _after(self, session: Session, at: int) -> Iterator[Session]:
        """Every session that explains step ``at`` from here."""
        seen = self.history[at]
        if seen.outcome is None:
            raise OperationError("a history has outcomes")
        try:
            for result, after in outcomes(session, seen.operation, self._spend, cuts=self._cuts):
                if at + 1 == len(self.history):
                    self.allowed[_likely(result)] = None
                yield from agreeing(_asked(session, seen.operation), result, seen.outcome, after)
        except OperationError:
            return


def _likely(result: Result) -> Outcome:
    """The result as an outcome; the newest candidate where nobody knows."""
    if not isinstance(result, Raw):
        return result
    return Data(tuple(map(as_seen, likely(result.sectors))))


def _asked(session: Session, operation: Operation) -> Plain | Start:
    """The operation whose outcome this one gives: for ``finish`` the one that was started."""
    return session.tasks[operation.key].operation if isinstance(operation, Finish) else operation


_EXPLAINED = (Create, Load, Resume, Suspend, Remove, Message)
"""The operations whose failures the kernel may explain: the others have an error number and no more."""


def agreeing(operation: Operation, result: Result, seen: Outcome, after: Session) -> Iterator[Session]:
    """The sessions in which the result is what was seen: none, or one in which more is known than before."""
    if isinstance(seen, Failed) and seen.text is not None and not isinstance(operation, _EXPLAINED):
        return
    if isinstance(result, Raw):
        session = _learn(result, seen, after)
        if session is not None:
            yield session
    elif alike(result, seen) or _went_through(operation, seen, after):
        yield after


_MISSING = ("ENODEV", "ENOENT")
"""What a table with an unknown device gives: the first up to Linux 6.1, the second in later kernels."""


def alike(mine: Outcome, seen: Outcome) -> bool:
    """Whether two outcomes are the same to a user: the text of a failure counts only where both have one."""
    if not isinstance(mine, Failed) or not isinstance(seen, Failed):
        return mine == seen
    same = mine.errno == seen.errno or (mine.errno in _MISSING and seen.errno in _MISSING)
    return same and (mine.text is None or seen.text is None or mine.text == seen.text)


def _went_through(operation: Operation, seen: Outcome, after: Session) -> bool:
    """Up to Linux 6.1 a message to a device without a table is taken by nobody, and no error."""
    if not isinstance(operation, Message) or not isinstance(seen, Done):
        return False
    device = after.world.stack.devices.get(operation.device)
    return device is not None and not device.live


def _learn(result: Raw, seen: Outcome, after: Session) -> Session | None:
    if not isinstance(seen, Data) or len(seen.sectors) != len(result.sectors):
        return None
    learnt: dict[Unknown, Content] = {}
    for mine, theirs in zip(result.sectors, seen.sectors, strict=True):
        if isinstance(mine, Unknown):
            content = next((c for c in mine.candidates if as_seen(c) == theirs), None)
            if content is None or learnt.setdefault(mine, content) != content:
                return None
        elif as_seen(mine) != theirs:
            return None
    world = after.world
    for unknown, content in learnt.items():
        world = bind(world, unknown, content)
    return Session(world, after.tasks) if learnt else after
