"""The base of the recipes: drives an implementation, remembers its devices, and recreates them after a power cut.

A recipe is a program over operations, for any implementation.  Concurrent events (other users' writes, power cuts) come
from wrappers around the implementation (``recipes.world``).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import snapmerge as sm
from snapmerge import Digest, Implementation, Outcome, Sector, Sectors, Seen, SnapmergeError

__all__ = [
    "BASE",
    "ORIGIN",
    "Operator",
    "Overflowed",
    "PowerCut",
    "RecipeError",
    "Shape",
    "differing",
    "differing_chunks",
    "runs",
]

T = TypeVar("T")

ORIGIN: Final = "origin"
"""The device that users write to."""

BASE: Final = "base"
"""The disk below the origin."""


class RecipeError(SnapmergeError):
    """A recipe can't continue: a step fails, or a precondition does not hold; the message says which (RECIPE-7)."""


class Overflowed(RecipeError):
    """A snapshot can't be read, since it is invalid."""


class PowerCut(Exception):
    """Raised by ``apply``: the power was cut during the operation and is back; all devices are gone."""


@dataclass(frozen=True, slots=True)
class Shape:
    """The sizes in sectors of the origin, of a chunk, and of a COW device (None: room for every chunk)."""

    size: int
    chunk: int
    cow: int | None = None

    @property
    def chunks(self) -> int:
        """How many chunks cover the origin."""
        return -(-self.size // self.chunk)

    @property
    def cow_size(self) -> int:
        """The size of a COW device in sectors: header, areas (32 records a sector) with one in reserve, and chunks."""
        areas = self.chunks // (self.chunk * 32) + 2
        return self.cow or (1 + areas + self.chunks) * self.chunk

    def extent(self, chunk: int) -> tuple[int, int]:
        """The first sector of a chunk of the origin, and its number of sectors: the last may be partial (RECIPE-11)."""
        first = chunk * self.chunk
        return first, min(self.chunk, self.size - first)


def runs(sectors: Sequence[Seen]) -> Iterator[tuple[int, int, int]]:
    """Splits what was read into writes: the first sector of each, the number of sectors, and the first tag.

    Raises RecipeError if a sector holds no tag, since no operation can write its content.
    """
    first = 0
    for at, seen in enumerate(sectors):
        if isinstance(seen, Digest):
            raise RecipeError(f"sector {at} of what was read holds no tag (~{seen}); a copy of it can't be written")
        if at + 1 == len(sectors) or sectors[at + 1] != seen + 1:
            yield first, at + 1 - first, seen - (at - first)
            first = at + 1


def differing(one: Sequence[Seen], other: Sequence[Seen]) -> tuple[int, ...]:
    """The sectors in which two contents of equal length differ."""
    return tuple(at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)


def differing_chunks(sectors: Sequence[int], chunk: int) -> tuple[int, ...]:
    """The chunks that these sectors are in."""
    return tuple(sorted({sector // chunk for sector in sectors}))


def unlike(what: str, operation: sm.Operation, outcome: Outcome) -> RecipeError:
    """The error of an operation that should have done ``what``, with its outcome."""
    line, seen = sm.shortened(sm.print_operation(operation)), sm.shortened(sm.print_outcome(outcome))
    return RecipeError(f"{line} should {what}: {seen}")


class Operator:
    """Drives an implementation.

    Attributes: ``tables`` the tables of the devices that should exist, also after a power cut; ``cuts`` the number of
    power cuts so far; ``kind`` the kind of the stores: only a persistent one survives a power cut, and only its records
    can be read.
    """

    kind = "P"

    def __init__(self, implementation: Implementation, shape: Shape) -> None:
        self._implementation = implementation
        self.shape = shape
        self.tables: dict[str, str] = {}
        self.cuts = 0
        self._there: set[str] = set()

    # --- one operation -------------------------------------------------------------------------------------------

    def see(self, operation: sm.Plain) -> Outcome:
        """The outcome of an operation."""
        return self._implementation.apply(operation)

    def do(self, operation: sm.Plain) -> None:
        """Carries out an operation that has to succeed.  Raises RecipeError."""
        outcome = self.see(operation)
        if not isinstance(outcome, sm.Done):
            raise unlike("succeed", operation, outcome)

    def read(self, where: str, sector: int = 0, count: int | None = None) -> tuple[Seen, ...]:
        """The contents of these sectors, by default of as many as the origin has.  Raises Overflowed, RecipeError."""
        operation = sm.Read(where, Sector(sector), Sectors(self.shape.size if count is None else count))
        outcome = self.see(operation)
        if isinstance(outcome, sm.Data):
            return outcome.sectors
        if isinstance(outcome, sm.Failed) and self.is_invalid(where):
            raise Overflowed(f"{where} is invalid")
        raise unlike("give sectors", operation, outcome)

    def write(self, where: str, sector: int, sectors: Sequence[Seen]) -> None:
        """Writes contents that were read elsewhere.  Raises RecipeError."""
        for first, count, tag in runs(sectors):
            self.do(sm.Write(where, Sector(sector + first), Sectors(count), tag))

    def status(self, device: str) -> str:
        """The device's status line.  Raises RecipeError."""
        operation = sm.Status(device)
        outcome = self.see(operation)
        if not isinstance(outcome, sm.Line):
            raise unlike("give a line", operation, outcome)
        return outcome.text

    def is_invalid(self, device: str) -> bool:
        """Whether a snapshot is invalid, since its COW device was full."""
        return device in self._there and self.status(device).endswith(" Invalid")

    def records(self, cow: str) -> sm.Records:
        """The store on a disk.  Raises RecipeError if there is none."""
        operation = sm.Metadata(cow)
        outcome = self.see(operation)
        if not isinstance(outcome, sm.Records) or outcome.kind != "store":
            raise unlike("give a store", operation, outcome)
        return outcome

    # --- devices -------------------------------------------------------------------------------------------------

    def disk(self, name: str, size: int) -> None:
        """Makes a disk."""
        self.do(sm.Disk(name, Sectors(size)))

    def create(self, device: str, table: str) -> None:
        """Creates a device, unless it exists."""
        if device not in self._there:
            self.do(sm.Create(device, table))
            self._there.add(device)
        self.tables[device] = table

    def remove(self, device: str) -> None:
        """Removes a device, if it exists."""
        if device in self._there:
            self.do(sm.Remove(device))
            self._there.remove(device)
        self.tables.pop(device, None)

    def make_origin(self, fill: int) -> None:
        """Creates the origin, filled with the tags from ``fill`` on."""
        self.do(sm.Write(BASE, Sector(0), Sectors(self.shape.size), fill))
        self.do(sm.Flush(BASE))
        self.create(ORIGIN, self.origin_table())

    def origin_table(self) -> str:
        """The table of a ``snapshot-origin``."""
        return f"0 {self.shape.size} snapshot-origin {BASE}"

    def take(self, snapshot: str, cow: str) -> None:
        """Makes a snapshot of the origin in one suspension of it, unless it is made already (RECIPE-9).

        The origin's content is made durable first, since a power cut would change it in the snapshot as well.  Before
        the origin is resumed the new store is durable, and so is the removal of an old one on its disk (RECIPE-13).
        """
        if snapshot in self.tables:
            return
        self.wipe(cow)
        self.do(sm.Suspend(ORIGIN))
        self.flush_origin()
        table = f"0 {self.shape.size} snapshot {BASE} {cow} {self.kind} {self.shape.chunk}"
        self.do(sm.Create(snapshot, table))
        self._there.add(snapshot)
        self.secure(cow)
        self.tables[snapshot] = table
        self.do(sm.Resume(ORIGIN))

    def wipe(self, cow: str) -> None:
        """Clears the header of an old store, durably."""
        self.do(sm.Write(cow, Sector(0), Sectors(1), 0))
        self.do(sm.Flush(cow))

    def flush_origin(self) -> None:
        """Makes the suspended origin's content durable."""
        self.do(sm.Flush(BASE))

    def secure(self, cow: str) -> None:
        """Makes a new store durable."""
        self.do(sm.Flush(cow))

    # --- power cuts ----------------------------------------------------------------------------------------------

    def persevere(self, step: Callable[[], T]) -> T:
        """Runs a step; after a power cut recreates the devices and runs it again from its beginning (RECIPE-4)."""
        while True:
            try:
                self.restore()
                return step()
            except PowerCut:
                self.cuts += 1
                self._there.clear()

    def restore(self) -> None:
        """Recreates the missing devices, the snapshots before their origin, since writes to it must find them."""
        for device in sorted(self.tables, key=self.rank):
            self.create(device, self.tables[device])

    def rank(self, device: str) -> int:
        """The position of a device in the order of recreation."""
        targets = ("snapshot", "snapshot-origin", "snapshot-merge")
        rank = targets.index(self.tables[device].split()[2])
        return 1 if device == ORIGIN else rank
