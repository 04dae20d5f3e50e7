"""The oracle's search: whether any schedule explains a history.

The problem.  A history is what a user did and saw, step by step.  The model is not deterministic: in which order I/O
ends, and what a power cut leaves, is open.  A divergence may be called only if *no* choice, in this step or in any step
before it, gives what was seen (ORACLE-1).  There are far too many choices to try them blindly.

The search walks over pairs of a step's number and a ``Session``, which is a world with the operations under way in it.
From such a pair ``_after`` gives every session in which the step has ended and its outcome was what was seen:
``outcomes`` goes through the schedules of one operation, without those that can't make a difference
(``schedules``, ``reductions``), and ``agreeing`` keeps those whose outcome fits.  A step whose outcome is not known
keeps all (ORACLE-13).  Where a power cut has left a sector open, ``agreeing`` also fixes what it was read as, so that
later reads must agree (ORACLE-3).  A session after the last step explains the history.

The order is chosen for the two usual cases.

*   The explanation differs from the witness only in the last few steps.  So the search begins at the last step, from
    the session that the oracle has before it (``path``); if nothing explains the rest from there, at the step before,
    and so on.  The first session of the path is the one before the first step: when that has failed as well, every
    schedule of every step has been tried, so the verdict does not depend on the path.
*   One schedule is as good as another.  So it goes depth first, and tries the canonical schedule of each step first.

A search from an earlier step reaches sessions from which the search has found nothing before; it does not enter them
again (``_seen``).  The same holds in the middle of a step: a session that was reached there from another session before
the step is left out (``_met``), since what follows from it is found by the way that reached it first.

The search ends with a path of sessions that explains all (the last is the new witness), with None when all has been
tried, or with ``exhausted`` when the budget is used up, which is no verdict (ORACLE-6).  ``allowed`` collects the
outcomes that the last step could have had, for the report (ORACLE-5).
"""

from collections.abc import Iterator, Sequence

from snapmerge.errors import OperationError
from snapmerge.oracle.agreement import agreeing, asked, newest_outcome
from snapmerge.oracle.budget import Exhausted, Spending
from snapmerge.oracle.calm import ahead
from snapmerge.oracle.schedules import LOOKS, Node, outcomes
from snapmerge.trace.lines import Step
from snapmerge.trace.outcomes import Outcome
from snapmerge.world.session import Result, Session, operate

__all__ = ["Search"]


class Search:
    """One search for sessions that explain all of a history (ORACLE-1).

    ``path``: for each step a session before it that explains all steps so far; None: it was dropped to save memory.

    Attributes: ``allowed`` what the last step could have been; ``exhausted`` whether the search was given up.
    """

    def __init__(self, history: Sequence[Step], path: Sequence[Session | None], spending: Spending) -> None:
        self.history = history
        self.allowed: dict[Outcome, None] = {}
        self.exhausted = False
        self._path = path
        self._spending = spending
        self._ahead = ahead(tuple(step.operation for step in history))
        self._seen: set[tuple[int, Session]] = set()
        self._tried: set[int] = set()
        self._met: list[set[Node]] = [set() for _ in history]

    def run(self) -> tuple[list[Session | None], Session] | None:
        """The sessions before each step, and the one after the last; None: there are none, or ``exhausted`` is set."""
        try:
            for at in reversed(range(len(self.history))):
                start = self._path[at]
                found = None if start is None else self._from(start, at)
                if found is not None:
                    return [*self._path[:at], *found[:-1]], found[-1]
        except Exhausted:
            self.exhausted = True
        return None

    def _from(self, start: Session, at: int) -> list[Session] | None:
        """The sessions that explain all steps from ``at`` on, beginning with ``start``; None: there are none."""
        if (at, start) in self._seen:
            return None
        self._seen.add((at, start))
        path, ways = [start], [self._after(start, at)]
        while ways:
            after = next(ways[-1], None)
            if after is None:
                ways.pop()
                path.pop()
                continue
            at_next = at + len(path)
            if at_next == len(self.history):
                return [*path, after]
            if (at_next, after) not in self._seen:
                self._seen.add((at_next, after))
                path.append(after)
                ways.append(self._after(after, at_next))
        return None

    def _after(self, session: Session, at: int) -> Iterator[Session]:
        """Every session that step ``at`` may lead to from here, with the outcome that was seen."""
        step = self.history[at]
        for result, after in self._results(session, step, at):
            if at + 1 == len(self.history):
                self.allowed[newest_outcome(result)] = None
            yield from agreeing(asked(session, step.operation), result, step.outcome, after)

    def _results(self, session: Session, step: Step, at: int) -> Iterator[tuple[Result, Session]]:
        """Every result of step ``at``, the canonical one first; none where the operation is invalid."""
        operation = step.operation

        def enough(result: Result) -> bool:
            return any(True for _ in agreeing(asked(session, operation), result, step.outcome, session))

        try:
            if session.world.flights and at not in self._tried and not isinstance(operation, LOOKS):
                self._tried.add(at)
                yield operate(session, operation, tick=self._spending.tick)
        except OperationError:
            pass
        try:
            yield from outcomes(
                session,
                operation,
                self._spending.spend,
                after=self._ahead[at],
                enough=enough,
                seen=step.outcome,
                met=self._met[at],
            )
        except OperationError:
            return
