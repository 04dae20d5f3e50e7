"""What the recipes stand on: somebody who drives a port, remembers what was made, and goes on after a power cut.

A recipe is a program over operations, for any implementation.  Whatever else happens meanwhile (other users' writes,
power cuts) is in implementations that stand between it and the real one (``_recipe_world``).
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
"""The disk under it."""


class RecipeError(SnapmergeError):
    """A recipe can't go on: a step fails, or a precondition does not hold.  Says which."""


class Overflowed(RecipeError):
    """A snapshot that was to be read is invalid."""


class PowerCut(Exception):
    """Raised by ``apply``: the power was cut in the middle of the operation, all devices are gone, and it is back."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes in sectors: of the origin, of a chunk, and of a COW device (None: room for every chunk)."""

    size: int
    chunk: int
    cow: int | None = None

    @property
    def chunks(self) -> int:
        """How many chunks cover the origin."""
        return -(-self.size // self.chunk)

    @property
    def cow_size(self) -> int:
        """The COW device's size: a header, an area ahead, and an area for every 32 records a sector of the chunk."""
        areas = self.chunks // (self.chunk * 32) + 2
        return self.cow or (1 + areas + self.chunks) * self.chunk

    def extent(self, chunk: int) -> tuple[int, int]:
        """The first sector of a chunk, and how many of it there are: the last one may be a part."""
        first = chunk * self.chunk
        return first, min(self.chunk, self.size - first)


def runs(sectors: Sequence[Seen]) -> Iterator[tuple[int, int, int]]:
    """What was read, as writes write it: the first sector, how many, and their first tag.

    Raises RecipeError when a sector holds no tag: what it holds can't be said on the port, so it can't be copied.
    """
    first = 0
    for at, seen in enumerate(sectors):
        if isinstance(seen, Digest):
            raise RecipeError(f"sector {at} of what was read holds no tag (~{seen}); a copy of it can't be written")
        if at + 1 == len(sectors) or sectors[at + 1] != seen + 1:
            yield first, at + 1 - first, seen - (at - first)
            first = at + 1


def differing(one: Sequence[Seen], other: Sequence[Seen]) -> tuple[int, ...]:
    """The sectors in which two contents differ."""
    return tuple(at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)


def differing_chunks(sectors: Sequence[int], chunk: int) -> tuple[int, ...]:
    """The chunks that these sectors are in."""
    return tuple(sorted({sector // chunk for sector in sectors}))


def unlike(what: str, operation: sm.Operation, outcome: Outcome) -> RecipeError:
    """The error that says what an operation should have done, and what came of it."""
    line, seen = sm.shortened(sm.print_operation(operation)), sm.shortened(sm.print_outcome(outcome))
    return RecipeError(f"{line} should {what}: {seen}")


class Operator:
    """Drives an implementation.  ``tables``: the devices that there should be, which a power cut does not change.

    Attributes: ``cuts`` how often the power was cut so far; ``kind`` the letter of the stores: only a persistent one is
    there after a power cut, and only from that can be read which chunks have changed.
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
        """What is seen of an operation."""
        return self._implementation.apply(operation)

    def do(self, operation: sm.Plain) -> None:
        """An operation that has to succeed.  Raises RecipeError."""
        outcome = self.see(operation)
        if not isinstance(outcome, sm.Done):
            raise unlike("succeed", operation, outcome)

    def read(self, where: str, sector: int = 0, count: int | None = None) -> tuple[Seen, ...]:
        """The contents of these sectors; of all that the origin has.  Raises Overflowed, RecipeError."""
        operation = sm.Read(where, Sector(sector), Sectors(self.shape.size if count is None else count))
        outcome = self.see(operation)
        if isinstance(outcome, sm.Data):
            return outcome.sectors
        if isinstance(outcome, sm.Failed) and self.is_invalid(where):
            raise Overflowed(f"{where} is invalid")
        raise unlike("give sectors", operation, outcome)

    def write(self, where: str, sector: int, sectors: Sequence[Seen]) -> None:
        """Writes what was read elsewhere.  Raises RecipeError."""
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
        """Whether a snapshot is invalid: its COW device had no room for what it should have kept."""
        return device in self._there and self.status(device).endswith(" Invalid")

    def records(self, cow: str) -> sm.Records:
        """A store as its disk has it.  Raises RecipeError when there is none."""
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
        """Makes a device, unless it is there."""
        if device not in self._there:
            self.do(sm.Create(device, table))
            self._there.add(device)
        self.tables[device] = table

    def remove(self, device: str) -> None:
        """Removes a device, if it is there."""
        if device in self._there:
            self.do(sm.Remove(device))
            self._there.remove(device)
        self.tables.pop(device, None)

    def make_origin(self, fill: int) -> None:
        """Makes the origin, filled with the tags from ``fill`` on."""
        self.do(sm.Write(BASE, Sector(0), Sectors(self.shape.size), fill))
        self.do(sm.Flush(BASE))
        self.create(ORIGIN, self.origin_table())

    def origin_table(self) -> str:
        """The table of a ``snapshot-origin``."""
        return f"0 {self.shape.size} snapshot-origin {BASE}"

    def take(self, snapshot: str, cow: str) -> None:
        """Makes a snapshot of the origin, in one suspension of it; or it is made already.

        What the origin holds then is made durable first: a power cut would change the snapshot with it.  The new store
        is durable before the origin goes on, and so is that an old one on its disk is gone.
        """
        if snapshot in self.tables:
            return
        self.wipe(cow)
        self.do(sm.Suspend(ORIGIN))
        self.still()
        table = f"0 {self.shape.size} snapshot {BASE} {cow} {self.kind} {self.shape.chunk}"
        self.do(sm.Create(snapshot, table))
        self._there.add(snapshot)
        self.secure(cow)
        self.tables[snapshot] = table
        self.do(sm.Resume(ORIGIN))

    def wipe(self, cow: str) -> None:
        """Takes away the header of a store that was there."""
        self.do(sm.Write(cow, Sector(0), Sectors(1), 0))
        self.do(sm.Flush(cow))

    def still(self) -> None:
        """Makes durable what the origin holds while it is suspended."""
        self.do(sm.Flush(BASE))

    def secure(self, cow: str) -> None:
        """Makes a new store durable."""
        self.do(sm.Flush(cow))

    # --- power cuts ----------------------------------------------------------------------------------------------

    def persevere(self, step: Callable[[], T]) -> T:
        """Does a step; after a power cut makes the devices again and does it anew, from its beginning."""
        while True:
            try:
                self.restore()
                return step()
            except PowerCut:
                self.cuts += 1
                self._there.clear()

    def restore(self) -> None:
        """Makes the devices that should be there: the snapshots before anybody can write to their origin."""
        for device in sorted(self.tables, key=self.rank):
            self.create(device, self.tables[device])

    def rank(self, device: str) -> int:
        """The place of a device in the order in which they are made again."""
        targets = ("snapshot", "snapshot-origin", "snapshot-merge")
        rank = targets.index(self.tables[device].split()[2])
        return 1 if device == ORIGIN else rank
