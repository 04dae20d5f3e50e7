"""Volumes: what each sector of a device may hold, now and after a power cut."""

from immutables import Map

from snapmerge import Content
from snapmerge.records import dataclass, replace

__all__ = ["NOTHING", "Volume", "Volumes"]


@dataclass(frozen=True, slots=True)
class Volume:
    """One device as an array: what each sector may hold now, and what it may hold after a power cut.

    An empty set: nobody says.  ``flushing``: what it may hold after one when the flush under way has ended: what was
    there, and what is written since.  ``home``: where a merge copies it to that has a device of its own.
    """

    now: tuple[frozenset[Content], ...]
    durable: tuple[frozenset[Content], ...]
    flushing: tuple[frozenset[Content], ...] | None = None
    home: str | None = None

    def written(self, sector: int, tags: range, *, over: bool) -> "Volume":
        """With a write under way (old or new), or ``over`` (new)."""
        new = dict(enumerate(tags, sector))

        def either(held: tuple[frozenset[Content], ...]) -> tuple[frozenset[Content], ...]:
            return tuple(may | {new[at]} if at in new and may else may for at, may in enumerate(held))

        now = tuple(frozenset({new[at]}) if at in new and may else may for at, may in enumerate(self.now))
        flushing = None if self.flushing is None else either(self.flushing)
        return replace(self, now=now if over else either(self.now), durable=either(self.durable), flushing=flushing)

    def flush_sent(self) -> "Volume":
        """With a flush under way."""
        return replace(self, flushing=self.now)

    def flushed(self) -> "Volume":
        """After the flush: what was there when it was sent is durable."""
        return self if self.flushing is None else replace(self, durable=self.flushing, flushing=None)


Volumes = Map[str, Volume]
NOTHING: Volumes = Map()
