"""Concurrent events for a recipe, as wrappers around an implementation: ``Load(PowerCuts(implementation))``.

``PowerCuts`` cuts the power during operations.  ``Ledger`` records the origin's content from the writes to it.
``Load`` is a ledger that also writes to the origin, as other users do.
"""

from collections.abc import Callable, Iterable
from typing import Final

import snapmerge as sm
from snapmerge import Capabilities, Implementation, Operation, Outcome, Sector, Sectors
from snapmerge_specs.generations.generation import Draw
from snapmerge_specs.recipes.operator import BASE, ORIGIN, PowerCut, RecipeError

__all__ = ["Draw", "Ledger", "Load", "Numbers", "PowerCuts"]

_CUT_KEY: Final = 1_000_000
_FIRST_TAG: Final = 1_000_000


class Numbers:
    """Draws from given numbers; when they are used up, every draw is the least allowed one, and users rest."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._numbers = iter(numbers)

    def __call__(self, least: int, most: int) -> int:
        """The next number, brought into the range."""
        return least + next(self._numbers, 0) % (most - least + 1)


class PowerCuts:
    """Cuts the power during an operation whenever ``when`` returns true, and raises PowerCut."""

    def __init__(self, inner: Implementation, when: Callable[[], bool]) -> None:
        self._inner = inner
        self._when = when

    @property
    def capabilities(self) -> Capabilities:
        """Those of the wrapped implementation."""
        return self._inner.capabilities

    def apply(self, operation: Operation) -> Outcome:
        """Carries the operation out, or begins it and cuts the power.  Raises PowerCut, OperationError."""
        if isinstance(operation, sm.Disk | sm.Reset | sm.Crash | sm.Fault | sm.Heal) or not self._when():
            return self._inner.apply(operation)
        if isinstance(operation, sm.Start):
            self._inner.apply(operation)
        elif not isinstance(operation, sm.Finish):
            self._inner.apply(sm.Start(_CUT_KEY, operation))
        self._inner.apply(sm.Crash())
        raise PowerCut(sm.print_operation(operation))

    def close(self) -> None:
        """Closes the wrapped implementation."""
        self._inner.close()


class Ledger:
    """Records the origin's content in a plain array, from the writes to it that have ended.

    Attributes: ``contents`` the origin's content in the suspension in which each snapshot was made, by the snapshot's
    name; ``unsure`` the sectors that a power cut may have changed, until they are written again.
    """

    def __init__(self, inner: Implementation, size: int) -> None:
        self._inner = inner
        self.contents: dict[str, tuple[int, ...]] = {}
        self.held = [0] * size
        self.under_way: dict[int, sm.Write] = {}
        self._volatile: set[int] = set()
        self.unsure: set[int] = set()
        self.is_there = self.is_suspended = False

    @property
    def capabilities(self) -> Capabilities:
        """Those of the wrapped implementation."""
        return self._inner.capabilities

    def close(self) -> None:
        """Closes the wrapped implementation."""
        self._inner.close()

    def apply(self, operation: Operation) -> Outcome:
        """Carries the operation out, and records its effect.  Raises PowerCut, OperationError."""
        try:
            outcome = self._inner.apply(operation)
        except PowerCut:
            self._cut(operation)
            raise
        if isinstance(outcome, sm.Done):
            self._note(operation)
        return outcome

    def _cut(self, operation: Operation) -> None:
        """A power cut makes the sectors unsure that were written since the last flush or are being written."""
        inner = sm.inner(operation)
        self.unsure |= self._volatile
        for write in [*self.under_way.values(), inner]:
            if isinstance(write, sm.Write) and write.where in (ORIGIN, BASE):
                self.unsure.update(range(write.sector, write.sector + write.count))
        self.under_way.clear()
        self._volatile.clear()
        self.is_there = self.is_suspended = False

    def _note(self, operation: Operation) -> None:
        match operation:
            case sm.Write(where) if where in (ORIGIN, BASE):
                self._written(operation)
            case sm.Start(key, sm.Write(where=where) as write) if where == ORIGIN:
                self.under_way[key] = write
            case sm.Finish(key) if key in self.under_way:
                self._written(self.under_way.pop(key))
            case sm.Flush(where) if where in (ORIGIN, BASE):
                self._volatile.clear()
            case sm.Suspend(device) if device == ORIGIN:
                self._suspended()
            case sm.Resume(device) if device == ORIGIN:
                self.is_suspended = False
            case sm.Create(device, str()) if device == ORIGIN:
                self.is_there = True
            case sm.Create(device, str(table)) if self.is_suspended and table.split()[2] == "snapshot":
                self.contents[device] = tuple(self.held)
            case _:
                pass

    def _written(self, write: sm.Write) -> None:
        sectors = range(write.sector, write.sector + write.count)
        self.held[sectors.start : sectors.stop] = range(write.tag, write.tag + write.count)
        self._volatile.update(sectors)
        self.unsure.difference_update(sectors)

    def _suspended(self) -> None:
        """The suspension has waited for all writes under way; none of them was held back."""
        for write in self.under_way.values():
            self._written(write)
        self.under_way.clear()
        self.is_suspended = True


class Load(Ledger):
    """Other users of the origin: before operations they write to it, or start, finish or flush writes.

    ``longest``: the most sectors of a write; ``every``: they act once in this many operations.  Writes under way never
    overlap, since either of two could be the last.

    Attributes: ``writes`` the number of writes so far.
    """

    def __init__(
        self, inner: Implementation, size: int, draw: Draw, *, longest: int | None = None, every: int = 1
    ) -> None:
        super().__init__(inner, size)
        self._size = size
        self._draw = draw
        self._longest = longest or max(1, size // 6)
        self._every = every
        self._tag = _FIRST_TAG
        self._key = 1
        self._begun: list[int] = []
        self._late: set[int] = set()
        self._calm = False
        self.writes = 0

    def apply(self, operation: Operation) -> Outcome:
        """Lets the users act, and then carries the operation out.  Raises PowerCut, OperationError, RecipeError."""
        if self.is_there and not self._calm and (self._every == 1 or self._draw(1, self._every) == self._every):
            self._play()
        if operation == sm.Suspend(ORIGIN):
            self._finish_late()
        outcome = super().apply(operation)
        if isinstance(operation, sm.Create) and operation.device == ORIGIN:
            self._make_sure()
        return outcome

    def rest(self) -> None:
        """Finishes the writes under way; from now on the users do not write."""
        self._calm = True
        while self._begun:
            self._finish(self._begun[0])

    def _cut(self, operation: Operation) -> None:
        super()._cut(operation)
        self._begun.clear()

    def _play(self) -> None:
        match self._draw(0, 7):
            case 1 | 2 if not self.is_suspended:
                self._write()
            case 3 | 4:
                self._start()
            case 5 | 6 if self._begun and not self.is_suspended:
                self._finish(self._begun[0])
            case 7 if not self.is_suspended:
                super().apply(sm.Flush(ORIGIN))
            case _:
                pass

    def _new_write(self) -> sm.Write | None:
        """A write that overlaps none under way; None: the draw overlaps one."""
        sector = self._draw(0, self._size - 1)
        count = min(self._draw(1, self._longest), self._size - sector)
        busy = [range(w.sector, w.sector + w.count) for w in self.under_way.values()]
        if any(sector < other.stop and other.start < sector + count for other in busy):
            return None
        self._tag += count
        return sm.Write(ORIGIN, Sector(sector), Sectors(count), self._tag - count)

    def _write(self) -> None:
        write = self._new_write()
        if write is not None:
            self._succeed(write)

    def _start(self) -> None:
        write = self._new_write()
        if write is not None and "start" in self.capabilities.operations:
            self._begun.append(self._key)
            if self.is_suspended:
                self._late.add(self._key)
            self._key += 1
            super().apply(sm.Start(self._begun[-1], write))
            self.writes += 1

    def _finish_late(self) -> None:
        """Finishes writes that were started in a suspension: the next one does not wait for bios that are held back."""
        for key in [key for key in self._begun if key in self._late]:
            self._finish(key)

    def _finish(self, key: int) -> None:
        self._begun.remove(key)
        outcome = super().apply(sm.Finish(key))
        if not isinstance(outcome, sm.Done):
            raise RecipeError(f"a write to the origin should succeed: {sm.shortened(sm.print_outcome(outcome))}")

    def _make_sure(self) -> None:
        """Writes unsure sectors again after a power cut, as a user with a journal would."""
        for sector in () if self._calm else sorted(self.unsure):
            self._tag += 1
            self._succeed(sm.Write(ORIGIN, Sector(sector), Sectors(1), self._tag - 1))

    def _succeed(self, write: sm.Write) -> None:
        outcome = super().apply(write)
        if not isinstance(outcome, sm.Done):
            raise RecipeError(f"a write to the origin should succeed: {sm.shortened(sm.print_outcome(outcome))}")
        self.writes += 1
