"""The numbers in operations with their roles, by which a shrinker lowers them and keeps the trace well formed."""

import re
from collections.abc import Iterator, Sequence
from enum import Enum, auto

import snapmerge as sm
from snapmerge import Operation, Plain, Sector, Sectors
from snapmerge.records import dataclass, replace

__all__ = ["Number", "Operations", "Role", "fitted", "numbers", "with_numbers"]

Operations = tuple[Operation, ...]


class Role(Enum):
    """The meaning of a number.  Numbers with the same role and value often depend on each other."""

    SIZE = auto()
    """Sectors of a disk; the start and the length of a table line."""
    CHUNK = auto()
    """A chunk size, in sectors."""
    OFFSET = auto()
    """The first sector of a linear line on its disk."""
    SECTOR = auto()
    """The first sector of I/O or a fault."""
    COUNT = auto()
    """The number of sectors of I/O or a fault."""
    TAG = auto()
    """The first tag of a write."""
    KEY = auto()
    """The key of a ``start``."""


@dataclass(frozen=True, slots=True)
class Number:
    """The ``which``-th number of operation ``at``, and its least valid value."""

    at: int
    which: int
    role: Role
    value: int
    least: int


_LEAST = {Role.SIZE: 1, Role.CHUNK: 1, Role.COUNT: 1, Role.TAG: 1, Role.KEY: 1, Role.OFFSET: 0, Role.SECTOR: 0}

_Part = tuple[Role, int]


def numbers(operations: Sequence[Operation]) -> list[Number]:
    """Every number of the operations, in order, except a table line's start of 0."""
    found: list[Number] = []
    for at, operation in enumerate(operations):
        for which, (role, value) in enumerate(_parts(operation)):
            found.append(Number(at, which, role, value, min(_LEAST[role], value)))
    return found


def with_numbers(operations: Operations, values: dict[tuple[int, int], int]) -> Operations:
    """The operations with the numbers in ``values`` replaced, by ``(at, which)``."""
    changed = list(operations)
    for at in {at for at, _ in values}:
        old = [value for _, value in _parts(operations[at])]
        new = [values.get((at, which), value) for which, value in enumerate(old)]
        if new != old:
            changed[at] = _rebuilt(operations[at], new)
    return tuple(changed)


def _parts(operation: Operation) -> list[_Part]:
    match operation:
        case sm.Start(key, inner):
            return [(Role.KEY, key), *_parts(inner)]
        case sm.Finish(key):
            return [(Role.KEY, key)]
        case sm.Disk(_, size):
            return [(Role.SIZE, size)]
        case sm.Write(_, sector, count, tag):
            return [(Role.SECTOR, sector), (Role.COUNT, count), (Role.TAG, tag)]
        case sm.Read(_, sector, count) | sm.Discard(_, sector, count) | sm.Fault(_, _, sector, count):
            return [(Role.SECTOR, sector), (Role.COUNT, count)]
        case sm.Create(_, str(table)) | sm.Load(_, table):
            return [(role, int(_words(table)[at])) for at, role in _places(table)]
        case _:
            return []


def _rebuilt(operation: Operation, values: list[int]) -> Operation:
    match operation:
        case sm.Start(_, inner):
            again = _rebuilt(inner, values[1:])
            assert not isinstance(again, sm.Start | sm.Finish)
            return sm.Start(values[0], again)
        case sm.Finish():
            return sm.Finish(values[0])
        case sm.Disk(name, _):
            return sm.Disk(name, Sectors(values[0]))
        case sm.Write(where, _, _, _):
            return sm.Write(where, Sector(values[0]), Sectors(values[1]), values[2])
        case sm.Read() | sm.Discard() | sm.Fault():
            return replace(operation, sector=Sector(values[0]), count=Sectors(values[1]))
        case sm.Create(_, str(table)) | sm.Load(_, table):
            words = _words(table)
            for (at, _), value in zip(_places(table), values, strict=True):
                words[at] = str(value)
            return replace(operation, table="".join(words))
        case _:
            return operation


# --- table lines -------------------------------------------------------------------------------------------------


def _words(table: str) -> list[str]:
    """The words of a table and the separators between them; joined, they give the table."""
    return re.split(r"([\s;]+)", table)


def _places(table: str) -> Iterator[tuple[int, Role]]:
    """The positions in ``_words`` of the numbers that may become smaller, with their roles."""
    words, line = _words(table), list[int]()
    for at in range(0, len(words), 2):
        line.append(at)
        last = at + 1 >= len(words)
        if last or ";" in words[at + 1]:
            yield from _places_of_line(words, [one for one in line if words[one]])
            line = []


def _places_of_line(words: list[str], line: list[int]) -> Iterator[tuple[int, Role]]:
    target = words[line[2]] if len(line) > 2 else ""
    roles = {0: Role.SIZE, 1: Role.SIZE}
    roles |= {4: Role.OFFSET} if target == "linear" else {}
    roles |= {6: Role.CHUNK} if target in ("snapshot", "snapshot-merge") else {}
    for nth, role in roles.items():
        if nth < len(line) and words[line[nth]].isdecimal() and int(words[line[nth]]):
            yield line[nth], role


# --- I/O that would lie beyond a smaller end ----------------------------------------------------------------------


def fitted(old: Operations, new: Operations) -> Operations:
    """``new``, which is ``old`` with other sizes, with the I/O moved inside the disks and devices that are smaller."""
    before, after, done = dict[str, int](), dict[str, int](), list[Operation]()
    for one, other in zip(old, new, strict=True):
        _note_size(before, one)
        _note_size(after, other)
        done.append(_clipped(other, before, after))
    return tuple(done)


def _note_size(sizes: dict[str, int], operation: Operation) -> None:
    match operation:
        case sm.Disk(name, size):
            sizes[name] = size
        case sm.Create(name, str(table)) | sm.Load(name, table):
            lines = [line.split()[:2] for line in table.split(";")]
            if all(len(line) == 2 and line[0].isdecimal() and line[1].isdecimal() for line in lines):
                sizes[name] = max(int(start) + int(length) for start, length in lines)
        case _:
            pass


def _clipped(operation: Operation, before: dict[str, int], after: dict[str, int]) -> Operation:
    if isinstance(operation, sm.Start):
        return replace(operation, operation=_clipped_io(operation.operation, before, after))
    return operation if isinstance(operation, sm.Finish) else _clipped_io(operation, before, after)


def _clipped_io(operation: Plain, before: dict[str, int], after: dict[str, int]) -> Plain:
    match operation:
        case sm.Write(where) | sm.Read(where) | sm.Discard(where) | sm.Fault(where):
            end = operation.sector + operation.count
            size = after.get(where, end)
            if not size < end <= before.get(where, 0):
                return operation
            sector = (
                min(operation.sector, max(size - operation.count, 0)) if operation.sector >= size else operation.sector
            )
            return replace(operation, sector=Sector(sector), count=Sectors(min(operation.count, size - sector)))
        case _:
            return operation
