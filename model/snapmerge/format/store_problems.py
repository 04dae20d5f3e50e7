"""The mistakes in the bytes of a persistent store, each with its place and what would be right.

``read_store`` gives what the bytes say, right or wrong, as ``metadata`` shows it.  A kernel reports few of them:
it checks the magic, the chunk size and the version, and reads areas while they are full.
Source: ``read_header`` and ``read_exceptions`` in dm-snap-persistent.c.
"""

from collections.abc import Callable, Iterator

from snapmerge.format.codec import HEADER_BYTES, MAGIC, VERSION, Header
from snapmerge.format.layout import area_location, exceptions_per_area, is_metadata
from snapmerge.format.metadata import Area, areas, read_header
from snapmerge.messages import counted
from snapmerge.records import dataclass
from snapmerge.units import CHUNK_SIZE_MAX, SECTOR_BYTES, is_chunk_size

__all__ = ["StoreProblem", "store_problems"]

_RECORD_BYTES = 16


@dataclass(frozen=True, slots=True)
class StoreProblem:
    """One mistake in a store.

    ``byte`` is where on the disk the wrong field begins, ``where`` names it, ``what`` says what is wrong, and ``right``
    what would be right.  ``refused``: a kernel does not load a store with this mistake; it takes any other.
    """

    byte: int
    where: str
    what: str
    right: str
    refused: bool = False

    def __str__(self) -> str:
        return f"{self.where} (byte {self.byte}): {self.what}; {self.right}"


def store_problems(read: Callable[[int, int], bytes], size: int) -> Iterator[StoreProblem]:
    """The mistakes in a store on a disk of ``size`` sectors (LAYOUT-8), in the order of the disk.

    ``read`` is as in ``read_store``.

    A disk whose magic is zero has none: a store will be made there, whatever follows.
    """
    found, header = read_header(read)
    if found < HEADER_BYTES:
        what = f"the disk ends after {found} of the header's {HEADER_BYTES} bytes"
        yield StoreProblem(0, "header", what, "a store has at least two chunks", refused=True)
    elif header.magic == MAGIC:
        yield from _header_problems(header)
        if is_chunk_size(header.chunk_size):
            yield from _area_problems(read, size, header)
    elif header.magic != 0:
        what = f"the magic is {header.magic:#010x}"
        right = f"a store begins with {MAGIC:#010x} (SnAp), and 0 stands for one that is yet to be made"
        yield StoreProblem(0, "header, magic", what, right, refused=True)


def _header_problems(header: Header) -> Iterator[StoreProblem]:
    if header.valid > 1:
        what = f"valid is {header.valid}"
        yield StoreProblem(4, "header, valid", what, "it is 1 or 0; a kernel takes any other number for 1")
    if header.version != VERSION:
        what = f"the version is {header.version}"
        yield StoreProblem(8, "header, version", what, f"it is {VERSION}", refused=True)
    if not is_chunk_size(header.chunk_size):
        what = f"the chunk size is {counted(header.chunk_size, 'sector')}"
        right = f"it is a power of two from 1 to {CHUNK_SIZE_MAX}"
        yield StoreProblem(12, "header, chunk size", what, right, refused=True)


def _area_problems(read: Callable[[int, int], bytes], size: int, header: Header) -> Iterator[StoreProblem]:
    per_area, chunk_bytes = exceptions_per_area(header.chunk_size), header.chunk_size * SECTOR_BYTES
    records = _Records(per_area, size // header.chunk_size)
    area, full = 0, True
    for area, one in enumerate(areas(read, size, header.chunk_size), 1):
        yield from records.problems(area - 1, one)
        full = len(one.records) == per_area
        if one.size < chunk_bytes:
            what = f"it ends after {one.size} of {chunk_bytes} bytes"
            right = "an area is a whole chunk"
            yield StoreProblem(one.byte + one.size, f"area {area - 1}", what, right, refused=header.valid != 0)
            return
    if full:
        chunk = area_location(area, per_area)
        what = f"it would be chunk {chunk}, and the disk ends after chunk {size // header.chunk_size - 1}"
        right = "the first area is there, and one after each full area" if area else "the first area is there"
        yield StoreProblem(chunk * chunk_bytes, f"area {area}", what, right, refused=header.valid != 0)


class _Records:
    """Looks at the records one after another; ``chunks`` is how many whole chunks the disk has."""

    def __init__(self, per_area: int, chunks: int) -> None:
        self._per_area, self._chunks = per_area, chunks
        self._old: dict[int, str] = {}
        self._new: dict[int, str] = {}

    def problems(self, area: int, found: Area) -> Iterator[StoreProblem]:
        """What is wrong with the records of an area, also beside those of the areas before it."""
        for index, (old, new) in enumerate(found.records):
            where, byte = f"area {area}, record {index}", found.byte + _RECORD_BYTES * index
            if (before := self._old.setdefault(old, where)) != where:
                what = f"old chunk {old} has an exception already, {before}"
                yield StoreProblem(byte, where, what, "a chunk of the origin has one")
            if (problem := self._new_problem(new, where)) is not None:
                yield StoreProblem(byte + 8, where, *problem)

    def _new_problem(self, new: int, where: str) -> tuple[str, str] | None:
        """What is wrong with a new chunk, and what would be right."""
        if is_metadata(new, self._per_area):
            return f"new chunk {new} is area {(new - 1) // (self._per_area + 1)}'s", "data are in no metadata chunk"
        if new >= self._chunks:
            return f"new chunk {new} is beyond the end of the disk", f"its last chunk is {self._chunks - 1}"
        if (before := self._new.setdefault(new, where)) != where:
            return f"new chunk {new} is taken already, {before}", "each exception has a chunk of its own"
        return None
