"""Outcomes that no world can give, whatever the schedule and whatever a power cut leaves (ORACLE-12).

The problem.  A search must try every schedule before it may say that none gives an outcome, and often runs out of its
budget.  Many wrong outcomes need no search: nobody ever wrote that tag, or no table of that device was that long.

``impossible`` looks only at the operations since the last ``reset``, not at their outcomes or their order.  So it holds
for every world that they can lead to, and only says yes where each of them is excluded:

*   I/O fails with EIO, EBUSY or, if it is a discard, EOPNOTSUPP, a question about a device with ENXIO, and a look at a
    store with EIO: the model has no other error for them.
*   A sector that reads as a tag holds zeroes, or was written with that tag.  Nothing makes tags: copies keep contents,
    and a record has zero bytes in it, which no tag but 0 has everywhere.
*   A status or table line is that of no table, or of a table that was given to a device of that name: as many targets,
    with the same starts, lengths and types.  The first argument of a table line is the device below.  The size in a
    status of a snapshot is one that the COW device has had.
*   A store that only persistent snapshots of one chunk size have written has version 1, that chunk size, and the k-th
    record in the k-th chunk for data, as chunks are allocated and recorded in one order.  No old chunk lies beyond the
    tables.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from snapmerge.errors import OperationError
from snapmerge.format.layout import exceptions_per_area, new_chunk
from snapmerge.machine.core.table_line import TableLine, parse_table
from snapmerge.trace import operations as op
from snapmerge.trace.outcomes import Data, Failed, Line, Outcome, Records
from snapmerge.trace.payload import tags_from

__all__ = ["impossible"]


def impossible(history: Sequence[op.Operation], operation: op.Plain | op.Start, outcome: Outcome) -> bool:
    """Whether no world in which these operations were done can give this outcome of another one (ORACLE-12)."""
    before = [op.inner(one) for one in history]
    match operation, outcome:
        case _, Failed(errno):
            return errno not in _ERRORS.get(type(operation), (errno,))
        case op.Read(), Data(sectors):
            written = [one for one in before if isinstance(one, op.Write)]
            return any(isinstance(tag, int) and tag and not _is_written(tag, written) for tag in set(sectors))
        case op.Status(device), Line(text):
            return not any(_is_status(text, table, before) for table in _tables(before, device))
        case op.Table(device), Line(text):
            return not any(_is_table(text, table) for table in _tables(before, device))
        case op.Metadata(disk), Records(kind="store") as store:
            return not _is_store(store, disk, before)
        case _:
            return False


_IO = ("EIO", "EBUSY")

_ERRORS: Final[Mapping[type[op.Plain | op.Start], tuple[str, ...]]] = {
    op.Read: _IO,
    op.Write: _IO,
    op.Flush: _IO,
    op.Discard: (*_IO, "EOPNOTSUPP"),
    op.Status: ("ENXIO",),
    op.Table: ("ENXIO",),
    op.Events: ("ENXIO",),
    op.Settle: ("ENXIO",),
    op.Metadata: ("EIO",),
}
"""All errors of I/O and of questions.  I/O is refused with EBUSY only where a target claims its devices."""


def _is_written(tag: int, writes: list[op.Write]) -> bool:
    return any(tag in tags_from(write.tag, write.count) for write in writes)


# --- lines -------------------------------------------------------------------------------------------------------

_USAGE = re.compile(r"\d+/(\d+) \d+")


def _tables(before: Sequence[op.Plain | op.Finish], device: str | None) -> Iterator[tuple[TableLine, ...]]:
    """No table, and all that were given to devices of this name; None: to any device."""
    yield ()
    for one in before:
        if isinstance(one, op.Create | op.Load) and one.table is not None and device in (None, one.device):
            try:
                yield parse_table(one.table)
            except OperationError:
                continue


def _lines(text: str, table: tuple[TableLine, ...]) -> list[tuple[TableLine, str]] | None:
    """Each target of the table with its arguments in the text; None: the text is not of this table."""
    shown = text.split("; ") if text else []
    heads = [f"{line.start} {line.length} {line.target}" for line in table]
    if len(shown) != len(table) or not all(f"{one} ".startswith(f"{h} ") for one, h in zip(shown, heads, strict=True)):
        return None
    return [(line, one[len(h) + 1 :]) for line, one, h in zip(table, shown, heads, strict=True)]


def _is_status(text: str, table: tuple[TableLine, ...], before: Sequence[op.Plain | op.Finish]) -> bool:
    lines = _lines(text, table)
    return lines is not None and all(_is_usage(words, line, before) for line, words in lines)


def _is_usage(words: str, line: TableLine, before: Sequence[op.Plain | op.Finish]) -> bool:
    usage = _USAGE.fullmatch(words)
    if usage is None or len(line.args) < 2:
        return True
    sizes = _sizes(before, line.args[1])
    return not sizes or int(usage[1]) in sizes


def _sizes(before: Sequence[op.Plain | op.Finish], name: str) -> set[int]:
    """The sizes that a disk or device of this name can have had."""
    disks = {int(one.size) for one in before if isinstance(one, op.Disk) and one.name == name}
    return disks | {sum(line.length for line in table) for table in _tables(before, name)}


def _is_table(text: str, table: tuple[TableLine, ...]) -> bool:
    lines = _lines(text, table)
    return lines is not None and all(line.args[:1] == tuple(words.split()[:1]) for line, words in lines)


# --- stores ------------------------------------------------------------------------------------------------------


def _is_store(store: Records, disk: str, before: Sequence[op.Plain | op.Finish]) -> bool:
    """Whether this can be the store on a disk; also where others than persistent snapshots may have written to it."""
    lines = [line for table in _tables(before, None) for line in table]
    using = [line for line in lines if disk in line.args]
    kinds = {(line.target in _SNAPSHOTS, line.args[1:2], line.args[2:4]) for line in using}
    direct = any(isinstance(one, op.Write | op.Discard) and one.where == disk for one in before)
    size = int(next(iter(kinds))[2][-1]) if len(kinds) == 1 and _is_persistent(using[0], disk) else 0
    if direct or not size:
        return True
    per_area = exceptions_per_area(size)
    chunks = max(-(-(line.start + line.length) // size) for line in using)
    return (store.version, store.chunk_size) == (1, size) and all(
        old < chunks and new == new_chunk(k, per_area) for k, (old, new) in enumerate(store.records)
    )


def _is_persistent(line: TableLine, disk: str) -> bool:
    """Whether this is a target with a persistent store on the disk, and its chunk size is a number."""
    own = line.target in _SNAPSHOTS and line.args[1:2] == (disk,) and line.args[2:3] in (("P",), ("PO",))
    return own and line.args[0] != disk and len(line.args) > 3 and line.args[3].isdecimal()


_SNAPSHOTS = ("snapshot", "snapshot-merge")
