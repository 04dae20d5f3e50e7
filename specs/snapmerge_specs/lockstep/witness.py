"""A witness: an implementation whose outcomes are judged by the promises to a user, with or without an oracle."""

import contextlib
from collections.abc import Sequence

from snapmerge import (
    Capabilities,
    Choices,
    Done,
    Implementation,
    Operation,
    OperationError,
    Outcome,
    Reset,
    Scheduled,
    Step,
)
from snapmerge_specs.lockstep.schedule import step_of
from snapmerge_specs.promises.checker import Promises
from snapmerge_specs.promises.words import BrokenPromise

__all__ = ["Witness"]


class Witness:
    """Passes operations on to an implementation, and looks at each outcome.

    Attributes: ``steps`` what was done and seen since the last ``reset``; ``broken`` the first promise that one of
    them breaks; ``over`` whether ``go_on`` does nothing any more.
    """

    def __init__(self, inner: Implementation) -> None:
        self._inner = inner
        self._scheduled = inner if isinstance(inner, Scheduled) else None
        self._begin()

    def _begin(self) -> None:
        self.steps: list[Step] = []
        self.broken: BrokenPromise | None = None
        self.over = False
        self.promises = Promises()

    @property
    def capabilities(self) -> Capabilities:
        """The capabilities of the implementation."""
        return self._inner.capabilities

    @property
    def choices(self) -> Choices:
        """The choices of the last operation, if the schedule of the implementation is known."""
        return self._scheduled.choices if self._scheduled is not None else ()

    def follow(self, schedule: Sequence[Choices] | None) -> None:
        """Makes the implementation follow a schedule, if it can (``snapmerge.Scheduled``)."""
        if self._scheduled is not None:
            self._scheduled.follow(schedule)

    def apply(self, operation: Operation) -> Outcome:
        """Carries the operation out.  Raises OperationError if it is invalid; then nothing has changed."""
        outcome = self._inner.apply(operation)
        if operation == Reset() and outcome == Done():
            self._begin()
            return outcome
        self.steps.append(step_of(self._scheduled, operation, outcome))
        broken = self.promises.observe(operation, outcome)
        if self.broken is None and broken is not None:
            self.broken, self.over = broken, True
        return outcome

    def would_block(self, operation: Operation) -> bool:
        """Whether the operation may never end, as far as a user can know, so that it must be begun with ``start``."""
        return self.promises.would_block(operation)

    def go_on(self, operation: Operation) -> Outcome | None:
        """Carries the operation out without an oracle; None: it was left out, as invalid or after the end."""
        if self.over:
            return None
        with contextlib.suppress(OperationError):
            return self.apply(operation)
        return None

    @property
    def trace(self) -> tuple[Step, ...]:
        """The steps, up to the one that breaks a promise."""
        return tuple(self.steps if self.broken is None else self.steps[: self.broken.index + 1])

    def close(self) -> None:
        """Closes the implementation."""
        self._inner.close()
