"""The oracle for disks under control: is what was seen, request by request, allowed?

It begins where nothing is under way and requests are held from then on.  It keeps the *set* of quiet sessions that
agree with all that was seen.  That is possible here, since what the disks do is told: only the processor's order is
open, and which of the model's flushes a flush was (``world.control``).

Each step takes every session of the set further: an operation begins, or a request is answered; then the processor does
all that it can.  What is seen keeps those that agree: the requests that wait, the operations that have ended, and how.
When none is left, that is a divergence (CONTROL-3), and the set stays as it was before the step.
"""

from collections.abc import Iterable, Iterator
from typing import assert_never

from snapmerge.oracle.agreement import agreeing, asked, newest_outcome
from snapmerge.records import dataclass
from snapmerge.trace.control import Answer, Control, ControlStep, Hold, Pending, check_held, not_pending
from snapmerge.trace.lines import Step
from snapmerge.trace.operations import Operation
from snapmerge.trace.outcomes import Done, Outcome
from snapmerge.trace.requests import Requests
from snapmerge.world.control import answered, ended_keys, quiet, requests, shows
from snapmerge.world.session import Result, Session, blocked, poll, submit

__all__ = ["HeldDivergence", "HeldOracle"]


@dataclass(frozen=True, slots=True)
class HeldDivergence:
    """What was seen fits no session.  ``allowed``: what would have, of the disks or of the operation."""

    step: Step | ControlStep
    allowed: tuple[Requests | Outcome, ...]


class HeldOracle:
    """Judges an implementation from ``hold`` on (CONTROL-12).  ``sessions``: where it may be; each is quiet."""

    def __init__(self, sessions: Iterable[Session]) -> None:
        self.sessions = quiet(sessions)

    def control(self, control: Control, seen: Requests | None) -> HeldDivergence | None:
        """Takes note of what was seen of the disks; None: it is allowed.  ``seen`` None: it is not known (CONTROL-9).

        Raises:
            OperationError: it makes no sense here; nothing is noted.
        """
        after = quiet(self._told(control))
        if not after:
            raise not_pending(control)
        kept = frozenset(session for session in after if seen is None or _agrees(session, seen))
        if not kept:
            return HeldDivergence(ControlStep(control, seen), tuple(dict.fromkeys(map(_shown, after))))
        self.sessions = kept
        return None

    def _told(self, control: Control) -> Iterator[Session]:
        match control:
            case Hold() | Pending():
                yield from self.sessions
            case Answer(request, error):
                for session in self.sessions:
                    yield from answered(session, request, error=error)
            case _:
                assert_never(control)

    def observe(self, operation: Operation, outcome: Outcome | None) -> HeldDivergence | None:
        """Takes note of what an operation has come to; None: it is allowed.

        Raises:
            OperationError: it makes no sense in any session, or not while requests are held.  Nothing is noted.
        """
        check_held(operation, next(iter(self.sessions)).world.disks)
        results = [(session, *result) for session in self.sessions for result in _results(session, operation)]
        kept = quiet(
            agreed
            for before, result, after in results
            for agreed in agreeing(asked(before, operation), result, outcome, after)
        )
        if not kept:
            return HeldDivergence(Step(operation, outcome), tuple({newest_outcome(r): None for _, r, _ in results}))
        self.sessions = kept
        return None


def _agrees(session: Session, seen: Requests) -> bool:
    return shows(session.world, seen.requests) and ended_keys(session) == set(seen.ended)


def _shown(session: Session) -> Requests:
    return Requests(requests(session.world), tuple(sorted(ended_keys(session))))


def _results(session: Session, operation: Operation) -> Iterator[tuple[Result, Session]]:
    """What the operation comes to at once, in every order of what the processor does."""
    key, begun = submit(session, operation)
    if key is None:
        yield Done(), begun
        return
    for still in quiet((begun,)):
        after, result = poll(still, key)
        yield (blocked(operation), still) if result is None else (result, after)
