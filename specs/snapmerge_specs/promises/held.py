"""The contents that each sector may have, now and after a power cut."""

from collections.abc import Callable, Iterable
from typing import Final

from snapmerge import Seen

__all__ = ["ZERO", "Held", "May", "Volume", "either"]

May = frozenset[Seen] | None
"""The contents that a sector may have; None: any."""

ZERO: Final[frozenset[Seen]] = frozenset({0})


def either(one: May, other: May) -> May:
    """The union of two sets of contents."""
    return None if one is None or other is None else one | other


class Held:
    """The contents that each sector may hold: ``at`` by sector number, ``rest`` for all other sectors."""

    __slots__ = ("at", "rest")

    def __init__(self, rest: May, at: dict[int, May] | None = None) -> None:
        self.rest = rest
        self.at: dict[int, May] = {} if at is None else at

    def __getitem__(self, sector: int) -> May:
        return self.at.get(sector, self.rest)

    def add(self, sector: int, may: May) -> None:
        """Allows one more content of a sector."""
        self.at[sector] = either(self[sector], may)

    def copy(self) -> "Held":
        """A copy."""
        return Held(self.rest, dict(self.at))


class Volume:
    """An array of sectors: the contents that each may hold ``now``, and after a power cut (``cut``).

    ``volatile`` has the sectors that a power cut may change, with the time of the last write to each.  ``forgotten``:
    the time when all sectors became volatile, because their contents were no longer known; None: that has not happened
    since the last flush of all sectors.
    """

    __slots__ = ("cut", "forgotten", "now", "volatile")

    def __init__(self, now: Held, cut: Held, volatile: dict[int, int], forgotten: int | None = None) -> None:
        self.now, self.cut, self.volatile, self.forgotten = now, cut, volatile, forgotten

    @staticmethod
    def filled(may: May) -> "Volume":
        """A volume in which all sectors hold this content, durably."""
        return Volume(Held(may), Held(may), {})

    def copy(self) -> "Volume":
        """A copy."""
        return Volume(self.now.copy(), self.cut.copy(), dict(self.volatile), self.forgotten)

    def sectors(self) -> set[int]:
        """The numbers of the sectors with an entry of their own."""
        return {*self.now.at, *self.cut.at}

    def changed(self, sector: int) -> int | None:
        """The time of the last change of a sector, if that is not durable; None: it is durable."""
        return self.volatile.get(sector, self.forgotten)

    def written(self, sector: int, content: Seen, time: int) -> None:
        """Records that a write of this content has ended."""
        self.now.at[sector] = frozenset({content})
        self.cut.add(sector, self.now.at[sector])
        self.volatile[sector] = time

    def may_be(self, sector: int, may: May, time: int) -> None:
        """Allows this content from now on, besides those that were allowed before."""
        self.now.add(sector, may)
        self.cut.add(sector, may)
        self.volatile[sector] = time

    def flushed(self, before: int, which: Callable[[int], bool] | None = None) -> None:
        """Records the end of a flush that began at ``before`` and covers the sectors ``which``; None: all."""
        if which is None and self.forgotten is not None and self.forgotten < before:
            self.volatile = dict.fromkeys(self.sectors(), self.forgotten) | self.volatile
            self.forgotten = None
        for sector in [s for s, time in self.volatile.items() if time < before and (which is None or which(s))]:
            self.cut.at[sector] = self.now[sector]
            del self.volatile[sector]

    def power_cut(self) -> None:
        """Records a power cut."""
        self.now = self.cut.copy()
        self.volatile.clear()
        self.forgotten = None

    def learn(self, sector: int, seen: Seen) -> None:
        """Records that a read has returned this content, while no operation could change it."""
        self.now.at[sector] = frozenset({seen})
        if self.changed(sector) is None:
            self.cut.at[sector] = self.now.at[sector]

    def forget(self, time: int) -> None:
        """Allows any content of any sector until it is read; contents need not be durable."""
        self.now, self.cut = Held(None), Held(None)
        self.volatile.clear()
        self.forgotten = time

    def take(self, sectors: Iterable[int], source: "Volume") -> None:
        """Copies these sectors from another volume."""
        for sector in sectors:
            self.now.at[sector] = source.now[sector]
            self.cut.at[sector] = source.cut[sector]
            if (time := source.changed(sector)) is not None:
                self.volatile[sector] = time
            else:
                self.volatile.pop(sector, None)

    def mix(self, sectors: Iterable[int], source: "Volume", time: int) -> None:
        """Allows the contents of another volume in these sectors, besides the present ones."""
        for sector in sectors:
            self.now.add(sector, source.now[sector])
            self.cut.add(sector, either(source.now[sector], source.cut[sector]))
            self.volatile[sector] = time
