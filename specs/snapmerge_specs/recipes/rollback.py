"""The rollback: takes a snapshot before an upgrade, and merges it back when the upgrade fails (specs/recipes.md)."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import snapmerge as sm
from snapmerge import Implementation, Seen
from snapmerge_specs.recipes.operator import BASE, ORIGIN, Operator, RecipeError, Shape, differing

__all__ = ["AFTER", "BEFORE", "UPGRADE", "Rollback", "RolledBack"]

BEFORE: Final = "before"
"""A snapshot made before the upgrade, which must keep its content."""

UPGRADE: Final = "upgrade"
"""The snapshot that is merged back."""

AFTER: Final = "after"
"""A snapshot made during the upgrade, which must keep its content."""


@dataclass(frozen=True, slots=True)
class RolledBack:
    """The result.

    ``merged``: the merged chunks; ``origin``: the sectors in which the origin differs from before the upgrade;
    ``siblings``: those in which each other snapshot differs from before the merge.
    """

    merged: tuple[int, ...]
    cuts: int
    origin: tuple[int, ...]
    siblings: tuple[tuple[str, tuple[int, ...]], ...]

    @property
    def is_right(self) -> bool:
        """Whether nothing differs."""
        return not self.origin and not any(sectors for _, sectors in self.siblings)


class Rollback(Operator):
    """The recipe by handover: the origin's device becomes the merge.

    ``failed`` is called when the upgrade has failed; it ends the other users' writes.  ``wait``: how many times to read
    the origin's status in each part of the upgrade.

    Raises:
        RecipeError: a step fails, or the snapshot has become invalid.
    """

    def __init__(
        self, implementation: Implementation, shape: Shape, failed: Callable[[], None], *, wait: int = 40
    ) -> None:
        super().__init__(implementation, shape)
        self._failed = failed
        self._wait = wait
        self._merged: tuple[int, ...] = ()
        self.shown: dict[str, tuple[Seen, ...]] = {}

    def run(self, progress: Callable[[int, int], object] = lambda _done, _total: None) -> RolledBack:
        """Runs the whole recipe; ``progress`` is called with the number of finished steps and of all steps."""
        self.begin()
        steps: list[Callable[[], None]] = [lambda: self.make_origin(1)]
        for snapshot in (BEFORE, UPGRADE, AFTER):
            steps += [self._taking(snapshot), self.let_time_pass]
        steps += [self._failed, self.look, self.merge, self.put_back]
        for number, step in enumerate(steps):
            progress(number, len(steps))
            self.persevere(step)
        return self.persevere(self.result)

    def begin(self) -> None:
        """Creates the disks."""
        self.disk(BASE, self.shape.size)
        for snapshot in (BEFORE, UPGRADE, AFTER):
            self.disk(f"cow-{snapshot}", self.shape.cow_size)

    def _taking(self, snapshot: str) -> Callable[[], None]:
        return lambda: self.take(snapshot, f"cow-{snapshot}")

    def let_time_pass(self) -> None:
        """Waits while the upgrade runs."""
        for _ in range(self._wait):
            self.status(ORIGIN)

    def look(self) -> None:
        """Reads what each snapshot shows before the merge, and which chunks will be merged.  Raises RecipeError."""
        if self.is_invalid(UPGRADE):
            raise RecipeError(f"{UPGRADE} is invalid and can't be merged back; make its COW device larger")
        self.shown = {name: self.read(name) for name in (BEFORE, UPGRADE, AFTER) if not self.is_invalid(name)}
        self._merged = tuple(sorted({old for old, _ in self.records(f"cow-{UPGRADE}").records}))

    def merge(self) -> None:
        """Hands the snapshot over to the origin's device; after a power cut the merge continues (RECIPE-14)."""
        if UPGRADE in self.tables:
            table = self.merge_table(BASE)
            self.do(sm.Suspend(ORIGIN))
            self.do(sm.Suspend(UPGRADE))
            self.do(sm.Load(ORIGIN, table))
            del self.tables[UPGRADE]
            self.tables[ORIGIN] = table
            self.do(sm.Resume(ORIGIN))
        self.wait_for(ORIGIN)

    def merge_table(self, destination: str) -> str:
        """The table of the merge."""
        return f"0 {self.shape.size} snapshot-merge {destination} cow-{UPGRADE} P {self.shape.chunk}"

    def wait_for(self, device: str) -> None:
        """Waits until the merge has ended.  Raises RecipeError if it has failed."""
        self.do(sm.Settle(device))
        status = self.status(device)
        if status.endswith(("Merge failed", "Invalid")):
            raise RecipeError(f"the merge has failed: {sm.shortened(status)}")

    def put_back(self) -> None:
        """Replaces the merge by the origin, and removes the snapshot's device."""
        self.do(sm.Suspend(ORIGIN))
        self.do(sm.Load(ORIGIN, self.origin_table()))
        self.tables[ORIGIN] = self.origin_table()
        self.do(sm.Resume(ORIGIN))
        self.remove(UPGRADE)

    def result(self) -> RolledBack:
        """Reads everything and compares."""
        siblings = tuple(
            (name, differing(self.shown[name], self._read_all(name))) for name in (BEFORE, AFTER) if name in self.shown
        )
        origin = differing(self.shown[UPGRADE], self.read(ORIGIN))
        return RolledBack(self._merged, self.cuts, origin, siblings)

    def _read_all(self, name: str) -> tuple[Seen, ...]:
        """The content of a device; an invalid snapshot differs in every sector."""
        return (sm.Digest("invalid"),) * self.shape.size if self.is_invalid(name) else self.read(name)
