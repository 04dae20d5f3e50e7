"""The implementation that scenarios are played on: made anew when it has died, and each time if it has no ``reset``."""

from collections.abc import Callable

from snapmerge import Implementation, Step
from snapmerge_specs.checking.replay import again
from snapmerge_specs.lockstep.lockstep import Lockstep, VerdictError
from snapmerge_specs.lockstep.schedule import follow

__all__ = ["Supply"]

Steps = tuple[Step, ...]


class Supply:
    """One implementation at a time, from ``make``; ``lockstep`` puts an oracle beside it.

    ``make`` may give the same object again if that has a ``reset`` that works after it was closed, too.

    Attributes: ``implementation`` the one that is in use.
    """

    def __init__(
        self, make: Callable[[], Implementation], lockstep: Callable[[Implementation], Lockstep] = Lockstep
    ) -> None:
        self._make, self._lockstep = make, lockstep
        self.implementation = make()
        self._used = False

    def fresh(self, steps: Steps | None = None) -> Lockstep:
        """For a new scenario, which takes the schedule of the steps, if they are given.

        Raises VerdictError: it can't be reset.
        """
        if self._used and not self.can_reset:
            self.renew()
        self._used = True
        follow(self.implementation, steps)
        return self._lockstep(self.implementation)

    @property
    def can_reset(self) -> bool:
        """Whether one implementation does for all scenarios."""
        return "reset" in self.implementation.capabilities.operations

    def again(self, steps: Steps) -> VerdictError | None:
        """Plays the operations of a trace anew; the unexplained divergence that they end in, if they do."""
        try:
            return again(steps, self.fresh(steps), self.renew)
        except VerdictError:  # it can't be reset after what was played before
            self.renew()
        try:
            return again(steps, self.fresh(steps), self.renew)
        except VerdictError as disagreement:  # nor when it is new
            return disagreement

    def renew(self) -> None:
        """Closes it and makes another."""
        self.implementation.close()
        self.implementation = self._make()
        self._used = False

    def close(self) -> None:
        """Gives it back."""
        self.implementation.close()
