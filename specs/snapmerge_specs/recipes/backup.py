"""The incremental backup: brings a copy of a device in use up to date, by the chunks that have changed.

A snapshot's store holds the old contents of the origin, so merging it into the copy, as was proposed in 2009, does not
update the copy.  But its records say *which* chunks have changed, and the next snapshot shows their contents
(specs/recipes.md).
"""

from dataclasses import dataclass
from typing import Final

import snapmerge as sm
from snapmerge import Implementation
from snapmerge_specs.recipes.operator import BASE, Operator, Overflowed, RecipeError, Shape, differing

__all__ = ["COPY", "Backup", "Round"]

COPY: Final = "copy"
"""The disk with the copy of the origin."""

_RETAKES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one round.

    ``changed``: the number of changed chunks; ``copied``: of copied sectors, including repetitions after power cuts;
    ``full``: whether everything was copied, since there was no valid old snapshot; ``retaken``: how often the new
    snapshot became invalid while it was copied; ``different``: the sectors in which the copy differs from it.
    """

    number: int
    snapshot: str
    changed: int
    copied: int
    full: bool
    retaken: int
    cuts: int
    different: tuple[int, ...]


class Backup(Operator):
    """The recipe.  ``wait``: how many times to read the snapshot's status between two rounds.

    Raises:
        RecipeError: a step fails, a precondition does not hold, or the COW device is much too small.
    """

    def __init__(self, implementation: Implementation, shape: Shape, *, wait: int = 8) -> None:
        super().__init__(implementation, shape)
        self._wait = wait
        self._number = -1
        self._copied = 0
        self._touched = False

    @property
    def old(self) -> str:
        """The snapshot of the last round, which the copy equals."""
        return f"snap{(self._number + 1) % 2}"

    @property
    def new(self) -> str:
        """The snapshot of this round, which the copy will equal."""
        return f"snap{self._number % 2}"

    @property
    def old_cow(self) -> str:
        """The COW device of the old snapshot."""
        return f"cow{(self._number + 1) % 2}"

    def begin(self) -> None:
        """Creates the disks and the origin."""
        self.disk(BASE, self.shape.size)
        self.disk(COPY, self.shape.size)
        self.disk("cow0", self.shape.cow_size)
        self.disk("cow1", self.shape.cow_size)
        self.persevere(lambda: self.make_origin(1))

    def round(self) -> Round:
        """Updates the copy to the origin's present content; the first round copies everything."""
        self._number += 1
        self._touched = False
        cuts, copied, retaken = self.cuts, self._copied, 0
        self.persevere(self.let_time_pass)
        while (forward := self._forward()) is None:
            retaken += 1
            if retaken > _RETAKES_MAX:
                often = sm.counted(retaken, "time")
                text = f"{self.new} became invalid {often} while it was copied; make its COW device larger"
                raise RecipeError(text)
        changed, different = forward
        self.persevere(self.drop_old)
        count = self.shape.chunks if changed is None else len(changed)
        cuts, copied = self.cuts - cuts, self._copied - copied
        return Round(self._number, self.new, count, copied, changed is None, retaken, cuts, different)

    def _forward(self) -> tuple[tuple[int, ...] | None, tuple[int, ...]] | None:
        """The copied chunks (None: all) and the sectors that differ; None: the new snapshot became invalid."""
        self.persevere(self.take_next)
        try:
            return self.persevere(self.bring_forward), self.persevere(self.compare)
        except Overflowed:
            self.persevere(self.give_up_new)
            return None

    # --- the steps -----------------------------------------------------------------------------------------------

    def let_time_pass(self) -> None:
        """Waits, and reads the snapshot's status meanwhile."""
        for _ in range(self._wait):
            if self.old in self.tables:
                self.status(self.old)

    def take_next(self) -> None:
        """Makes the new snapshot, while the old one is active."""
        self.take(self.new, f"cow{self._number % 2}")

    def give_up_new(self) -> None:
        """Removes the new snapshot, which is invalid, so that another one can be made (RECIPE-6)."""
        self.remove(self.new)

    def bring_forward(self) -> tuple[int, ...] | None:
        """Copies the changed chunks (RECIPE-3), or all if they can't be known (RECIPE-5); returns them, None: all."""
        changed = self.changed()
        if changed is not None and not self._touched:
            self.check_untouched(changed)
        self._touched = True
        self.copy(tuple(range(self.shape.chunks)) if changed is None else changed)
        self.make_durable()
        return changed

    def changed(self) -> tuple[int, ...] | None:
        """The chunks of the origin with an exception in the old snapshot; None: it is invalid or does not exist.

        They are read when the new snapshot is active: a chunk without an exception is then equal in both (RECIPE-10).
        Later exceptions do no harm, since the new snapshot is copied and not the origin.
        """
        if self.old not in self.tables:
            return None
        records = self.records(self.old_cow)
        if not records.valid or self.is_invalid(self.old):
            return None
        if records.chunk_size != self.shape.chunk:
            raise RecipeError(f"the store on {self.old_cow} has chunks of {sm.counted(records.chunk_size, 'sector')}")
        return tuple(sorted({old for old, _ in records.records}))

    def check_untouched(self, chunks: tuple[int, ...]) -> None:
        """Checks that nothing has written to the old snapshot since it was copied (RECIPE-8).  Raises RecipeError."""
        for chunk in chunks:
            extent = self.extent(chunk)
            try:
                same = self.read(self.old, *extent) == self.read(COPY, *extent)
            except Overflowed:  # after its exceptions were read, which are therefore complete
                return
            if not same:
                raise RecipeError(f"chunk {chunk} of {self.old} has changed since it was copied; do not write to it")

    def copy(self, chunks: tuple[int, ...]) -> None:
        """Copies these chunks from the new snapshot to the copy."""
        for chunk in chunks:
            first, count = self.extent(chunk)
            self.write(COPY, first, self.read(self.source(), first, count))
            self._copied += count

    def extent(self, chunk: int) -> tuple[int, int]:
        """The sectors of a chunk that the origin has: the first, and how many."""
        return self.shape.extent(chunk)

    def source(self) -> str:
        """The device to copy from."""
        return self.new

    def make_durable(self) -> None:
        """Flushes the copy; until then the old snapshot is needed to repeat the round (RECIPE-12)."""
        self.do(sm.Flush(COPY))

    def compare(self) -> tuple[int, ...]:
        """The sectors in which the copy differs from the new snapshot."""
        return differing(self.read(self.new), self.read(COPY))

    def drop_old(self) -> None:
        """Removes the old snapshot; the new one takes its place."""
        self.remove(self.old)
