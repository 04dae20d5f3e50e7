"""The recipes as proposed in 2009 (specs/recipes.md), with a seeded defect that their properties catch."""

from collections.abc import Callable
from typing import Final, Literal

import snapmerge as sm
from snapmerge import Implementation
from snapmerge_specs.recipes.backup import COPY, Backup
from snapmerge_specs.recipes.operator import BASE, ORIGIN, Shape
from snapmerge_specs.recipes.rollback import UPGRADE, Rollback

__all__ = ["CONCEPT_ROLLBACK_DEFECTS", "BackupAsPosted", "ConceptRollback"]


class ConceptRollback(Rollback):
    """The rollback as proposed in 2009: the merge is a device of its own, and the snapshot is suspended.

    ``destination``: the virtual origin, through which other snapshots are protected, or the real one, without that.
    """

    def __init__(
        self,
        implementation: Implementation,
        shape: Shape,
        failed: Callable[[], None],
        *,
        wait: int = 40,
        destination: Literal["virtual", "real"] = "virtual",
    ) -> None:
        super().__init__(implementation, shape, failed, wait=wait)
        self._destination = ORIGIN if destination == "virtual" else BASE

    def merge(self) -> None:
        """Creates the merge, also again after a power cut, and waits for it."""
        if UPGRADE in self.tables:
            self.do(sm.Suspend(UPGRADE))
            del self.tables[UPGRADE]
        self.create("merge", self.merge_table(self._destination))
        self.wait_for("merge")

    def put_back(self) -> None:
        """Removes the merge and the snapshot's device."""
        self.remove("merge")
        self.remove(UPGRADE)


class BackupAsPosted(Backup):
    """The backup as proposed in 2009: merges the old snapshot's exceptions into the copy."""

    def bring_forward(self) -> tuple[int, ...] | None:
        """Merges with the copy as destination; the first round copies everything."""
        changed = self.changed()
        if changed is None:
            return super().bring_forward()
        size, chunk = self.shape.size, self.shape.chunk
        self.do(sm.Suspend(self.old))
        self.do(sm.Create("merge", f"0 {size} snapshot-merge {COPY} {self.old_cow} P {chunk}"))
        self.do(sm.Settle("merge"))
        self.do(sm.Remove("merge"))
        self._copied += sum(self.extent(chunk)[1] for chunk in changed)
        return changed


class DoesNotWaitBeside(ConceptRollback):
    """Removes the merge before it has ended."""

    def wait_for(self, device: str) -> None:
        """Does nothing."""


CONCEPT_ROLLBACK_DEFECTS: Final = (DoesNotWaitBeside,)
"""The defects of the rollback as proposed in 2009."""
