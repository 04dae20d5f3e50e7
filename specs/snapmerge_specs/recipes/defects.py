"""Seeded defects of the recipes, each with one plausible mistake that their properties catch.

Most leave out a step or a precondition, which shows that it is needed.
"""

from typing import Final

import snapmerge as sm
from snapmerge_specs.recipes.backup import Backup
from snapmerge_specs.recipes.operator import ORIGIN, Operator
from snapmerge_specs.recipes.rollback import Rollback

__all__ = ["BACKUP_DEFECTS", "ROLLBACK_DEFECTS"]


class _OriginNotFlushed(Operator):
    """The origin is not flushed in the suspension, so a power cut changes the snapshot."""

    def flush_origin(self) -> None:
        """Does nothing."""


class _OriginFirst(Operator):
    """After a power cut the origin is recreated before its snapshots."""

    def rank(self, device: str) -> int:
        """The reverse order."""
        return -super().rank(device)


class CopiesOrigin(Backup):
    """Copies from the origin, which other users keep changing."""

    def source(self) -> str:
        """The origin instead of the new snapshot."""
        return ORIGIN


class ReadsTooEarly(Backup):
    """Reads which chunks have changed before the new snapshot is active."""

    def take_next(self) -> None:
        """Reads the changed chunks first."""
        if self.new not in self.tables:
            self._early = super().changed()
        super().take_next()

    def changed(self) -> tuple[int, ...] | None:
        """The chunks that were read too early."""
        return self._early


class DoesNotClip(Backup):
    """Takes a partial last chunk for a whole one."""

    def extent(self, chunk: int) -> tuple[int, int]:
        """The chunk, beyond the origin's end if it is partial."""
        return chunk * self.shape.chunk, self.shape.chunk


class LeavesTail(Backup):
    """Copies whole chunks only."""

    def copy(self, chunks: tuple[int, ...]) -> None:
        """Leaves a partial last chunk out."""
        super().copy(tuple(c for c in chunks if (c + 1) * self.shape.chunk <= self.shape.size))


class WritesToSnapshot(Backup):
    """The new snapshot is written to before it is copied."""

    def bring_forward(self) -> tuple[int, ...] | None:
        """Writes to the snapshot first."""
        self.see(sm.Write(self.new, sm.Sector(0), sm.Sectors(1), 4_000_000))
        return super().bring_forward()


class WritesToOld(Backup):
    """The old snapshot is written to after it was copied."""

    def let_time_pass(self) -> None:
        """Writes to the snapshot first."""
        if self.old in self.tables:
            self.see(sm.Write(self.old, sm.Sector(0), sm.Sectors(1), 4_000_000))
        super().let_time_pass()


class IgnoresInvalid(Backup):
    """Uses the exceptions of an invalid snapshot, which are incomplete."""

    def changed(self) -> tuple[int, ...] | None:
        """The exceptions in the store, whether the snapshot is valid or not."""
        if self.old not in self.tables:
            return None
        return tuple(sorted({old for old, _ in self.records(self.old_cow).records}))


class DoesNotFlushCopy(Backup):
    """The old snapshot is removed before the copy is durable."""

    def make_durable(self) -> None:
        """Does nothing."""


class RemovesFirst(Backup):
    """The old snapshot is removed before the new one is made: neither has exceptions for writes in between."""

    def take_next(self) -> None:
        """Reads the exceptions of the old snapshot and removes it first."""
        if self.new not in self.tables:
            self._early = super().changed()
            self.remove(self.old)
        super().take_next()

    def changed(self) -> tuple[int, ...] | None:
        """The exceptions that were read before."""
        return self._early

    def check_untouched(self, chunks: tuple[int, ...]) -> None:
        """Does nothing, since the old snapshot does not exist any more."""


class DoesNotWipe(Backup):
    """The new snapshot begins with the records of an old store."""

    def wipe(self, cow: str) -> None:
        """Does nothing."""


class DoesNotSecure(Backup):
    """The origin is resumed before the new store is durable, so a power cut restores records of an old one."""

    def secure(self, cow: str) -> None:
        """Does nothing."""


class SkipsCopiedAfterCut(Backup):
    """After a power cut does not copy again what was copied before it, and may be lost."""

    def take_next(self) -> None:
        """Begins a new round."""
        self._copied_already: set[int] = set()
        super().take_next()

    def copy(self, chunks: tuple[int, ...]) -> None:
        """Copies the chunks that were not copied before."""
        for chunk in chunks:
            if chunk not in self._copied_already:
                super().copy((chunk,))
                self._copied_already.add(chunk)


class Transient(Backup):
    """Snapshots with transient stores."""

    kind = "N"


class BackupOriginNotFlushed(_OriginNotFlushed, Backup):
    """A backup whose origin is not flushed."""


class BackupOriginFirst(_OriginFirst, Backup):
    """A backup whose origin is recreated first."""


class DoesNotWait(Rollback):
    """Replaces the merge by the origin before it has ended."""

    def wait_for(self, device: str) -> None:
        """Does nothing."""


class ForgetsMerge(Rollback):
    """After a power cut recreates the origin instead of the merge that was under way."""

    def restore(self) -> None:
        """Recreates the origin's device with the table of an origin."""
        if ORIGIN in self.tables:
            self.tables[ORIGIN] = self.origin_table()
        super().restore()


class RollbackOriginNotFlushed(_OriginNotFlushed, Rollback):
    """A rollback whose origin is not flushed."""


class RollbackOriginFirst(_OriginFirst, Rollback):
    """A rollback whose origin is recreated first: the merge overwrites chunks that its siblings need."""


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
    SkipsCopiedAfterCut,
    Transient,
    BackupOriginNotFlushed,
    BackupOriginFirst,
)
"""The defects of the backup."""

ROLLBACK_DEFECTS: Final = (DoesNotWait, ForgetsMerge, RollbackOriginNotFlushed, RollbackOriginFirst)
"""The defects of the rollback by handover."""
