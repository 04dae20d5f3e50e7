"""The units of the model, as types, and every cast between them.

Three number spaces meet in a snapshot: sectors of a device, chunks of the origin ("old") and chunks of the
COW device ("new").  They are all integers; mixing them up is the classic defect of this field (the first
proposal of ``snapshot-merge`` compared a new chunk with the number of old chunks).  So they are distinct
types here, and casting happens in this file only.
"""

from typing import Final, NewType

__all__ = [
    "CHUNK_SIZE_MAX",
    "SECTOR_BYTES",
    "Chunk",
    "Sector",
    "Sectors",
    "chunk_count",
    "chunk_of",
    "chunk_start",
    "is_chunk_size",
    "offset_in_chunk",
    "room_in_chunk",
]

SECTOR_BYTES: Final = 512

CHUNK_SIZE_MAX: Final = 1 << 21
"""Sectors of the largest chunk, 1 GiB: the largest power of two within the kernel's limit, ``INT_MAX >> 9``."""

Sector = NewType("Sector", int)
"""A position on a device, in sectors of 512 bytes from its start."""

Sectors = NewType("Sectors", int)
"""A length in sectors of 512 bytes."""

Chunk = NewType("Chunk", int)
"""An index of a chunk, on the origin ("old") or on the COW device ("new")."""


def chunk_of(sector: int, chunk_size: int) -> Chunk:
    """The chunk that holds ``sector`` (UNIT-2).  Source: ``sector_to_chunk``.

    pre: sector >= 0 and chunk_size > 0
    post: __return__ * chunk_size <= sector < (__return__ + 1) * chunk_size
    """
    return Chunk(sector // chunk_size)


def chunk_start(chunk: int, chunk_size: int) -> Sector:
    """The first sector of ``chunk`` (UNIT-2).  Source: ``chunk_to_sector``.

    pre: chunk >= 0 and chunk_size > 0
    post: __return__ // chunk_size == chunk
    """
    return Sector(chunk * chunk_size)


def offset_in_chunk(sector: int, chunk_size: int) -> Sectors:
    """The distance in sectors from the start of its chunk to ``sector`` (UNIT-2).

    pre: sector >= 0 and chunk_size > 0
    post: 0 <= __return__ < chunk_size
    """
    return Sectors(sector % chunk_size)


def room_in_chunk(sector: int, chunk_size: int) -> Sectors:
    """How many sectors there are from ``sector`` to the end of its chunk.

    pre: sector >= 0 and chunk_size > 0
    post: 1 <= __return__ <= chunk_size
    post: (sector + __return__) % chunk_size == 0
    """
    return Sectors(chunk_size - sector % chunk_size)


def chunk_count(length: int, chunk_size: int) -> int:
    """How many chunks cover ``length`` sectors; a partial chunk at the end counts (UNIT-3).

    pre: length >= 0 and chunk_size > 0
    post: (__return__ - 1) * chunk_size < length <= __return__ * chunk_size
    """
    return -(-length // chunk_size)


def is_chunk_size(size: int) -> bool:
    """Whether chunks may have ``size`` sectors, on devices with blocks of 512 bytes (UNIT-1).

    post: not __return__ or (size > 0 and size * 512 < 2**31 and bin(size).count("1") == 1)
    """
    return 0 < size <= CHUNK_SIZE_MAX and size & (size - 1) == 0
