"""The quick backup: a copy of a device in use, brought forward by the chunks that have changed (specs/recipes.md).

What a snapshot's store holds is what the origin held before, so merging it into the copy brings nothing forward, as was
proposed in 2009.  But it says *which* chunks have changed; the next snapshot says to what.
"""

from dataclasses import dataclass
from typing import Final

import snapmerge as sm
from snapmerge import Implementation
from snapmerge_specs.recipes.operator import BASE, Operator, Overflowed, RecipeError, Shape, differing

__all__ = ["COPY", "Backup", "Round"]

COPY: Final = "copy"
"""The disk that the origin is copied to."""

_RETAKES_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Round:
    """One round.  ``changed``: chunks; ``copied``: sectors, also those that were copied again after a power cut.

    ``full``: everything was copied, as there was no valid snapshot to compare with; ``retaken``: how often the new
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
    """The recipe.  ``wait``: how many times to look at the snapshot between two rounds.

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
        """The snapshot that the copy equals."""
        return f"snap{(self._number + 1) % 2}"

    @property
    def new(self) -> str:
        """The snapshot that the copy is to equal."""
        return f"snap{self._number % 2}"

    @property
    def old_cow(self) -> str:
        """The store of the old one."""
        return f"cow{(self._number + 1) % 2}"

    def begin(self) -> None:
        """Makes the disks and the origin."""
        self.disk(BASE, self.shape.size)
        self.disk(COPY, self.shape.size)
        self.disk("cow0", self.shape.cow_size)
        self.disk("cow1", self.shape.cow_size)
        self.persevere(lambda: self.make_origin(1))

    def round(self) -> Round:
        """Brings the copy forward to what the origin holds now; the first time copies everything."""
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
        """What was copied, and what differs; None: the new snapshot became invalid, and is gone."""
        self.persevere(self.take_next)
        try:
            return self.persevere(self.bring_forward), self.persevere(self.compare)
        except Overflowed:
            self.persevere(self.give_up_new)
            return None

    # --- the steps -----------------------------------------------------------------------------------------------

    def let_time_pass(self) -> None:
        """Waits, and looks at the snapshot meanwhile."""
        for _ in range(self._wait):
            if self.old in self.tables:
                self.status(self.old)

    def take_next(self) -> None:
        """Makes the new snapshot, while the old one is active."""
        self.take(self.new, f"cow{self._number % 2}")

    def give_up_new(self) -> None:
        """Takes the new snapshot away, which is invalid."""
        self.remove(self.new)

    def bring_forward(self) -> tuple[int, ...] | None:
        """Copies the chunks that have changed, all if that can't be known; which they are, None: all."""
        changed = self.changed()
        if changed is not None and not self._touched:
            self.check_untouched(changed)
        self._touched = True
        self.copy(tuple(range(self.shape.chunks)) if changed is None else changed)
        self.make_durable()
        return changed

    def changed(self) -> tuple[int, ...] | None:
        """The chunks of the origin with an exception in the old snapshot; None: there is none, or it is invalid.

        To be read when the new one is active: a chunk without an exception then is the same in both.  Exceptions that
        are made later do no harm, as what is copied is what the new one shows.
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
        """The old snapshot is as it was copied: nobody has written to it.  Raises RecipeError."""
        for chunk in chunks:
            extent = self.extent(chunk)
            try:
                same = self.read(self.old, *extent) == self.read(COPY, *extent)
            except Overflowed:  # since its exceptions were read; they are right
                return
            if not same:
                raise RecipeError(f"{self.old} is no longer what was copied, in chunk {chunk}; nobody may write to it")

    def copy(self, chunks: tuple[int, ...]) -> None:
        """Copies chunks from the new snapshot."""
        for chunk in chunks:
            first, count = self.extent(chunk)
            self.write(COPY, first, self.read(self.source(), first, count))
            self._copied += count

    def extent(self, chunk: int) -> tuple[int, int]:
        """The sectors of a chunk that the origin has: the first, and how many."""
        return self.shape.extent(chunk)

    def source(self) -> str:
        """Where to copy from."""
        return self.new

    def make_durable(self) -> None:
        """Flushes the copy, before that goes from which it could be made again."""
        self.do(sm.Flush(COPY))

    def compare(self) -> tuple[int, ...]:
        """The sectors in which the copy is not what the new snapshot shows."""
        return differing(self.read(self.new), self.read(COPY))

    def drop_old(self) -> None:
        """Removes the old snapshot; the new one takes its place."""
        self.remove(self.old)
