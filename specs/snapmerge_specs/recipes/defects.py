"""The recipes with one plausible mistake each, which their properties catch.

Each leaves out a step, or a precondition, so that what is left is shown to be needed.
"""

from typing import Final

import snapmerge as sm
from snapmerge_specs.recipes.backup import Backup
from snapmerge_specs.recipes.operator import ORIGIN, Operator
from snapmerge_specs.recipes.rollback import Rollback

__all__ = ["BACKUP_DEFECTS", "ROLLBACK_DEFECTS"]


class _OriginNotFlushed(Operator):
    """The origin is not flushed in the suspension: a power cut changes what was a snapshot."""

    def still(self) -> None:
        """Nothing."""


class _OriginFirst(Operator):
    """After a power cut the origin can be written to before its snapshots are there."""

    def rank(self, device: str) -> int:
        """The other way round."""
        return -super().rank(device)


class CopiesOrigin(Backup):
    """Copies what the origin holds, which goes on changing."""

    def source(self) -> str:
        """The origin."""
        return ORIGIN


class ReadsTooEarly(Backup):
    """Reads which chunks have changed before the new snapshot is active."""

    def take_next(self) -> None:
        """Reads first."""
        if self.new not in self.tables:
            self._early = super().changed()
        super().take_next()

    def changed(self) -> tuple[int, ...] | None:
        """What was read."""
        return self._early


class DoesNotClip(Backup):
    """Takes the last chunk for a whole one."""

    def extent(self, chunk: int) -> tuple[int, int]:
        """Whole chunks."""
        return chunk * self.shape.chunk, self.shape.chunk


class LeavesTail(Backup):
    """Counts whole chunks only."""

    def copy(self, chunks: tuple[int, ...]) -> None:
        """Without the last one if it is a part."""
        super().copy(tuple(c for c in chunks if (c + 1) * self.shape.chunk <= self.shape.size))


class WritesToSnapshot(Backup):
    """Somebody writes to the snapshot before it is copied."""

    def bring_forward(self) -> tuple[int, ...] | None:
        """Writes first."""
        self.see(sm.Write(self.new, sm.Sector(0), sm.Sectors(1), 4_000_000))
        return super().bring_forward()


class WritesToOld(Backup):
    """Somebody writes to the snapshot after it was copied."""

    def let_time_pass(self) -> None:
        """Writes first."""
        if self.old in self.tables:
            self.see(sm.Write(self.old, sm.Sector(0), sm.Sectors(1), 4_000_000))
        super().let_time_pass()


class IgnoresInvalid(Backup):
    """Believes the exceptions of a snapshot that had no room for all."""

    def changed(self) -> tuple[int, ...] | None:
        """Whatever the store says."""
        if self.old not in self.tables:
            return None
        return tuple(sorted({old for old, _ in self.records(self.old_cow).records}))


class DoesNotFlushCopy(Backup):
    """The old snapshot goes while what was copied may still be lost."""

    def make_durable(self) -> None:
        """Nothing."""


class RemovesFirst(Backup):
    """The old snapshot is removed before the new one is made: what is written between is in neither."""

    def take_next(self) -> None:
        """Removes first, and keeps what was read."""
        if self.new not in self.tables:
            self._early = super().changed()
            self.remove(self.old)
        super().take_next()

    def changed(self) -> tuple[int, ...] | None:
        """What was read."""
        return self._early

    def check_untouched(self, chunks: tuple[int, ...]) -> None:
        """There is nothing to compare with."""


class DoesNotWipe(Backup):
    """A store that was there is taken for the new snapshot's."""

    def wipe(self, cow: str) -> None:
        """Nothing."""


class DoesNotSecure(Backup):
    """The origin goes on before the new store is durable: a power cut brings back records of the one before."""

    def secure(self, cow: str) -> None:
        """Nothing."""


class GoesOnAfterCut(Backup):
    """After a power cut takes for copied what was copied before it."""

    def take_next(self) -> None:
        """A new round."""
        self._copied_already: set[int] = set()
        super().take_next()

    def copy(self, chunks: tuple[int, ...]) -> None:
        """Those that are left."""
        for chunk in chunks:
            if chunk not in self._copied_already:
                super().copy((chunk,))
                self._copied_already.add(chunk)


class Transient(Backup):
    """Snapshots without a store on their disks."""

    kind = "N"


class BackupOriginNotFlushed(_OriginNotFlushed, Backup):
    """The same."""


class BackupOriginFirst(_OriginFirst, Backup):
    """The same."""


class DoesNotWait(Rollback):
    """Takes the origin back before the merge is over."""

    def wait_for(self, device: str) -> None:
        """Nothing."""


class ForgetsMerge(Rollback):
    """After a power cut makes the origin, and not the merge that was under way."""

    def restore(self) -> None:
        """The origin is an origin."""
        if ORIGIN in self.tables:
            self.tables[ORIGIN] = self.origin_table()
        super().restore()


class RollbackOriginNotFlushed(_OriginNotFlushed, Rollback):
    """The same."""


class RollbackOriginFirst(_OriginFirst, Rollback):
    """The same: a merge overwrites what its siblings still need."""


BACKUP_DEFECTS: Final = (
    CopiesOrigin,
    ReadsTooEarly,
    DoesNotClip,
    LeavesTail,
    WritesToSnapshot,
    WritesToOld,
    IgnoresInvalid,
    DoesNotFlushCopy,
    RemovesFirst,
    DoesNotWipe,
    DoesNotSecure,
    GoesOnAfterCut,
    Transient,
    BackupOriginNotFlushed,
    BackupOriginFirst,
)
"""Of the backup."""

ROLLBACK_DEFECTS: Final = (DoesNotWait, ForgetsMerge, RollbackOriginNotFlushed, RollbackOriginFirst)
"""Of the rollback by handover."""
