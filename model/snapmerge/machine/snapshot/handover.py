"""Handover: exceptions and store move from a snapshot to the target that takes its place.

The problem.  A snapshot in use is to become a ``snapshot-merge``, or to get another table.  Its exceptions and its next
free chunk are in memory, and two targets that serve one COW device would give out the same chunks.  So the new target
must not load the store from disk; it must get it from the old target, at a moment when neither is at work.

Two targets with the same origin and COW device are a pair.  The one that is active is the *source*; the other is the
*destination* (``registry.sharing_cow``).  What happens to them, in this order:

1.  The destination is constructed while the source is active (``wants_handover``).  It reads nothing, and has chunk
    size 0 (CTOR-2).  A third target on this COW device is refused; so is a merge, if the origin has one (MERGE-29).
2.  The source's device is suspended: no bio is in it.
3.  The destination's device is resumed.  ``preresume`` refuses that while the source's device is not suspended, and
    refuses to resume the source while there is a destination (MERGE-25).  Either can be tried again.
4.  ``resume`` makes sure that no exception is pending, and calls ``hand_over``: table of exceptions, store, validity
    and overflow flag move to the destination (MERGE-24).  The source is invalid from now on; it fails all I/O, and can
    be removed at any time.

If the source is destroyed before step 4, the exceptions are gone, and the destination is invalid (MERGE-26,
``resume.destroy_snapshot``).

Pending exceptions do not move.  The source has none by then: no bio is in its suspended device, and the device that
acts as the origin, whose writes make exceptions too, is kept quiet (``acting_origin``, MERGE-27).

Source: ``snapshot_ctr``, ``__find_snapshots_sharing_cow``, ``__validate_exception_handover``, ``snapshot_preresume``,
``__handover_exceptions`` in dm-snap.c.
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
    """Whether the new target takes its exceptions over from an active one (CTOR-1, rows 10 to 12; MERGE-29).

    Raises BadTable.
    """
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
    """Why a snapshot can't be resumed now (MERGE-25).  Source: ``snapshot_preresume``."""
    source, destination, _ = sharing_cow(d, snap)
    if source is None or destination is None:
        return None
    if source.id == snap.id:
        return "snapshots: Unable to resume snapshot source until handover completes."
    if not d.device(source.device).suspended:
        return "snapshots: Unable to perform snapshot handover until source is suspended."
    return None


def acting_origin(view: View, snap: SnapshotTarget) -> str | None:
    """The other device through which the origin is written: a live ``snapshot-origin``, else a ``snapshot-merge``.

    None: there is none, or it is the snapshot's own.  Source: ``snapshot_resume``.
    """
    origins = (t for _, t in sorted(view.targets.items()) if isinstance(t, OriginTarget))
    name = next((t.device for t in origins if t.acting and t.lower == snap.origin), None)
    if name is None:
        name = next((s.device for s in reversed(snapshots_of(view, snap.origin)) if s.merge is not None), None)
    return None if name == snap.device else name


def hand_over(d: Draft, source: SnapshotTarget, destination: SnapshotTarget) -> None:
    """Moves exceptions and store to the new target; the old one is invalid from now on (MERGE-24).

    Source: ``__handover_exceptions``.
    """
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
