"""What a search may cost."""

import math
from collections.abc import Callable

from snapmerge.records import dataclass, replace
from snapmerge.world.session import Session

__all__ = ["Budget", "Exhausted", "Spending"]


@dataclass(frozen=True, slots=True)
class Budget:
    """What the oracle may spend on one observation before it is undecided.

    ``work``: sessions looked at in a search, of which one with much in flight counts more; ``memory``: roughly what
    is remembered of them, in KiB; ``seconds``: by ``clock``, which the model does not have: without one, time is not
    limited.  ``until``: when all observations together must be over, by the same clock.  A single step of the model is
    never cut short.
    """

    work: int = 20_000
    memory: int = 200_000
    seconds: float = math.inf
    clock: Callable[[], float] | None = None
    until: float = math.inf

    def at_once(self, work: int) -> "Budget":
        """The budget for several observations that must be over within the time of one, each with no more work."""
        until = self.until if self.clock is None else min(self.until, self.clock() + self.seconds)
        return replace(self, work=min(work, self.work), until=until)


class Exhausted(Exception):  # nothing is wrong: the search ends here
    """A budget is used up."""


class Spending:
    """What has been spent of a budget on one observation.

    Attributes: ``worlds`` how many sessions were looked at.
    """

    def __init__(self, budget: Budget) -> None:
        self.worlds = 0
        self._work = budget.work
        self._memory = budget.memory
        self._clock = budget.clock
        self._until = math.inf if budget.clock is None else min(budget.until, budget.clock() + budget.seconds)

    def tick(self) -> None:
        """Time has passed.  Raises Exhausted."""
        if self._clock is not None and self._clock() > self._until:
            raise Exhausted

    def spend(self, session: Session, worth: bool) -> None:  # it is a Spend
        """A session is looked at, and remembered if it is worth it.  Raises Exhausted."""
        in_flight = len(session.world.flights)
        self.worlds += 1
        self._work -= 1 + in_flight // 32
        if worth:
            self._memory -= 4 + in_flight // 16
        if self._work <= 0 or self._memory <= 0:
            raise Exhausted
        self.tick()
