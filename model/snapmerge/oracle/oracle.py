"""The oracle: whether an observed outcome is allowed.

The problem.  An implementation shows one outcome, and the model may allow many.  In principle the oracle holds the set
of all worlds that agree with everything seen so far; each operation takes every one of them through every schedule, and
an outcome keeps those that fit.  If none is left the implementation has diverged.  That set is far too large to store.

So it is kept lazily (ORACLE-7).  The oracle follows one world of the set, the *witness*, by the canonical schedule, in
which disks end I/O in the order in which it was sent, after all other work (``moves.canonical``).  As long as the
witness gives what was seen, it proves that the outcome is allowed.  When it does not, that proves nothing: ``Search``
goes back over the history with every schedule, until it finds another witness or has tried them all.  So the oracle
never calls a divergence that some schedule explains (ORACLE-1), and where the kernel is deterministic it costs one
world.

What happens to an observation (``observe``), in this order:

1.  If effects are in flight in the witness, such as those of a merge, the operation is tried as early as possible
    (``_early``).  The merge advances only as far as the outcome requires, so that later outcomes can still show any of
    its later states (ORACLE-8).
2.  The canonical schedule.  If its outcome fits, the session after it is the new witness.
3.  An outcome of a kind that the operation never has diverges at once (ORACLE-12).
4.  The search: a new witness, a ``Divergence``, or ``Undecided`` when the budget is used up (ORACLE-6).  An outcome
    that no world can give (``_is_never``) diverges in any case; a short search then only lists what would have been
    allowed.

A diverging step is not noted, so that judging can continue (ORACLE-5).  An operation that is invalid in the witness is
the caller's error, and is not noted either (ORACLE-4), unless it is valid in another world: that can be when an earlier
outcome was not recorded, or when an operation was started, which later ones may have overtaken.
"""

from snapmerge.errors import OperationError
from snapmerge.machine.core.draft import Rules
from snapmerge.machine.registry import MAINLINE
from snapmerge.oracle.agreement import agreeing, alike, asked, newest_outcome
from snapmerge.oracle.budget import Budget, Exhausted, Spending
from snapmerge.oracle.calm import merges
from snapmerge.oracle.modelled import check_modelled
from snapmerge.oracle.never import impossible
from snapmerge.oracle.schedules import LOOKS
from snapmerge.oracle.search import Search
from snapmerge.records import dataclass
from snapmerge.trace.kinds import possible
from snapmerge.trace.lines import Step
from snapmerge.trace.operations import (
    Discard,
    Events,
    Finish,
    Flush,
    Metadata,
    Operation,
    Read,
    Reset,
    Start,
    Status,
    Table,
    Write,
)
from snapmerge.trace.outcomes import Blocked, Outcome
from snapmerge.world.disk_operations import locked, query
from snapmerge.world.moves import advance
from snapmerge.world.session import Result, Session, advance_tasks, operate, perform
from snapmerge.world.state import World

__all__ = ["Divergence", "Oracle", "Undecided", "Verdict", "alike"]


@dataclass(frozen=True, slots=True)
class Divergence:
    """No schedule explains the last step (ORACLE-5).  ``allowed``: the outcomes that the steps before it allow."""

    step: Step
    allowed: tuple[Outcome, ...]


@dataclass(frozen=True, slots=True)
class Undecided:
    """The search was given up after this many worlds: neither agreement nor divergence is claimed (ORACLE-6)."""

    step: Step
    worlds: int


Verdict = Divergence | Undecided | None

_BESIDE = (Read, Write, Flush, Discard, Metadata)
"""Operations that are tried before a merge that is under way advances (``_early``)."""

_PATH_MAX = 512
"""The number of past sessions that are kept; a search begins at one of them."""

_LISTED = 500
"""How many worlds a search visits that only lists what is allowed in place of an outcome that no world gives."""


class Oracle:
    """Judges one implementation's outcomes, in their order.

    Attributes: ``budget`` the bounds of each search; ``history`` the steps since the last ``reset``; ``worlds`` the
    number of worlds visited by searches.
    """

    def __init__(self, rules: Rules = MAINLINE, *, budget: Budget = Budget()) -> None:  # noqa: B008  # it is frozen
        self.budget = budget
        self.history: list[Step] = []
        self.worlds = 0
        self._rules = rules
        self._witness = Session.new(rules)
        self._path: list[Session | None] = []
        self._expected: tuple[Operation, Result, Session] | None = None

    @property
    def world(self) -> World:
        """The witness: a world that agrees with everything seen so far."""
        return self._witness.world

    @property
    def keys(self) -> frozenset[int]:
        """The keys of operations under way in the witness."""
        return frozenset(self._witness.tasks)

    def check(self, operation: Operation) -> None:
        """Checks that the operation is valid now; nothing is noted.  If the budget does not suffice, it passes.

        Raises:
            OperationError: the operation is invalid; WouldBlock: it would never end.
        """
        held = any(device.held for device in self.world.stack.devices.values())
        if not isinstance(operation, LOOKS) or (isinstance(operation, Status) and held):
            self.expect(operation)  # a status may have to wait for a device that holds back I/O (SNAP-20)

    def expect(self, operation: Operation) -> Outcome | None:
        """The outcome by the canonical schedule; nothing is noted.  None: the budget does not suffice.

        Raises:
            OperationError: the operation is invalid now; WouldBlock: it would never end.
        """
        try:
            return newest_outcome(self._canonical(operation, Spending(self.budget))[0])
        except Exhausted:
            return None

    def may_block(self, operation: Operation) -> bool:
        """Whether the operation would never end by some schedule; also True if the budget does not suffice."""
        history = (*self.history, Step(operation, Blocked()))
        search = Search(history, (*self._path, self._witness), Spending(self.budget))
        return search.run() is not None or search.exhausted

    def _canonical(self, operation: Operation, spending: Spending) -> tuple[Result, Session]:
        """The canonical result, and the session after it; those of the last ``expect`` are reused."""
        if self._expected is None or self._expected[0] is not operation:
            self._expected = (operation, *operate(self._witness, operation, tick=spending.tick))
        return self._expected[1:]

    def observe(self, operation: Operation, outcome: Outcome | None) -> Verdict:
        """Judges an outcome and notes it if it is allowed (None).  An ``outcome`` of None was not recorded.

        Raises:
            OperationError: the operation is invalid now; NotModelled: the outcome concerns something that the model
                does not have.  Nothing is noted.
        """
        step, spending = Step(operation, outcome), Spending(self.budget)
        try:
            verdict = self._observe(step, spending)
        except Exhausted:
            verdict = Undecided(step, spending.worlds)
        finally:
            self._expected = None
        if verdict is not None and outcome is not None:
            check_modelled(asked(self._witness, operation), outcome)
        return verdict

    def _observe(self, step: Step, spending: Spending) -> Verdict:
        agreed = self._early(step, spending)
        if agreed is None:
            try:
                result, after = self._canonical(step.operation, spending)
            except OperationError:
                return self._elsewhere(step, spending)
            question = asked(self._witness, step.operation)
            agreed = next(agreeing(question, result, step.outcome, after), None)
            waits = isinstance(step.operation, Finish) and isinstance(step.outcome, Blocked)
            if agreed is None and step.outcome is not None and not waits and not possible(question, step.outcome):
                return Divergence(step, (newest_outcome(result),))
        if agreed is None:
            return self._search(step, spending)
        self._note(step, agreed)
        return None

    def _note(self, step: Step, witness: Session) -> None:
        """Notes the step and its witness; a ``reset`` forgets all steps before, and few old sessions are kept."""
        if isinstance(step.operation, Reset):
            self.history.clear()
            self._path.clear()
        else:
            self.history.append(step)
            self._path.append(self._witness)
            _forget(self._path)
        self._witness = witness

    def _early(self, step: Step, spending: Spending) -> Session | None:
        """A session in which the outcome agrees, with a merge advanced only as far as necessary (ORACLE-7)."""
        if not self._witness.world.flights:
            return None
        if isinstance(step.operation, LOOKS):
            return self._first_look(step.operation, step.outcome, spending)
        if not isinstance(step.operation, _BESIDE) or self._witness.tasks or not merges(self._witness.world):
            return None
        try:
            result, after = perform(self._witness, step.operation, tick=spending.tick)
        except OperationError:
            return None
        return next(agreeing(asked(self._witness, step.operation), result, step.outcome, after), None)

    def _first_look(
        self, operation: Status | Table | Events, outcome: Outcome | None, spending: Spending
    ) -> Session | None:
        """The first session of the canonical schedule in which a status, table or event count agrees (ORACLE-8)."""
        session = advance_tasks(self._witness)
        while True:
            if not locked(session.world, operation):
                result = query(session.world, operation)
                agreed = next(agreeing(operation, result, outcome, session), None)
                if agreed is not None or not session.world.flights:
                    self._expected = (operation, result, session)
                    return agreed
            elif not session.world.flights:
                return None
            spending.tick()
            session = advance_tasks(Session(advance(session.world), session.tasks))

    def _elsewhere(self, step: Step, spending: Spending) -> Verdict:
        """Judges an operation that is invalid in the witness (ORACLE-4), and perhaps valid in another world.

        That can be only if an earlier outcome was not recorded, or an operation was started that others may have
        overtaken.

        Raises:
            OperationError: the operation is invalid in all worlds.
        """
        if any(past.outcome is None or isinstance(past.operation, Start) for past in self.history):
            search = self._searched(step, spending)
            if search is None:
                return None
            if search.exhausted:
                return Undecided(step, spending.worlds)
            if search.allowed:
                return Divergence(step, tuple(search.allowed))
        self._canonical(step.operation, spending)
        return None

    def _search(self, step: Step, spending: Spending) -> Verdict:
        never = self._is_never(step)
        search = self._searched(step, Spending(self.budget.at_once(_LISTED)) if never else spending)
        if search is None:
            return None
        if search.exhausted and not never:
            return Undecided(step, spending.worlds)
        return Divergence(
            step, tuple(search.allowed) or (newest_outcome(self._canonical(step.operation, spending)[0]),)
        )

    def _is_never(self, step: Step) -> bool:
        """Whether no world at all gives the outcome (ORACLE-12), so that a search is only for what is allowed."""
        done = [past.operation for past in self.history]
        return step.outcome is not None and impossible(done, asked(self._witness, step.operation), step.outcome)

    def _searched(self, step: Step, spending: Spending) -> Search | None:
        """Searches for a world that explains the step, and notes it; returns the search if there is none."""
        search = Search((*self.history, step), (*self._path, self._witness), spending)
        found = search.run()
        self.worlds += spending.worlds
        if found is None:
            return search
        self.history.append(step)
        self._path, self._witness = found
        _forget(self._path)
        return None


def _forget(path: list[Session | None]) -> None:
    """Drops old sessions except the first, so that a search can still begin there."""
    for old in range(len(path) - _PATH_MAX, 0, -1):
        if path[old] is None:
            break
        path[old] = None
