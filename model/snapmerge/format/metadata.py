"""The metadata of a persistent store as its disk has it: the header, and the records of its areas.

The areas are read as ``read_exceptions`` of dm-snap-persistent.c reads them: one after the other, to the first that is
not full.
"""

from collections.abc import Callable, Iterator
from typing import Literal

from snapmerge.format.codec import HEADER_BYTES, MAGIC, Header, decode_header, decode_records
from snapmerge.format.layout import area_location, exceptions_per_area
from snapmerge.records import dataclass
from snapmerge.units import SECTOR_BYTES, is_chunk_size

__all__ = ["Area", "Records", "areas", "read_header", "read_store"]


@dataclass(frozen=True, slots=True)
class Records:
    """A persistent store as its disk has it.

    ``kind`` is ``store`` when the magic is there, ``new`` when its four bytes are zero, else ``foreign``; the rest
    counts for a ``store`` only.  ``chunk_size`` in sectors; ``records`` are (old chunk, new chunk), in the
    order of the disk, up to the first terminator.
    """

    kind: Literal["store", "new", "foreign"]
    valid: int = 0
    version: int = 0
    chunk_size: int = 0
    records: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Area:
    """An area as it was read: where it begins on the disk, how many bytes of it there were, and its records."""

    byte: int
    size: int
    records: tuple[tuple[int, int], ...]


def read_store(read: Callable[[int, int], bytes], size: int) -> Records:
    """The store on a disk of ``size`` sectors; ``read(sector, count)`` gives the disk's bytes, fewer where it ends.

    This is the user's view (``metadata DISK``): any bytes have one, and only ``read`` can raise.  It says what the
    bytes say, right or wrong (LAYOUT-9); ``store_problems`` says what is wrong with them.  Records are followed from
    area to area while an area is full (LAYOUT-6); one that would lie beyond the end of the disk ends the list, and so
    does a chunk size that no store has.
    """
    _, header = read_header(read)
    if header.magic != MAGIC:
        return Records("foreign" if header.magic else "new")
    records: tuple[tuple[int, int], ...] = ()
    if is_chunk_size(header.chunk_size):
        records = tuple(record for area in areas(read, size, header.chunk_size) for record in area.records)
    return Records("store", header.valid, header.version, header.chunk_size, records)


def read_header(read: Callable[[int, int], bytes]) -> tuple[int, Header]:
    """How many bytes of the header the disk has, and the header that they make."""
    data = read(0, 1)[:HEADER_BYTES]
    return len(data), decode_header(data)


def areas(read: Callable[[int, int], bytes], size: int, chunk_size: int) -> Iterator[Area]:
    """The areas of a store, up to the first that is not full or lies beyond the end (LAYOUT-6)."""
    per_area = exceptions_per_area(chunk_size)
    area = 0
    while (start := area_location(area, per_area) * chunk_size) + chunk_size <= size:
        data = read(start, chunk_size)
        records = decode_records(data)
        yield Area(start * SECTOR_BYTES, len(data), records)
        if len(records) < per_area:
            return
        area += 1
