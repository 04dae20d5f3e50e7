"""The replaceable transitions of snapshots.

Seeded defects, findings in real kernels, and the other generation of ``snapshot-merge`` replace them, one by one.
"""

from collections.abc import Callable
from dataclasses import dataclass

from snapmerge.format.store import Store
from snapmerge.machine.core.bio import Bio, WorkId
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Piece
from snapmerge.machine.snapshot.state import SnapshotTarget

__all__ = ["SnapshotRules", "rules_of"]


@dataclass(frozen=True, slots=True, eq=False)
class SnapshotRules:
    """The fields are transitions and predicates; each has the name of the function that serves Linux.

    ``can_merge``: whether a ``snapshot-merge`` may have a store of this kind.
    ``admit``: why a snapshot can't be constructed, besides the checks of ``ctr``; None: it can.  ``exception_done``:
    listeners, called after an exception of any snapshot is released (``pending_exceptions_done``).
    ``sibling_resumed``: listeners, called with the origin after one of its snapshots was resumed.
    """

    max_io_len: Callable[[Draft, SnapshotTarget, Bio], int]
    map_snapshot: Callable[[Draft, WorkId, SnapshotTarget, Piece], None]
    map_merge: Callable[[Draft, WorkId, SnapshotTarget, Piece], None]
    origin_write: Callable[[Draft, str, int, WorkId | None], bool]
    write_area: Callable[[Draft, SnapshotTarget], None]
    publish: Callable[[Draft, SnapshotTarget], None]
    invalidate: Callable[[Draft, SnapshotTarget, str], None]
    drop_header: Callable[[Draft, SnapshotTarget], None]
    finish_load: Callable[[Draft, SnapshotTarget], None]
    hand_over: Callable[[Draft, SnapshotTarget, SnapshotTarget], None]
    stop_merge: Callable[[Draft, int], None]
    next_run: Callable[[Draft, int], None]
    protect: Callable[[Draft, SnapshotTarget], None]
    drain: Callable[[Draft, SnapshotTarget], None]
    flush_origin: Callable[[Draft, SnapshotTarget], None]
    commit_merge: Callable[[Draft, SnapshotTarget], None]
    release_run: Callable[[Draft, SnapshotTarget], None]
    fail_merge: Callable[[Draft, SnapshotTarget, str], None]
    area_read: Callable[[Draft, SnapshotTarget, str | None, bytes], None]
    commit_done: Callable[[Draft, SnapshotTarget, str | None], None]
    status: Callable[[SnapshotTarget, int], str]
    can_merge: Callable[[Store], bool]
    admit: Callable[[Draft, SnapshotTarget], str | None]
    exception_done: tuple[Callable[[Draft], None], ...]
    sibling_resumed: tuple[Callable[[Draft, str], None], ...]


def rules_of(d: Draft) -> SnapshotRules:
    """The rules for snapshots in force."""
    return d.rules.part(SnapshotRules)
