"""The persistent exception store's bytes: header and area, both ways.

Everything is little-endian.  The unit of metadata I/O is one chunk.  Source: ``struct disk_header``,
``struct disk_exception`` and ``read_header`` in dm-snap-persistent.c.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ._layout import area_location, exceptions_per_area
from ._outcomes import Records
from ._units import SECTOR_BYTES

__all__ = [
    "MAGIC",
    "VERSION",
    "Header",
    "decode_header",
    "decode_records",
    "encode_header",
    "encode_records",
    "read_store",
]

MAGIC: Final = 0x70416E53
VERSION: Final = 1
_HEADER: Final = struct.Struct("<IIII")
_RECORD: Final = struct.Struct("<QQ")
_CHUNK_SIZE_LIMIT: Final = 1 << 21


@dataclass(frozen=True, slots=True)
class Header:
    """The first 16 bytes of a store; ``chunk_size`` in sectors."""

    magic: int
    valid: int
    version: int
    chunk_size: int


def decode_header(data: bytes) -> Header:
    """The header at the start of ``data``.

    pre: len(data) >= 16
    post: encode_header(__return__, 1)[:16] == data[:16]
    """
    return Header(*_HEADER.unpack_from(data))


def encode_header(header: Header, chunk_size: int) -> bytes:
    """The bytes of chunk 0: the header, then zeroes to the end of the chunk of ``chunk_size`` sectors.

    pre: 1 <= chunk_size <= 4
    pre: all(0 <= x < 2**32 for x in (header.magic, header.valid, header.version, header.chunk_size))
    post: len(__return__) == chunk_size * 512 and decode_header(__return__) == header
    """
    packed = _HEADER.pack(header.magic, header.valid, header.version, header.chunk_size)
    return packed.ljust(chunk_size * SECTOR_BYTES, b"\0")


def decode_records(data: bytes) -> tuple[tuple[int, int], ...]:
    """The records of an area, (old, new), up to the terminator, which is a record with new == 0.

    pre: len(data) % 16 == 0
    post: all(new != 0 for _, new in __return__)
    """
    records = []
    for old, new in _RECORD.iter_unpack(data):
        if new == 0:
            break
        records.append((old, new))
    return tuple(records)


def encode_records(records: tuple[tuple[int, int], ...], chunk_size: int) -> bytes:
    """The bytes of an area of ``chunk_size`` sectors: the records, then zeroes.

    pre: 1 <= chunk_size <= 2 and len(records) <= 32 * chunk_size
    pre: all(0 <= old < 2**64 and 0 < new < 2**64 for old, new in records)
    post: len(__return__) == chunk_size * 512 and decode_records(__return__) == records
    """
    packed = b"".join(_RECORD.pack(old, new) for old, new in records)
    return packed.ljust(chunk_size * SECTOR_BYTES, b"\0")


def read_store(read: Callable[[int, int], bytes], size: int) -> Records:
    """The store on a disk of ``size`` sectors; ``read(sector, count)`` gives the disk's bytes.

    This is the user's view (``metadata DISK``): it never fails.  Records are followed from area to area while an area
    is full; one that would lie beyond the end of the disk ends the list, and so does a chunk size that no store has.
    """
    header = decode_header(read(0, 1))
    if header.magic != MAGIC:
        return Records("foreign" if header.magic else "new")
    records: tuple[tuple[int, int], ...] = ()
    chunk_size = header.chunk_size
    if 0 < chunk_size <= _CHUNK_SIZE_LIMIT and chunk_size & (chunk_size - 1) == 0:
        records = _read_areas(read, size, chunk_size)
    return Records("store", header.valid, header.version, chunk_size, records)


def _read_areas(read: Callable[[int, int], bytes], size: int, chunk_size: int) -> tuple[tuple[int, int], ...]:
    per_area = exceptions_per_area(chunk_size)
    records: list[tuple[int, int]] = []
    area = 0
    while (start := area_location(area, per_area) * chunk_size) + chunk_size <= size:
        found = decode_records(read(start, chunk_size))
        records.extend(found)
        if len(found) < per_area:
            break
        area += 1
    return tuple(records)
