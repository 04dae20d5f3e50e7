"""A user's knowledge of disks, devices and exception stores, from operations and their outcomes."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import snapmerge as sm
from snapmerge_specs.promises.held import ZERO, May, Volume

__all__ = ["Device", "Disk", "Line", "Store", "Task", "parse_lines"]

_MERGE = "snapshot-merge"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a table.  ``lower``: the device below, or the origin; ``names``: every word that may be a name."""

    start: int
    length: int
    target: str
    lower: str = ""
    offset: int = 0
    cow: str = ""
    kind: str = ""
    chunk: int = 0
    names: tuple[str, ...] = ()

    @property
    def is_merge(self) -> bool:
        """Whether it is a ``snapshot-merge``."""
        return self.target == _MERGE

    @property
    def has_store(self) -> bool:
        """Whether it is a snapshot or the merge of one."""
        return self.target in ("snapshot", _MERGE)


def parse_lines(table: str) -> tuple[Line, ...]:
    """The lines of a table; an unknown one has the target ``?``."""
    return tuple(_line(text.split()) for text in table.replace("\n", ";").split(";") if text.strip())


def _line(words: list[str]) -> Line:
    head = words[:2]
    if len(words) < 3 or not all(_is_number(word) for word in head):
        return Line(0, 0, "?", names=tuple(words))
    start, length, (target, *args) = int(words[0]), int(words[1]), words[2:]
    names = tuple(args)
    match target, args:
        case "linear", [lower, offset] if _is_number(offset):
            return Line(start, length, target, lower, int(offset), names=names)
        case "snapshot-origin", [lower]:
            return Line(start, length, target, lower, names=names)
        case "snapshot" | "snapshot-merge", [lower, cow, kind, chunk, *_]:
            size = int(chunk) if _is_number(chunk) else 0
            return Line(start, length, target, lower, 0, cow, kind[:1].upper(), size, names)
        case _:
            return Line(start, length, "?", names=names)


def _is_number(word: str) -> bool:
    return word.isascii() and word.isdecimal() and len(word) <= 18


@dataclass(slots=True)
class Disk:
    """A backing disk.

    ``trusted``: every target on it is one that ``parse_lines`` knows.  ``cow``: a store was on it once.  ``header``:
    whether its first sector is ``zero``, belongs to a ``store``, or is ``unknown``; ``durable``: a power cut does not
    change that.  ``merged``: a merge to it has begun.  ``cut``, ``failed``: the last times when the power was cut, and
    when the disk had a fault; -1: never.
    """

    name: str
    size: int
    volume: Volume = field(default_factory=lambda: Volume.filled(ZERO))
    trusted: bool = True
    cow: bool = False
    header: str = "zero"
    durable: bool = True
    merged: bool = False
    faults: bool = False
    failed: int = -1
    cut: int = -1


@dataclass(slots=True)
class Store:
    """An exception store, and the snapshot that is kept with it, in sectors of the origin's disk.

    ``disk``, ``offset``: where the origin is; ``through``: the devices between; ``line``: its table line, None until it
    is live.  ``chunk``: the chunk size, 0 if it is not known.  ``made``: when its first table was constructed.
    ``server``: the device with the store in its live table, None if there is none; ``active_since``: when that became
    live.  ``empty``: it holds no exception, so its snapshot equals the origin.  ``lost``: why nothing is promised about
    it any more.  ``solid``: its header is durable.

    ``may_be_invalid``, ``invalid``, ``for_good``: it may be invalid, was seen to be, and is so durably; ``suspect``: it
    may be invalid in memory only.  ``merged``: a merge of it has begun; ``torn``: metadata writes of that merge may
    have failed.  ``beside_merge``: another snapshot of the origin has begun to merge.  ``discarded``: it was sent a
    discard.

    ``own``: the sectors that were written through the snapshot; ``kept``: those that have an exception; ``stale``:
    those that were written in the origin while no device had the store.  ``touched``: the chunks that may need an
    exception.
    """

    cow: str
    kind: str
    chunk: int
    made: int
    line: Line | None = None
    disk: str = ""
    offset: int = 0
    through: tuple[str, ...] = ()
    volume: Volume = field(default_factory=lambda: Volume.filled(None))
    server: str | None = None
    is_merge: bool = False
    active_since: int = -1
    empty: bool = True
    lost: str = ""
    solid: bool = False
    may_be_invalid: bool = False
    invalid: bool = False
    for_good: bool = False
    merged: bool = False
    torn: bool = False
    suspect: bool = False
    discarded: bool = False
    beside_merge: bool = False
    own: set[int] = field(default_factory=set)
    kept: set[int] = field(default_factory=set)
    stale: set[int] = field(default_factory=set)
    touched: set[int] = field(default_factory=set)

    @property
    def is_merging(self) -> bool:
        """Whether a merge uses the store, and may have exceptions left to merge."""
        over = not self.lost and (self.empty or self.invalid)  # a store that is lost is not known to be either
        return self.server is not None and self.is_merge and not over

    @property
    def counts(self) -> bool:
        """Whether anything is promised about what the snapshot shows."""
        return not self.lost and not self.invalid

    def is_of(self, origin: str) -> bool:
        """Whether its line names this origin: another device on the same disk is another origin (ORIGIN-1)."""
        return self.line is not None and self.line.lower == origin

    def covers(self, sector: int) -> bool:
        """Whether the store covers this sector of the origin's disk."""
        line = self.line
        return line is not None and line.start <= sector - self.offset < line.start + line.length

    def within(self, sectors: set[int]) -> Iterator[int]:
        """The sectors among these that the store covers."""
        return (sector for sector in sectors if self.covers(sector))


@dataclass(slots=True)
class Device:
    """A mapped device.  ``suspended`` None: unknown.  ``certain``: which of its tables is live is known.

    ``unsure``: which table is the inactive one, if any, is not known; ``inactive`` has all lines that it may have.
    ``pairs``: for COW devices of the inactive table the device that had the store when the table was loaded, from which
    a handover is due.  ``cancelled``: the COW devices of handovers to the live table that could not take place.
    ``resumed``: when its targets were last resumed; ``changed``: how often its mapping has changed.
    """

    name: str
    live: tuple[Line, ...] = ()
    inactive: tuple[Line, ...] | None = None
    pairs: dict[str, str] = field(default_factory=dict)
    cancelled: frozenset[str] = frozenset()
    suspended: bool | None = False
    certain: bool = True
    unsure: bool = False
    resumed: int = -1
    changed: int = 0

    @property
    def lines(self) -> tuple[Line, ...]:
        """All tables that may be live, or become live."""
        return tuple(dict.fromkeys((*self.live, *(self.inactive or ()))))


@dataclass(slots=True)
class Task:
    """An operation under way: when it began, how often its device had changed by then, what it may read.

    ``alone``: no other write that was under way with it has a sector in common with it.
    """

    operation: sm.Plain
    began: int
    changed: int
    alone: bool = True
    may: list[May] | None = field(default_factory=list)
