"""A disk with a volatile cache: for each sector its durable content, and the contents written since.

A sector is atomic; nothing larger is.  A power cut leaves of each sector its durable content or any content written
since, independently of its neighbours (WORLD-5): this covers every subset of the unflushed writes, in every order.
"""

from collections.abc import Iterable

from immutables import Map

from snapmerge.records import dataclass
from snapmerge.trace.operations import FaultKind
from snapmerge.trace.payload import Content

__all__ = ["Disk", "Mark", "Sectors", "Unknown"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """The content of a sector that a power cut has left undecided: one of ``candidates`` (WORLD-7).

    ``where`` is the disk and sector of the original.  Copies of an unknown content are equal to it, so a read of one
    of them decides all.
    """

    where: tuple[str, int]
    candidates: tuple[Content, ...]


Sectors = tuple[Content | Unknown, ...]
Mark = Map[int, Sectors]
"""Cached contents by sector, oldest first: the cache of a disk, or the part of it that a flush in flight covers."""


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of ``size`` sectors.  A sector that is neither in ``durable`` nor in ``cached`` holds zeroes (tag 0)."""

    size: int
    durable: Map[int, Content | Unknown] = Map()
    cached: Mark = Map()
    faults: tuple[tuple[FaultKind, int, int], ...] = ()

    def sector(self, at: int) -> Content | Unknown:
        """The content that a read of this sector returns: the newest."""
        written = self.cached.get(at)
        return self.durable.get(at, 0) if written is None else written[-1]

    def read(self, sector: int, count: int) -> Sectors:
        """The contents that a read of these sectors returns."""
        return tuple(map(self.sector, range(sector, sector + count)))

    def write(self, sector: int, data: Iterable[Content | Unknown], *, durable: bool = False) -> "Disk":
        """The disk after a write; ``durable``: with FUA (WORLD-9).  Sectors at fault keep their contents (WORLD-8)."""
        written: Iterable[tuple[int, Content | Unknown]] = enumerate(data, sector)
        if self.faults:
            written = [(at, content) for at, content in written if not self.fails("write", at, 1)]
        cached, medium = self.cached.mutate(), self.durable
        if durable:
            media = medium.mutate()
            for at, content in written:
                cached.pop(at, None)
                media[at] = content
            medium = media.finish()
        else:
            for at, content in written:
                cached[at] = (*cached.get(at, ()), content)
        return Disk(self.size, medium, cached.finish(), self.faults)

    def flush(self, mark: Mark) -> "Disk":
        """The disk after a flush: the contents in ``mark`` are durable, and later ones stay cached (WORLD-4)."""
        medium, cached = self.durable.mutate(), self.cached.mutate()
        for at, written in mark.items():
            medium[at] = written[-1]
            if rest := cached[at][len(written) :]:
                cached[at] = rest
            else:
                del cached[at]
        return Disk(self.size, medium.finish(), cached.finish(), self.faults)

    def fails(self, kind: FaultKind, sector: int, count: int) -> bool:
        """Whether this I/O touches a sector at fault; a flush touches all sectors (WORLD-8)."""
        return any(
            kind == fault and (kind == "flush" or (sector < start + length and start < sector + count))
            for fault, start, length in self.faults
        )

    def candidates(self, at: int, in_flight: Sectors = ()) -> Sectors:
        """The contents that a power cut may leave in a sector, newest first (WORLD-5).

        ``in_flight``: the contents of writes to it that were sent and have not finished, oldest first.
        """
        newest_first = (*reversed(in_flight), *reversed(self.cached.get(at, ())), self.durable.get(at, 0))
        return tuple(dict.fromkeys(newest_first))
