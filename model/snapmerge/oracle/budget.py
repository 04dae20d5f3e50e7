"""Budgets: bounds on the work, memory and time of a search."""

import math
from collections.abc import Callable

from snapmerge.records import dataclass, replace
from snapmerge.world.session import Session

__all__ = ["Budget", "Exhausted", "Spending"]


@dataclass(frozen=True, slots=True)
class Budget:
    """The bounds for one observation; beyond them it is undecided (ORACLE-6).

    ``work``: sessions visited in a search, weighted by the effects in flight; ``memory``: an estimate of the remembered
    sessions, in KiB; ``seconds``: time by ``clock``, unlimited without one; ``until``: the time by the same clock at
    which all observations together must be over.  A single step of the model is never cut short.
    """

    work: int = 20_000
    memory: int = 200_000
    seconds: float = math.inf
    clock: Callable[[], float] | None = None
    until: float = math.inf

    def at_once(self, work: int) -> "Budget":
        """The budget for several observations within the time of one, each with at most this work."""
        until = self.until if self.clock is None else min(self.until, self.clock() + self.seconds)
        return replace(self, work=min(work, self.work), until=until)


class Exhausted(Exception):
    """A budget is used up, and the search is given up."""


class Spending:
    """The part of a budget that is spent on one observation.

    Attributes: ``worlds`` the number of sessions visited.
    """

    def __init__(self, budget: Budget) -> None:
        self.worlds = 0
        self._work = budget.work
        self._memory = budget.memory
        self._clock = budget.clock
        self._until = math.inf if budget.clock is None else min(budget.until, budget.clock() + budget.seconds)

    def tick(self) -> None:
        """Checks the time.  Raises Exhausted."""
        if self._clock is not None and self._clock() > self._until:
            raise Exhausted

    def spend(self, session: Session, remembered: bool) -> None:
        """Counts a visited session, and whether it is remembered (a ``schedules.Spend``).  Raises Exhausted."""
        in_flight = len(session.world.flights)
        self.worlds += 1
        self._work -= 1 + in_flight // 32
        if remembered:
            self._memory -= 4 + in_flight // 16
        if self._work <= 0 or self._memory <= 0:
            raise Exhausted
        self.tick()
