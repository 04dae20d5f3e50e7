"""Whether a result of the model agrees with an observed outcome."""

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

__all__ = ["agreeing", "alike", "asked", "newest_outcome"]


def newest_outcome(result: Result) -> Outcome:
    """The result as an outcome; an unknown sector has its newest candidate."""
    if not isinstance(result, Raw):
        return result
    return Data(tuple(map(as_seen, newest_contents(result.sectors))))


def asked(session: Session, operation: Operation) -> Plain | Start:
    """The operation whose outcome is returned: for ``finish`` the one that was started, else the operation itself."""
    return session.tasks[operation.key].operation if isinstance(operation, Finish) else operation


_EXPLAINED = (Create, Load, Clear, Resume, Suspend, Remove, Message)
"""The operations whose failures may have a text; those of all others have an error number only (ORACLE-10)."""


def agreeing(operation: Plain | Start, result: Result, seen: Outcome | None, after: Session) -> Iterator[Session]:
    """Yields the session in which the result agrees with the observed outcome, if it can; unknown sectors are decided.

    ``seen`` None: the outcome was not recorded, and every result agrees (ORACLE-13).
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
    elif alike(result, seen) or _ignored_message(operation, seen, after):
        yield after


_MISSING = ("ENODEV", "ENOENT")
"""The errors of a table with an unknown device: the first up to Linux 6.1, the second in later kernels."""


def alike(mine: Outcome, seen: Outcome) -> bool:
    """Whether two outcomes are the same to a user: the text of a failure counts only where both have one (ORACLE-10).

    Linux gives a missing device one of two errors (ORACLE-11).
    """
    if not isinstance(mine, Failed) or not isinstance(seen, Failed):
        return mine == seen
    same = mine.errno == seen.errno or (mine.errno in _MISSING and seen.errno in _MISSING)
    return same and (mine.text is None or seen.text is None or mine.text == seen.text)


def _ignored_message(operation: Plain | Start, seen: Outcome, after: Session) -> bool:
    """Whether it is a message to a device without a table, which succeeds up to Linux 6.1 (ORACLE-11)."""
    if not isinstance(operation, Message) or not isinstance(seen, Done):
        return False
    device = after.world.stack.devices.get(operation.device)
    return device is not None and not device.live


def _learn(result: Raw, seen: Outcome, after: Session) -> Session | None:
    """The session in which unknown sectors are decided to be what was read (ORACLE-3); None: they can't be."""
    if not isinstance(seen, Data) or len(seen.sectors) != len(result.sectors):
        return None
    decided: dict[Unknown, Content] = {}
    for mine, theirs in zip(result.sectors, seen.sectors, strict=True):
        if isinstance(mine, Unknown):
            content = next((c for c in mine.candidates if as_seen(c) == theirs), None)
            if content is None or decided.setdefault(mine, content) != content:
                return None
        elif as_seen(mine) != theirs:
            return None
    world = after.world
    for unknown, content in decided.items():
        world = bind(world, unknown, content)
    return Session(world, after.tasks) if decided else after
