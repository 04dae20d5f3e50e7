"""The arithmetic of the persistent exception store: the use of each chunk, and the order in which chunks are allocated.

A store fills its COW device so (E exceptions an area, an area every ``stride`` = E + 1 chunks)::

    chunk 0      1        2 .. E+1      E+2      E+3 .. 2E+2    2E+3 ...
          header area 0   data          area 1   data           area 2

Source: ``area_location``, ``skip_metadata`` and ``persistent_prepare_exception``.
"""

from snapmerge.units import Chunk

__all__ = [
    "FIRST_DATA_CHUNK",
    "area_location",
    "exceptions_per_area",
    "free_after",
    "is_metadata",
    "merge_run",
    "new_chunk",
    "skip_metadata",
]

FIRST_DATA_CHUNK = Chunk(2)


def exceptions_per_area(chunk_size: int) -> int:
    """How many records of 16 bytes fit a chunk of ``chunk_size`` sectors (LAYOUT-2).

    pre: chunk_size > 0
    post: __return__ * 16 == chunk_size * 512
    """
    return 32 * chunk_size


def area_location(area: int, per_area: int) -> Chunk:
    """The chunk that holds metadata area ``area`` (LAYOUT-1).

    pre: area >= 0 and per_area > 0
    post: is_metadata(__return__, per_area) and __return__ > 0
    """
    return Chunk(1 + area * (per_area + 1))


def is_metadata(chunk: int, per_area: int) -> bool:
    """Whether a chunk of the COW device is the header or an area (LAYOUT-1).

    pre: chunk >= 0 and per_area > 0
    post: __return__ == (chunk == 0 or chunk == area_location((chunk - 1) // (per_area + 1), per_area))
    """
    return chunk == 0 or chunk % (per_area + 1) == 1


def skip_metadata(next_free: int, per_area: int) -> Chunk:
    """The first chunk from ``next_free`` on that can hold data.

    pre: next_free >= 2 and per_area > 0
    post: not is_metadata(__return__, per_area)
    post: next_free <= __return__ <= next_free + 1
    """
    return Chunk(next_free + 1 if is_metadata(next_free, per_area) else next_free)


def new_chunk(k: int, per_area: int) -> Chunk:
    """The chunk of the k-th allocation from a new store, counting from 0: the closed form (LAYOUT-3).

    pre: k >= 0 and per_area > 0
    post: not is_metadata(__return__, per_area)
    post: skip_metadata(__return__ + 1, per_area) == 2 + (k + 1) + (k + 1) // per_area
    """
    return Chunk(2 + k + k // per_area)


def free_after(count: int, per_area: int) -> Chunk:
    """``next_free`` of a store without holes that holds ``count`` exceptions.

    pre: count >= 0 and per_area > 0
    post: __return__ == new_chunk(count, per_area)
    """
    return skip_metadata(FIRST_DATA_CHUNK + count + max(count - 1, 0) // per_area, per_area)


def merge_run(records: tuple[tuple[int, int], ...]) -> int:
    """How many of the last records merge in one go: old and new both descend by 1 from the end backwards (LAYOUT-7).

    pre: len(records) > 0
    post: 1 <= __return__ <= len(records)
    post: all(records[-1 - i] == (records[-1][0] - i, records[-1][1] - i) for i in range(__return__))
    """
    old, new = records[-1]
    length = 1
    while length < len(records) and records[-1 - length] == (old - length, new - length):
        length += 1
    return length
