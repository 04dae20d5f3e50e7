"""Whether a result is what was seen."""

from collections.abc import Iterator

from snapmerge.trace.operations import (
    Clear,
    Create,
    Finish,
    Load,
    Message,
    Operation,
    Plain,
    Remove,
    Resume,
    Start,
    Suspend,
)
from snapmerge.trace.outcomes import Data, Done, Failed, Outcome
from snapmerge.trace.payload import Content, as_seen
from snapmerge.world.disk import Unknown
from snapmerge.world.disk_operations import Raw, Result
from snapmerge.world.power import bind, newest_contents
from snapmerge.world.session import Session

__all__ = ["agreeing", "alike", "asked", "likely_outcome"]


def likely_outcome(result: Result) -> Outcome:
    """The result as an outcome; the newest candidate where nobody knows."""
    if not isinstance(result, Raw):
        return result
    return Data(tuple(map(as_seen, newest_contents(result.sectors))))


def asked(session: Session, operation: Operation) -> Plain | Start:
    """The operation whose outcome this one gives: for ``finish`` the one that was started."""
    return session.tasks[operation.key].operation if isinstance(operation, Finish) else operation


_EXPLAINED = (Create, Load, Clear, Resume, Suspend, Remove, Message)
"""The operations whose failures the kernel may explain: the others have an error number and no more."""


def agreeing(operation: Plain | Start, result: Result, seen: Outcome | None, after: Session) -> Iterator[Session]:
    """The sessions in which the result is what was seen: none, or one in which more is known than before.

    ``seen`` None: what it was is not known, and any result is it (ORACLE-13).
    """
    if seen is None:
        yield after
        return
    if isinstance(seen, Failed) and seen.text is not None and not isinstance(operation, _EXPLAINED):
        return
    if isinstance(result, Raw):
        session = _learn(result, seen, after)
        if session is not None:
            yield session
    elif alike(result, seen) or _went_through(operation, seen, after):
        yield after


_MISSING = ("ENODEV", "ENOENT")
"""What a table with an unknown device gives: the first up to Linux 6.1, the second in later kernels."""


def alike(mine: Outcome, seen: Outcome) -> bool:
    """Whether two outcomes are the same to a user: the text of a failure counts only where both have one (ORACLE-10).

    Linux gives a missing device one of two errors (ORACLE-11).
    """
    if not isinstance(mine, Failed) or not isinstance(seen, Failed):
        return mine == seen
    same = mine.errno == seen.errno or (mine.errno in _MISSING and seen.errno in _MISSING)
    return same and (mine.text is None or seen.text is None or mine.text == seen.text)


def _went_through(operation: Plain | Start, seen: Outcome, after: Session) -> bool:
    """Up to Linux 6.1 a message to a device without a table is taken by nobody, and no error (ORACLE-11)."""
    if not isinstance(operation, Message) or not isinstance(seen, Done):
        return False
    device = after.world.stack.devices.get(operation.device)
    return device is not None and not device.live


def _learn(result: Raw, seen: Outcome, after: Session) -> Session | None:
    """The session in which sectors that a power cut left open are what was read (ORACLE-3); None: they can't be."""
    if not isinstance(seen, Data) or len(seen.sectors) != len(result.sectors):
        return None
    learnt: dict[Unknown, Content] = {}
    for mine, theirs in zip(result.sectors, seen.sectors, strict=True):
        if isinstance(mine, Unknown):
            content = next((c for c in mine.candidates if as_seen(c) == theirs), None)
            if content is None or learnt.setdefault(mine, content) != content:
                return None
        elif as_seen(mine) != theirs:
            return None
    world = after.world
    for unknown, content in learnt.items():
        world = bind(world, unknown, content)
    return Session(world, after.tasks) if learnt else after
