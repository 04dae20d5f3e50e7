"""Handover: exceptions and store move from a snapshot to the target that takes its place.

A table line that names the origin and the COW device of a snapshot that is in use makes a target without exceptions,
the *destination*.  The snapshot in use is the *source*.  When the destination is resumed, with the source suspended,
it takes over the store and the exceptions, and the source is dead from then on (MERGE-20 and following in
specs/merge.md).  This is how a snapshot becomes a ``snapshot-merge`` without a moment in which its exceptions are not
served.

Source: ``snapshot_preresume``, ``__handover_exceptions``, ``__validate_exception_handover`` in dm-snap.c.
"""

from snapmerge.format.exceptions import NO_EXCEPTIONS
from snapmerge.format.store import Persistent
from snapmerge.machine.core.draft import Draft, View
from snapmerge.machine.core.table_line import BadTable
from snapmerge.machine.snapshot.registry import sharing_cow, snapshots_of
from snapmerge.machine.snapshot.state import OriginTarget, SnapshotTarget
from snapmerge.records import replace

__all__ = ["NO_MERGE", "acting_origin", "hand_over", "preresume", "wants_handover"]

NO_MERGE = "Snapshot exception store does not support snapshot-merge."


def wants_handover(view: View, snap: SnapshotTarget) -> bool:
    """Whether the new target takes its exceptions over from an active one.  Raises BadTable."""
    source, destination, count = sharing_cow(view, snap)
    if count == 2 or destination is not None:
        raise BadTable("Snapshot cow pairing for exception table handover failed")
    if source is None or snap.merge is None:
        return source is not None
    if any(s.merge is not None for s in snapshots_of(view, snap.origin)):
        raise BadTable("A snapshot is already merging.")
    if not isinstance(source.store, Persistent):
        raise BadTable(NO_MERGE)
    return True


def preresume(d: Draft, snap: SnapshotTarget) -> str | None:
    """Why a snapshot can't be resumed now.  Source: ``snapshot_preresume``."""
    source, destination, _ = sharing_cow(d, snap)
    if source is None or destination is None:
        return None
    if source.id == snap.id:
        return "snapshots: Unable to resume snapshot source until handover completes."
    if not d.device(source.device).suspended:
        return "snapshots: Unable to perform snapshot handover until source is suspended."
    return None


def acting_origin(view: View, snap: SnapshotTarget) -> str | None:
    """The other device through which the origin is written: a live ``snapshot-origin``, else a ``snapshot-merge``."""
    origins = (t for _, t in sorted(view.targets.items()) if isinstance(t, OriginTarget))
    name = next((t.device for t in origins if t.acting and t.lower == snap.origin), None)
    if name is None:
        name = next((s.device for s in reversed(snapshots_of(view, snap.origin)) if s.merge is not None), None)
    return None if name == snap.device else name


def hand_over(d: Draft, source: SnapshotTarget, destination: SnapshotTarget) -> None:
    """Moves exceptions and store to the new target; the old one is dead from now on.  ``__handover_exceptions``."""
    store = replace(source.store, overflow=destination.store.overflow)
    taken = replace(
        destination,
        completed=source.completed,
        store=store,
        io_max=store.chunk_size,
        valid=source.valid,
        overflowed=source.overflowed,
    )
    d.put(taken, over=destination)
    d.put(replace(source, completed=NO_EXCEPTIONS, store=destination.store, valid=False), over=source)
