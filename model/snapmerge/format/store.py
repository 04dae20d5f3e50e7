"""Exception stores as values: what the kernel keeps in memory of a store, and its pure steps.

The machine asks for the I/O that a step needs; this file computes what changes in memory.

Source: dm-snap-persistent.c and dm-snap-transient.c.
"""

import struct
from typing import Final

from snapmerge.format.codec import MAGIC, VERSION, Header
from snapmerge.format.layout import FIRST_DATA_CHUNK, area_location, exceptions_per_area, merge_run, skip_metadata
from snapmerge.records import dataclass, replace
from snapmerge.units import SECTOR_BYTES, Chunk

__all__ = ["DEFAULT_CHUNK_SIZE", "Persistent", "Run", "Store", "Transient"]

DEFAULT_CHUNK_SIZE: Final = 32
"""Sectors a chunk of a new persistent store whose table line says 0 (``DM_CHUNK_SIZE_DEFAULT_SECTORS``)."""

_RECORD: Final = struct.Struct("<QQ")


@dataclass(frozen=True, slots=True)
class Run:
    """Chunks that merge together: old chunks ``old`` .. ``old + count - 1``, from new chunks ``new`` on."""

    old: Chunk
    new: Chunk
    count: int

    def __contains__(self, chunk: int) -> bool:
        return self.old <= chunk < self.old + self.count


@dataclass(frozen=True, slots=True)
class Transient:
    """A store without metadata: exceptions live in memory only (STORE-21).  ``next_free`` counts sectors."""

    chunk_size: int
    overflow: bool = False
    next_free: int = 0

    @property
    def letters(self) -> str:
        """The store's letters in the table line."""
        return "N"

    def usage(self, total: int) -> tuple[int, int, int]:
        """Sectors allocated, in all, and of metadata.  Source: ``transient_usage``."""
        return self.next_free, total, 0

    def prepare(self, total: int) -> "tuple[Transient, Chunk] | None":
        """Allocates a chunk of a COW device of ``total`` sectors; None: no space.  ``transient_prepare_exception``."""
        if total < self.next_free + self.chunk_size:
            return None
        new = Chunk(self.next_free // self.chunk_size)
        return replace(self, next_free=self.next_free + self.chunk_size), new


@dataclass(frozen=True, slots=True)
class Persistent:
    """A store with metadata on the COW device.

    ``image`` are the bytes of the current area as they are in memory, ``committed`` how many of its records count
    (stale ones may follow them); ``prepared`` counts exceptions that have a chunk but no record yet.
    """

    chunk_size: int
    overflow: bool = False
    supplied: bool = True
    valid: bool = True
    next_free: int = FIRST_DATA_CHUNK
    area: int = 0
    committed: int = 0
    prepared: int = 0
    image: bytes = b""

    @property
    def letters(self) -> str:
        """The store's letters in the table line."""
        return "PO" if self.overflow else "P"

    @property
    def per_area(self) -> int:
        """How many exceptions an area holds."""
        return exceptions_per_area(self.chunk_size)

    @property
    def area_sector(self) -> int:
        """Where the current area begins on the COW device."""
        return area_location(self.area, self.per_area) * self.chunk_size

    @property
    def full(self) -> bool:
        """Whether the current area has no room for another record."""
        return self.committed == self.per_area

    @property
    def header(self) -> Header:
        """The header to be written to disk."""
        return Header(MAGIC, int(self.valid), VERSION, self.chunk_size)

    def usage(self, total: int) -> tuple[int, int, int]:
        """Sectors allocated, in all, and of metadata (STORE-20, STORE-2).  Source: ``persistent_usage``."""
        return self.next_free * self.chunk_size, total, (self.area + 2) * self.chunk_size

    def prepare(self, total: int) -> "tuple[Persistent, Chunk] | None":
        """Allocates a chunk of a COW device of ``total`` sectors, never one of metadata (STORE-17); None: no space.

        Source: ``persistent_prepare_exception``.
        """
        if total < (self.next_free + 1) * self.chunk_size:
            return None
        free = skip_metadata(self.next_free + 1, self.per_area)
        return replace(self, next_free=free, prepared=self.prepared + 1), Chunk(self.next_free)

    def record(self, old: int, new: int) -> "Persistent":
        """Enters a record into the area in memory.  Source: ``persistent_commit_exception``, first half."""
        image = self._with(self.committed, 1, _RECORD.pack(old, new))
        return replace(self, image=image, committed=self.committed + 1, prepared=self.prepared - 1)

    def advance(self) -> "Persistent":
        """Makes the next area the current one when this one is full."""
        if not self.full:
            return self
        return replace(self, area=self.area + 1, committed=0, image=self.zeroes)

    @property
    def zeroes(self) -> bytes:
        """An area without records."""
        return bytes(self.chunk_size * SECTOR_BYTES)

    def blank(self) -> "Persistent":
        """A new store, in memory."""
        return replace(self, image=self.zeroes)

    def load(self, image: bytes, records: tuple[tuple[int, int], ...]) -> "Persistent":
        """Takes in the area that was read, which is kept for the next commit (STORE-16), with its records.

        Allocation continues after the highest new chunk (STORE-15).  Source: ``insert_exceptions``.
        """
        highest = max((new for _, new in records), default=0)
        return replace(self, image=image, committed=len(records), next_free=max(self.next_free, highest + 1))

    def loaded(self) -> "Persistent":
        """After the last area: allocation never continues in a metadata chunk (STORE-15, CVE-2013-4299)."""
        return replace(self, next_free=skip_metadata(self.next_free, self.per_area))

    def back(self) -> "Persistent":
        """Makes the previous area the current one, all of whose records count; its image is still to be read."""
        return replace(self, area=self.area - 1, committed=self.per_area)

    def last_run(self) -> Run:
        """The longest run of consecutive chunks at the end of the area's records (MERGE-15).

        Source: ``persistent_prepare_merge``.
        """
        records = tuple(_RECORD.iter_unpack(self.image[: self.committed * 16]))
        count = merge_run(records)
        old, new = records[-1]
        return Run(Chunk(old - count + 1), Chunk(new - count + 1), count)

    def cleared(self, count: int) -> bytes:
        """The area's image without its last ``count`` records.  Source: ``clear_exception``."""
        return self._with(self.committed - count, count, bytes(16 * count))

    def merged(self, count: int) -> "Persistent":
        """After the last ``count`` records were cleared on disk: their chunks are allocated no more (STORE-2, MERGE-8).

        Source: ``persistent_commit_merge``.
        """
        committed = self.committed - count
        free = area_location(self.area, self.per_area) + committed + 1
        return replace(self, image=self.cleared(count), committed=committed, next_free=free)

    def _with(self, at: int, count: int, records: bytes) -> bytes:
        return self.image[: 16 * at] + records + self.image[16 * (at + count) :]


Store = Persistent | Transient
