"""Status and table lines of snapshots and origins: pure functions of the stack.

Source: ``snapshot_status``, ``origin_status`` in dm-snap.c (specs/snapshot.md).
"""

from snapmerge.machine.core.draft import Rules
from snapmerge.machine.core.state import Stack
from snapmerge.machine.snapshot.rules import SnapshotRules
from snapmerge.machine.snapshot.state import SnapshotTarget

__all__ = ["snapshot_status", "status_words", "table_words"]


def status_words(stack: Stack, rules: Rules, snap: SnapshotTarget) -> tuple[str, ...]:
    """The words of the status line."""
    return (rules.part(SnapshotRules).status(snap, stack.size(snap.cow)),)


def snapshot_status(snap: SnapshotTarget, total: int) -> str:
    """The status of a snapshot or a merge (SNAP-16); ``total``: the size of its COW device in sectors."""
    if not snap.valid:
        return "Invalid"
    if snap.merge is not None and snap.merge.failed:
        return "Merge failed"
    if snap.overflowed:
        return "Overflow"
    allocated, total, metadata = snap.store.usage(total)
    return f"{allocated}/{total} {metadata}"


def table_words(snap: SnapshotTarget) -> tuple[str, ...]:
    """The arguments of the table line, as the kernel prints them (SNAP-17)."""
    return (snap.origin, snap.cow, snap.store.letters, str(snap.store.chunk_size), *snap.features.words)
