"""A disk with a volatile cache: what is durable, and what has been written since, sector by sector.

A sector is atomic; nothing larger is.  What the power cut leaves of a sector is its durable content or any that was
written since, whatever becomes of its neighbours: that is every legal subset of the unflushed writes, and every order.
"""

from collections.abc import Iterable

from immutables import Map

from snapmerge.records import dataclass
from snapmerge.trace.operations import FaultKind
from snapmerge.trace.payload import Content

__all__ = ["Disk", "Mark", "Sectors", "Unknown"]


@dataclass(frozen=True, slots=True)
class Unknown:
    """The content of a sector after a power cut, until somebody looks: one of ``candidates``.

    Copies of it are equal, so that to learn one is to learn all.  ``where`` tells sectors apart.
    """

    where: tuple[str, int]
    candidates: tuple[Content, ...]


Sectors = tuple[Content | Unknown, ...]
Mark = Map[int, Sectors]
"""What a flush will make durable: for each sector what had been written, in order, when the flush was sent."""


@dataclass(frozen=True, slots=True)
class Disk:
    """``durable`` and ``cached`` by sector; a sector in neither holds zeroes (tag 0).  ``cached``: oldest first."""

    size: int
    durable: Map[int, Content | Unknown] = Map()
    cached: Mark = Map()
    faults: tuple[tuple[FaultKind, int, int], ...] = ()

    def sector(self, at: int) -> Content | Unknown:
        """What a read of this sector gives."""
        written = self.cached.get(at)
        return self.durable.get(at, 0) if written is None else written[-1]

    def read(self, sector: int, count: int) -> Sectors:
        """What a read of these sectors gives."""
        return tuple(map(self.sector, range(sector, sector + count)))

    def write(self, sector: int, data: Iterable[Content | Unknown], *, durable: bool = False) -> "Disk":
        """The disk after a write; ``durable``: with FUA.  Sectors at fault keep what they have."""
        written: Iterable[tuple[int, Content | Unknown]] = enumerate(data, sector)
        if self.faults:
            written = [(at, what) for at, what in written if not self.fails("write", at, 1)]
        cached, medium = self.cached.mutate(), self.durable
        if durable:
            media = medium.mutate()
            for at, what in written:
                cached.pop(at, None)
                media[at] = what
            medium = media.finish()
        else:
            for at, what in written:
                cached[at] = (*cached.get(at, ()), what)
        return Disk(self.size, medium, cached.finish(), self.faults)

    def flush(self, mark: Mark) -> "Disk":
        """The disk after a flush that was sent when the cache was as ``mark``."""
        medium, cached = self.durable.mutate(), self.cached.mutate()
        for at, written in mark.items():
            medium[at] = written[-1]
            if rest := cached[at][len(written) :]:
                cached[at] = rest
            else:
                del cached[at]
        return Disk(self.size, medium.finish(), cached.finish(), self.faults)

    def fails(self, kind: FaultKind, sector: int, count: int) -> bool:
        """Whether a fault makes this I/O fail."""
        return any(
            kind == fault and (kind == "flush" or (sector < start + length and start < sector + count))
            for fault, start, length in self.faults
        )

    def candidates(self, at: int, in_flight: Sectors = ()) -> Sectors:
        """What a power cut may leave of a sector, the newest first; ``in_flight``: being written just now."""
        newest_first = (*reversed(in_flight), *reversed(self.cached.get(at, ())), self.durable.get(at, 0))
        return tuple(dict.fromkeys(newest_first))
