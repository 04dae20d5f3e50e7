"""Operations played on the model, by two sets of rules side by side: what should be seen, and what is seen."""

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
    """One operation, and what it gives by the rules that are right and by the others; None: it makes no sense."""

    operation: Operation
    expected: Outcome | None
    actual: Outcome | None


def play(operations: Iterable[Operation], rules: Rules) -> list[Outcome | None]:
    """What the operations give by the canonical schedule; a power cut takes all that was not flushed."""
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
    """The operations played both ways, with a last look where nothing has differed; None: no look shows a thing."""
    begun = _started(list(operations), rules)
    for look in ((), *_looks(begun)):
        shown = compare([*begun, *look], rules)
        if any(one.expected != one.actual for one in shown):
            return shown
    return None


def _started(operations: list[Operation], rules: Rules) -> list[Operation]:
    """With every operation that blocks in one of the two begun by ``start``, and asked for after that."""
    for at, operation in enumerate(operations):
        for by in (generation_of(rules).rules, rules):
            if not isinstance(operation, sm.Start | sm.Finish) and isinstance(play(operations, by)[at], sm.Blocked):
                begun: list[Operation] = [sm.Start(_KEY + at, operation), sm.Finish(_KEY + at)]
                return _started([*operations[:at], *begun, *operations[at + 1 :]], rules)
    return operations


def _looks(operations: list[Operation]) -> Iterable[tuple[Operation, ...]]:
    """What a user may look at in the end."""
    yield from ((sm.Finish(o.key),) for o in operations if isinstance(o, sm.Start))
    devices = {o.device: o.table or "" for o in operations if isinstance(o, sm.Create)}
    for name, table in reversed(devices.items()):
        first, count = map(int, table.split(";")[-1].split()[:2])
        yield (sm.Start(_KEY - 1, sm.Settle(name)), sm.Finish(_KEY - 1))
        yield (sm.Read(name, sm.Sector(0), sm.Sectors(first + count)),)
        yield (sm.Events(name),)
        yield (sm.Status(name),)
    yield from ((sm.Read(o.name, sm.Sector(0), o.size),) for o in operations if isinstance(o, sm.Disk))
