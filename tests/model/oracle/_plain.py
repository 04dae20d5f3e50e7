"""Everything that can be seen in small worlds, and the plain twin of the search, which leaves out nothing."""

from collections.abc import Callable, Iterator

import pytest

import snapmerge as sm
from snapmerge.machine.core.status import status_line
from snapmerge.oracle import schedules as _schedules
from snapmerge.oracle.agreement import agreeing, asked
from snapmerge.oracle.calm import ANYTHING, Ahead, ahead
from snapmerge.world.power import resolutions

__all__ = ["Seen", "everything", "explains", "plainly"]

Seen = frozenset[tuple[str, ...]]
PLAIN_MAX = 1_200
"""Worlds that the plain twin may look at."""


class TooManyError(Exception):
    """The plain twin would take too long."""


def every_world(
    _key: int | None, session: sm.Session, _operation: sm.Operation, _after: Ahead, _seen: sm.Outcome | None
) -> tuple[Iterator[sm.World], bool]:
    """All moves."""
    return sm.moves(session.world), False


def everything(session: sm.Session, lines: list[str], *, most: int | None = None, told: bool = True) -> Seen:
    """All sequences of outcomes; after a power cut every sector is known at once.

    ``told``: the search is told what comes.
    """
    left = [most or 10**9]

    def spend(_session: sm.Session, _worth: bool) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise TooManyError

    operations = tuple(map(sm.parse_operation, lines))
    afters = _afters(session, operations) if told else [ANYTHING] * len(operations)
    found: set[tuple[tuple[str, ...], sm.Session]] = {((), session)}
    for operation, after in zip(operations, afters, strict=True):
        found = {
            ((*seen, _text(result)), certain)
            for seen, before in found
            for result, later in _outcomes(before, operation, spend, after)
            for certain in (_certain(later) if isinstance(operation, sm.Crash) else [later])
        }
    return frozenset(seen for seen, _ in found)


def _afters(session: sm.Session, operations: tuple[sm.Operation, ...]) -> list[Ahead]:
    """What is ahead of each operation, for a search that knows how the disks and devices of the session were made."""
    stack = session.world.stack
    disks = [sm.Disk(name, sm.Sectors(disk.size)) for name, disk in session.world.disks.items()]
    tables = [sm.Create(name, status_line(stack, session.world.rules, name)) for name in stack.devices]
    return ahead((*disks, *tables, *operations))[len(disks) + len(tables) :]


def _outcomes(
    session: sm.Session,
    operation: sm.Operation,
    spend: Callable[[sm.Session, bool], None],
    after: Ahead,
    seen: sm.Outcome | None = None,
) -> list[tuple[sm.Result, sm.Session]]:
    try:
        return list(sm.outcomes(session, operation, spend, after=after, seen=seen))
    except sm.OperationError:
        return []  # it makes no sense, by any schedule


def _certain(session: sm.Session) -> list[sm.Session]:
    return [sm.Session(world, session.tasks) for world in resolutions(session.world)]


def _text(result: sm.Result) -> str:
    seen = result.seen() if isinstance(result, sm.Raw) else result
    assert seen is not None
    return sm.print_outcome(seen)


def plainly(
    session: sm.Session, lines: list[str], monkeypatch: pytest.MonkeyPatch, *, most: int = PLAIN_MAX
) -> Seen | None:
    """All sequences of outcomes by the plain twin; None: it would take too long."""
    with monkeypatch.context() as patch:
        patch.setattr(_schedules, "next_worlds", every_world)
        try:
            return everything(session, lines, most=most)
        except TooManyError:
            return None


def explains(session: sm.Session, lines: list[str], sequence: tuple[str, ...]) -> bool:
    """Whether the search, which is told what was seen, finds a way to it."""
    steps = [step for line, seen in zip(lines, sequence, strict=False) for step in sm.parse_trace(f"{line} -> {seen}")]
    afters = _afters(session, tuple(map(sm.parse_operation, lines)))
    found = {session}
    for step, after in zip(steps, afters, strict=False):
        found = {
            certain
            for before in found
            for result, later in _outcomes(before, step.operation, lambda _session, _worth: None, after, step.outcome)
            for agreed in agreeing(asked(before, step.operation), result, step.outcome, later)
            for certain in (_certain(agreed) if isinstance(step.operation, sm.Crash) else [agreed])
        }
    return bool(found)
