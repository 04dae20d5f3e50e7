"""The completed exceptions of a snapshot: which chunks of the origin live on the COW device, and where.

Like the kernel's table this one keeps ranges of chunks that are consecutive on both devices as one entry, in
blocks of 256 old chunks.  That is more than thrift: while merging, a chunk can be taken only from the end of its range
(EXC-4).  Source: ``dm_lookup_exception``, ``dm_insert_exception``, ``__remove_single_exception_chunk``.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from immutables import Map

from ._units import Chunk

__all__ = ["NO_EXCEPTIONS", "Exceptions", "Range", "insert", "lookup", "pairs", "remove"]

_BLOCK_BITS: Final = 8


class Range(NamedTuple):
    """Old chunks ``old`` .. ``old + more`` live in new chunks ``new`` .. ``new + more``."""

    old: int
    new: int
    more: int


Exceptions = Map[int, tuple[Range, ...]]
NO_EXCEPTIONS: Final[Exceptions] = Map()


def lookup(table: Exceptions, chunk: int) -> Chunk | None:
    """Where ``chunk`` of the origin lives on the COW device; None: it has no exception."""
    for old, new, more in table.get(chunk >> _BLOCK_BITS, ()):
        if old <= chunk <= old + more:
            return Chunk(new + chunk - old)
    return None


def insert(table: Exceptions, old: int, new: int) -> Exceptions:
    """The table with one exception more; it joins the range before or after it when both chunks are next to it."""
    block = old >> _BLOCK_BITS
    ranges = table.get(block, ())
    return table.set(block, _inserted(ranges, old, new))


def _inserted(ranges: tuple[Range, ...], old: int, new: int) -> tuple[Range, ...]:
    for at, there in enumerate(ranges):
        if old == there.old + there.more + 1 and new == there.new + there.more + 1:
            return (*ranges[:at], Range(there.old, there.new, there.more + 1), *ranges[at + 1 :])
        if old == there.old - 1 and new == there.new - 1:
            return (*ranges[:at], Range(old, new, there.more + 1), *ranges[at + 1 :])
        if there.old > old:
            return (*ranges[:at], Range(old, new, 0), *ranges[at:])
    return (*ranges, Range(old, new, 0))


def remove(table: Exceptions, chunk: int) -> Exceptions | str:
    """The table without ``chunk``, which must be the first or the last of its range; else the kernel's complaint."""
    block = chunk >> _BLOCK_BITS
    ranges = table.get(block, ())
    for at, there in enumerate(ranges):
        if there.old <= chunk <= there.old + there.more:
            rest = _shortened(there, chunk)
            if isinstance(rest, str):
                return rest
            left = (*ranges[:at], *rest, *ranges[at + 1 :])
            return table.set(block, left) if left else table.delete(block)
    return f"Corruption detected: exception for block {chunk} is on disk but not in memory"


def _shortened(there: Range, chunk: int) -> tuple[Range, ...] | str:
    old, new, more = there
    if more == 0:
        return ()
    if chunk == old:
        return (Range(old + 1, new + 1, more - 1),)
    if chunk == old + more:
        return (Range(old, new, more - 1),)
    return f"Attempt to merge block {chunk} from the middle of a chunk range [{old} - {old + more}]"


def pairs(table: Exceptions) -> Iterator[tuple[Chunk, Chunk]]:
    """Every exception as (old, new), ascending by old."""
    for block in sorted(table):
        for old, new, more in table[block]:
            yield from ((Chunk(old + k), Chunk(new + k)) for k in range(more + 1))
