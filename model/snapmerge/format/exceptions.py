"""The completed exceptions of a snapshot: which chunks of the origin live on the COW device, and where.

Like the kernel's table, this one keeps a range of chunks that are consecutive on both devices as one entry, in
blocks of 256 old chunks.  Users can observe that: a merge can take a chunk only from an end of its range (EXC-4).

Source: ``dm_lookup_exception``, ``dm_insert_exception``, ``__remove_single_exception_chunk``.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final, NamedTuple

from immutables import Map

from snapmerge.units import Chunk

__all__ = ["NO_EXCEPTIONS", "Exceptions", "Range", "insert", "lookup", "pairs", "remove"]

_BLOCK_BITS: Final = 8


class Range(NamedTuple):
    """Old chunks ``old`` .. ``old + more`` live in new chunks ``new`` .. ``new + more``."""

    old: int
    new: int
    more: int


class _Overlapping(tuple[Range, ...]):
    """A block that holds some chunk twice, as only a damaged store has it: the kernel takes the first that it meets."""

    __slots__ = ()


Exceptions = Map[int, tuple[Range, ...]]
NO_EXCEPTIONS: Final[Exceptions] = Map()


def lookup(table: Exceptions, chunk: int) -> Chunk | None:
    """Where ``chunk`` of the origin lives on the COW device, alone or in a range (EXC-3); None: it has no exception."""
    ranges = table.get(chunk >> _BLOCK_BITS, ())
    at = _holder(ranges, chunk)
    return None if at is None else Chunk(ranges[at].new + chunk - ranges[at].old)


def _holder(ranges: tuple[Range, ...], chunk: int) -> int | None:
    """Which range holds the chunk."""
    if isinstance(ranges, _Overlapping):
        return next((at for at, (old, _, more) in enumerate(ranges) if old <= chunk <= old + more), None)
    at = _before(ranges, chunk)
    return at if at >= 0 and chunk <= ranges[at].old + ranges[at].more else None


def _before(ranges: tuple[Range, ...], chunk: int) -> int:
    """Which range is the last that begins at or before the chunk, in a block without overlaps; -1: none."""
    return bisect_left(ranges, (chunk + 1,)) - 1


def insert(table: Exceptions, old: int, new: int) -> Exceptions:
    """The table with one more exception, which joins the range before or after it if both chunks adjoin it (EXC-4).

    Two ranges that become adjacent by that stay two (EXC-7).
    """
    block = old >> _BLOCK_BITS
    ranges = table.get(block, ())
    if isinstance(ranges, _Overlapping) or _holder(ranges, old) is not None:
        return table.set(block, _Overlapping(_inserted(ranges, old, new, 0)))
    return table.set(block, _inserted(ranges, old, new, max(_before(ranges, old), 0)))


def _inserted(ranges: tuple[Range, ...], old: int, new: int, first: int) -> tuple[Range, ...]:
    """The ranges with one exception more; those before ``first`` are not next to it."""
    for at in range(first, len(ranges)):
        there = ranges[at]
        if old == there.old + there.more + 1 and new == there.new + there.more + 1:
            return (*ranges[:at], Range(there.old, there.new, there.more + 1), *ranges[at + 1 :])
        if old == there.old - 1 and new == there.new - 1:
            return (*ranges[:at], Range(old, new, there.more + 1), *ranges[at + 1 :])
        if there.old > old:
            return (*ranges[:at], Range(old, new, 0), *ranges[at:])
    return (*ranges, Range(old, new, 0))


def remove(table: Exceptions, chunk: int) -> Exceptions | str:
    """The table without ``chunk``, which must be an end of its range (EXC-4); else the kernel's complaint."""
    block = chunk >> _BLOCK_BITS
    ranges = table.get(block, ())
    at = _holder(ranges, chunk)
    if at is None:
        return f"Corruption detected: exception for block {chunk} is on disk but not in memory"
    rest = _shortened(ranges[at], chunk)
    if isinstance(rest, str):
        return rest
    left = type(ranges)((*ranges[:at], *rest, *ranges[at + 1 :]))
    return table.set(block, left) if left else table.delete(block)


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
