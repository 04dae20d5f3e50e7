"""Moves that shape a store: exceptions in any order, full areas, and stores over a disk's old contents."""

import snapmerge as sm
from snapmerge import Sector, Sectors
from snapmerge_specs.generations.generation import Draw
from snapmerge_specs.scenarios.driver import Predicted, pick
from snapmerge_specs.scenarios.layout import cow_name, snapshot_name

__all__ = ["Shapes", "overlap"]


class Shapes(Predicted):
    """Moves that shape stores; each reads the result."""

    @property
    def _fillable(self) -> list[int]:
        """The snapshots with areas so small that one write fills one."""
        cows = self.layout.cows
        return [i for i in self._kept if cows[i].chunk_size == 1 and cows[i].size > 40]

    @property
    def _kept(self) -> list[int]:
        """The snapshots with persistent stores."""
        return [i for i in self.taken if self.layout.cows[i].kind != "N" and not self.layout.cows[i].blank]

    def fill(self, draw: Draw) -> None:
        """Fills an area of a store, nearly or exactly, recreates the snapshot, and writes the following sectors."""
        i = pick(draw, self._fillable)
        name = snapshot_name(i)
        size = self.size_of(name)
        count = Sectors(min(size, pick(draw, (31, 32, 32, 33))))
        self.do(sm.Write(name, Sector(0), count, self.tags(count)))
        self.do(sm.Remove(name))
        self.do(sm.Create(name, self.layout.snapshot_table(draw, i)))
        if name not in self.live:
            return
        more = Sectors(min(self.size_of(name) - count, draw(0, 3)))
        if more > 0:
            self.do(sm.Write(name, Sector(count), more, self.tags(more)))
        self.see(name)

    def reuse(self, draw: Draw) -> None:
        """Creates a new store over old records, of which only the header's sector is cleared, as is usual."""
        i = pick(draw, self._kept)
        name = snapshot_name(i)
        self.do(sm.Remove(name))
        self.do(sm.Write(cow_name(i), Sector(0), Sectors(1), 0))
        self.do(sm.Create(name, self.layout.snapshot_table(draw, i)))
        if draw(0, 1):  # a second load reads the records from the disk
            self.do(sm.Remove(name))
            self.do(sm.Create(name, self.layout.snapshot_table(draw, i)))
        if i in self._fillable and draw(0, 1):
            self.fill(draw)
        elif name in self.devices:
            self.see(name)

    def shuffle(self, draw: Draw) -> None:
        """Writes some chunks in any order, so that adjacent chunks of the origin are not adjacent on the COW device."""
        device = pick(draw, self.running or ["origin"])
        chunk = max(self.layout.chunk_sizes)
        whole = self.size_of(device) // chunk if device in self.running else 0
        chunks = list(range(min(whole, 5)))
        first = draw(0, whole - len(chunks))
        while chunks:
            at = first + chunks.pop(draw(0, len(chunks) - 1))
            self.do(sm.Write(device, Sector(at * chunk), Sectors(chunk), self.tags(chunk)))
        for name in self.running:
            self.do(sm.Read(name, Sector(0), Sectors(self.size_of(name))))

    def _scattered(self, size: int, i: int) -> list[tuple[Sector, Sectors]]:
        """Some chunks of snapshot ``i``, no two of them adjacent."""
        chunk = self.layout.cows[i].chunk_size
        return [(Sector(at), Sectors(min(chunk, size - at))) for at in range(0, min(size, 6 * chunk), 2 * chunk)]

    def _write_before(self, draw: Draw, i: int) -> bool:
        """Gives a merge exceptions; returns whether they make several runs, so that the first chunks merge last."""
        runs = draw(0, 2) > 0
        if runs:
            for begin, length in self._scattered(self.size_of(snapshot_name(i)), i):
                self.do(sm.Write(snapshot_name(i), begin, length, self.tags(length)))
        elif self.layout.faults or draw(0, 1):
            self._write_much(draw, i)
        return runs

    def _crowd(self, draw: Draw, i: int) -> None:
        """Fills the store of another snapshot, nearly or exactly, so that it overflows when a merge overwrites."""
        j = pick(draw, [j for j in self.taken if j != i] or [i])
        name, chunk = snapshot_name(j), self.layout.cows[j].chunk_size
        status, _ = sm.operate(self._predicted, sm.Status(name))
        words = status.text.split() if isinstance(status, sm.Line) else []
        if j == i or len(words) != 5 or "/" not in words[3]:
            return
        used, total = map(int, words[3].split("/"))
        count = Sectors(min(((total - used) // chunk - draw(0, 1)) * chunk, self.size_of(name)))
        if count > 0:
            self.do(sm.Write(name, Sector(self.size_of(name) - count), count, self.tags(count)))

    def _write_much(self, draw: Draw, i: int) -> None:
        """Gives a merge exceptions: if possible more than an area of them, or several runs."""
        device = snapshot_name(i)
        size = self.size_of(device)
        if draw(0, 1):
            chunks = self._scattered(size, i) + self._scattered(size, i)[:1] * draw(0, 1)
            for begin, length in chunks[:: pick(draw, (1, -1))]:
                self.do(sm.Write(device, begin, length, self.tags(length)))
            return
        sector = draw(0, min(size - 1, 2))
        count = Sectors(min(size - sector, pick(draw, (1, 3, 40, 40))))
        self.do(sm.Write(device, Sector(sector), count, self.tags(count)))

    def _close(self, draw: Draw, i: int) -> None:
        """Writes to a snapshot, sometimes flushes it, and removes it and its origin, as a shutdown does."""
        self._write_much(draw, i)
        if draw(0, 1):
            self.do(sm.Flush(snapshot_name(i)))
        self.do(sm.Remove("origin"))
        self.do(sm.Remove(snapshot_name(i)))

    def _open_again(self, draw: Draw, table: str) -> None:
        """Creates the origin's device if a power cut has removed it, and sometimes compares it."""
        if "origin" not in self.devices:
            self.do(sm.Create("origin", table))
        if "origin" in self.live and draw(0, 1):
            self.see("origin")

    def _touch(self, draw: Draw, device: str, sector: Sector, count: Sectors) -> None:
        """Writes or reads these sectors if the device is long enough."""
        if sector + count <= self.size_of(device):
            self.do(sm.Write(device, sector, count, self.tags(count)) if draw(0, 2) else sm.Read(device, sector, count))

    def heal(self, draw: Draw) -> None:
        """Heals every disk."""
        _ = draw
        for name, disk in sorted(self._predicted.world.disks.items()):
            if disk.faults:
                self.do(sm.Heal(name))


def overlap(sector: int, count: int, other: sm.Plain) -> bool:
    """Whether I/O touches some of these sectors."""
    if not isinstance(other, sm.Read | sm.Write | sm.Discard):
        return False
    return sector < other.sector + other.count and other.sector < sector + count
