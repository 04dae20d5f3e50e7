"""Runs operations on the model by two sets of rules, and compares the outcomes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import snapmerge as sm
from snapmerge import Operation, Outcome, Rules, Session
from snapmerge_specs.generations.generation import generation_of

__all__ = ["Compared", "compare", "compare_with_look", "play"]

_KEY: Final = 1000


@dataclass(frozen=True, slots=True)
class Compared:
    """An operation with its outcomes by the right rules and by the compared ones; None: the operation is invalid."""

    operation: Operation
    expected: Outcome | None
    actual: Outcome | None


def play(operations: Iterable[Operation], rules: Rules) -> list[Outcome | None]:
    """The outcomes by the canonical schedule, None for invalid operations; a power cut loses all unflushed writes."""
    session, seen = Session.new(rules), list[Outcome | None]()
    for operation in operations:
        try:
            result, session = sm.operate(session, operation)
        except sm.WouldBlock:
            seen.append(sm.Blocked())
            continue
        except sm.OperationError:
            seen.append(None)
            continue
        if isinstance(operation, sm.Crash):
            session = Session(sm.resolve(session.world, lambda count: count - 1))
        seen.append(result.seen() if isinstance(result, sm.Raw) else result)
    return seen


def compare(operations: Sequence[Operation], rules: Rules) -> list[Compared]:
    """The operations played both ways: by the rules of their generation as they were meant, and by these."""
    both = zip(operations, play(operations, generation_of(rules).rules), play(operations, rules), strict=True)
    return [Compared(*one) for one in both]


def compare_with_look(operations: Sequence[Operation], rules: Rules) -> list[Compared] | None:
    """The comparison of the operations; if nothing differs, one more operation is tried at the end; None: no effect."""
    begun = _started(list(operations), rules)
    for look in ((), *_looks(begun)):
        shown = compare([*begun, *look], rules)
        if any(one.expected != one.actual for one in shown):
            return shown
    return None


def _started(operations: list[Operation], rules: Rules) -> list[Operation]:
    """The operations, with each that blocks by either set of rules replaced by a ``start`` and a ``finish``."""
    for at, operation in enumerate(operations):
        for by in (generation_of(rules).rules, rules):
            if not isinstance(operation, sm.Start | sm.Finish) and isinstance(play(operations, by)[at], sm.Blocked):
                begun: list[Operation] = [sm.Start(_KEY + at, operation), sm.Finish(_KEY + at)]
                return _started([*operations[:at], *begun, *operations[at + 1 :]], rules)
    return operations


def _looks(operations: list[Operation]) -> Iterable[tuple[Operation, ...]]:
    """Operations that show the state at the end, each alone."""
    yield from ((sm.Finish(o.key),) for o in operations if isinstance(o, sm.Start))
    devices = {o.device: o.table or "" for o in operations if isinstance(o, sm.Create)}
    for name, table in reversed(devices.items()):
        first, count = map(int, table.split(";")[-1].split()[:2])
        yield (sm.Start(_KEY - 1, sm.Settle(name)), sm.Finish(_KEY - 1))
        yield (sm.Read(name, sm.Sector(0), sm.Sectors(first + count)),)
        yield (sm.Events(name),)
        yield (sm.Status(name),)
    yield from ((sm.Read(o.name, sm.Sector(0), o.size),) for o in operations if isinstance(o, sm.Disk))
