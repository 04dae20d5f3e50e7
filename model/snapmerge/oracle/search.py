"""The oracle's search: a way for a history to have come about, over every schedule.

It goes depth first, and begins where the last thing was seen: of the sessions that have explained the history so far,
one before each step, the last one first.  What was done wrong there is mostly wrong late.  The first of them is
before the first step, so that in the end every schedule of every step has been tried.
"""

from collections.abc import Iterator, Sequence

from snapmerge.errors import OperationError
from snapmerge.oracle.agreement import agreeing, asked, likely_outcome
from snapmerge.oracle.budget import Exhausted, Spending
from snapmerge.oracle.calm import ahead
from snapmerge.oracle.schedules import LOOKS, outcomes
from snapmerge.trace.lines import Step
from snapmerge.trace.outcomes import Outcome
from snapmerge.world.session import Result, Session, operate

__all__ = ["Search"]


class Search:
    """One search for sessions that explain all of a history.

    ``path``: a session before each step that has explained those before it; None: it is no longer known.

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

    def run(self) -> tuple[list[Session | None], Session] | None:
        """The sessions before each step, and that behind the last; None: none, or nobody knows (``exhausted``)."""
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
        """The sessions that explain all from step ``at`` on, the first of them given."""
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
        """Every session that explains step ``at`` from here."""
        step = self.history[at]
        for result, after in self._results(session, step, at):
            if at + 1 == len(self.history):
                self.allowed[likely_outcome(result)] = None
            yield from agreeing(asked(session, step.operation), result, step.outcome, after)

    def _results(self, session: Session, step: Step, at: int) -> Iterator[tuple[Result, Session]]:
        """Every result of step ``at``; none where the operation makes no sense."""
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
                session, operation, self._spending.spend, after=self._ahead[at], enough=enough, seen=step.outcome
            )
        except OperationError:
            return
