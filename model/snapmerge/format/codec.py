"""The persistent exception store's bytes: header and area, both ways.

Everything is little-endian.  The unit of metadata I/O is one chunk.  Source: ``struct disk_header``,
``struct disk_exception`` and ``read_header`` in dm-snap-persistent.c.
"""

import struct
from dataclasses import dataclass
from typing import Final

from snapmerge.units import SECTOR_BYTES

__all__ = [
    "HEADER_BYTES",
    "MAGIC",
    "VERSION",
    "Header",
    "decode_header",
    "decode_records",
    "encode_header",
    "encode_records",
    "ends",
]

MAGIC: Final = 0x70416E53
VERSION: Final = 1
_HEADER: Final = struct.Struct("<IIII")
_RECORD: Final = struct.Struct("<QQ")
HEADER_BYTES: Final = _HEADER.size


@dataclass(frozen=True, slots=True)
class Header:
    """The first 16 bytes of a store; ``chunk_size`` in sectors."""

    magic: int
    valid: int
    version: int
    chunk_size: int


def decode_header(data: bytes) -> Header:
    """The header at the start of ``data`` (LAYOUT-4); of fewer than 16 bytes, as if zeroes followed (LAYOUT-9).

    post: encode_header(__return__, 1)[:16] == data[:16].ljust(16, bytes(1))
    """
    return Header(*_HEADER.unpack_from(data[:HEADER_BYTES].ljust(HEADER_BYTES, b"\0")))


def encode_header(header: Header, chunk_size: int) -> bytes:
    """The bytes of chunk 0: the header, then zeroes to the end of the chunk of ``chunk_size`` sectors (LAYOUT-4).

    pre: 1 <= chunk_size <= 4
    pre: all(0 <= x < 2**32 for x in (header.magic, header.valid, header.version, header.chunk_size))
    post: len(__return__) == chunk_size * 512 and decode_header(__return__) == header
    """
    packed = _HEADER.pack(header.magic, header.valid, header.version, header.chunk_size)
    return packed.ljust(chunk_size * SECTOR_BYTES, b"\0")


def decode_records(data: bytes) -> tuple[tuple[int, int], ...]:
    """The records of an area, (old, new), up to the terminator, which is a record with new == 0 (LAYOUT-5).

    The area may be cut off anywhere; a part of a record is none (LAYOUT-9).

    post: all(new != 0 for _, new in __return__)
    """
    records = []
    for old, new in _RECORD.iter_unpack(data[: len(data) // _RECORD.size * _RECORD.size]):
        if new == 0:
            break
        records.append((old, new))
    return tuple(records)


def ends(data: bytes | bytearray) -> bool:
    """Whether these first bytes of an area contain the end of its records."""
    return len(decode_records(bytes(data))) < len(data) // _RECORD.size


def encode_records(records: tuple[tuple[int, int], ...], chunk_size: int) -> bytes:
    """The bytes of an area of ``chunk_size`` sectors: the records, then zeroes.

    pre: 1 <= chunk_size <= 2 and len(records) <= 32 * chunk_size
    pre: all(0 <= old < 2**64 and 0 < new < 2**64 for old, new in records)
    post: len(__return__) == chunk_size * 512 and decode_records(__return__) == records
    """
    packed = b"".join(_RECORD.pack(old, new) for old, new in records)
    return packed.ljust(chunk_size * SECTOR_BYTES, b"\0")
