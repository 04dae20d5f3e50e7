"""Volumes: the contents that each sector of a device may have, now and after a power cut."""

from immutables import Map

from snapmerge import Content
from snapmerge.records import dataclass, replace

__all__ = ["NOTHING", "Volume", "Volumes"]


@dataclass(frozen=True, slots=True)
class Volume:
    """A device as an array: the contents that each sector may have now, and after a power cut (``durable``).

    An empty set allows any content.  ``flushing``: what ``durable`` becomes when the flush under way has ended;
    ``home``: the destination of the merge that the device is, if it has a device of its own beside the origin.
    """

    now: tuple[frozenset[Content], ...]
    durable: tuple[frozenset[Content], ...]
    flushing: tuple[frozenset[Content], ...] | None = None
    home: str | None = None

    def written(self, sector: int, tags: range, *, over: bool) -> "Volume":
        """The volume during a write, with old and new contents allowed, or after it (``over``), with the new ones."""
        new = dict(enumerate(tags, sector))

        def either(held: tuple[frozenset[Content], ...]) -> tuple[frozenset[Content], ...]:
            return tuple(may | {new[at]} if at in new and may else may for at, may in enumerate(held))

        now = tuple(frozenset({new[at]}) if at in new and may else may for at, may in enumerate(self.now))
        flushing = None if self.flushing is None else either(self.flushing)
        return replace(self, now=now if over else either(self.now), durable=either(self.durable), flushing=flushing)

    def flush_sent(self) -> "Volume":
        """The volume during a flush."""
        return replace(self, flushing=self.now)

    def flushed(self) -> "Volume":
        """The volume after the flush: the contents at the time when it was sent are durable."""
        return self if self.flushing is None else replace(self, durable=self.flushing, flushing=None)


Volumes = Map[str, Volume]
NOTHING: Volumes = Map()
