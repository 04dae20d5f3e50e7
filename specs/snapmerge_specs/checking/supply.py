"""Supplies the implementation for scenarios: a new one after it has died, and for each scenario without ``reset``."""

from collections.abc import Callable

from snapmerge import Implementation, Step
from snapmerge_specs.checking.replay import again, unexplained
from snapmerge_specs.lockstep.lockstep import Lockstep, VerdictError
from snapmerge_specs.lockstep.report import DivergenceReport
from snapmerge_specs.lockstep.schedule import follow

__all__ = ["Supply"]

Steps = tuple[Step, ...]


class Supply:
    """Supplies one implementation at a time, made by ``make``; ``lockstep`` combines it with an oracle.

    ``make`` may give the same object again if that has a ``reset`` that works after it was closed, too.

    Attributes: ``implementation`` the present one.
    """

    def __init__(
        self, make: Callable[[], Implementation], lockstep: Callable[[Implementation], Lockstep] = Lockstep
    ) -> None:
        self._make, self._lockstep = make, lockstep
        self.implementation = make()
        self._used = False

    def fresh(self, steps: Steps | None = None) -> Lockstep:
        """A lockstep for a new scenario, which follows the schedule of ``steps`` if they are given.

        Raises VerdictError if the implementation can't be reset.
        """
        if self._used and not self.can_reset:
            self.renew()
        self._used = True
        follow(self.implementation, steps)
        return self._lockstep(self.implementation)

    @property
    def can_reset(self) -> bool:
        """Whether one implementation can serve all scenarios."""
        return "reset" in self.implementation.capabilities.operations

    def again(self, steps: Steps) -> DivergenceReport | None:
        """Runs the operations of a trace again; returns the unexplained divergence in which they end, or None."""
        try:
            return again(steps, self.fresh(steps), self.renew)
        except VerdictError:  # it can't be reset after the steps before
            self.renew()
        try:
            return again(steps, self.fresh(steps), self.renew)
        except VerdictError as disagreement:  # not even a new one can be reset
            return unexplained(disagreement, None)

    def renew(self) -> None:
        """Closes the implementation and makes another."""
        self.implementation.close()
        self.implementation = self._make()
        self._used = False

    def close(self) -> None:
        """Closes the implementation."""
        self.implementation.close()
