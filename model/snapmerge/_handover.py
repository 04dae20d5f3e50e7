"""Handover: exceptions and store move from a snapshot to the target that takes its place (specs/merge.md).

Source: ``snapshot_preresume``, ``snapshot_resume``, ``__handover_exceptions`` in dm-snap.c.
"""

from . import _concept, _construct
from ._concept_state import Generation
from ._draft import Draft
from ._exceptions import NO_EXCEPTIONS
from ._replace import replace
from ._state import OriginTarget, SnapshotTarget, Target

__all__ = ["acting_origin", "hand_over", "preresume"]


def preresume(d: Draft, target: Target) -> str | None:
    """Why a target can't be resumed now.  Source: ``snapshot_preresume``."""
    if d.generation is Generation.CONCEPT:
        problem = d.rules.concept.refuse(d, target) or _concept.in_use(d, target)
        if problem is not None:
            return problem
    if not isinstance(target, SnapshotTarget):
        return None
    source, destination, _ = _construct.sharing_cow(d, target)
    if source is None or destination is None:
        return None
    if source.id == target.id:
        return "Unable to resume snapshot source until handover completes."
    if not d.device(source.device).suspended:
        return "Unable to perform snapshot handover until source is suspended."
    return None


def acting_origin(d: Draft, snap: SnapshotTarget) -> str | None:
    """The other device through which the origin is written: a live ``snapshot-origin``, else a ``snapshot-merge``."""
    origins = (t for _, t in sorted(d.targets.items()) if isinstance(t, OriginTarget))
    name = next((t.device for t in origins if t.acting and t.lower == snap.origin), None)
    if name is None:
        name = next((s.device for s in reversed(d.snapshots_of(snap.origin)) if s.merge is not None), None)
    return None if name == snap.device else name


def hand_over(d: Draft, source: SnapshotTarget, destination: SnapshotTarget) -> None:
    """Exceptions and store move to the new target; the old one is dead from now on.  ``__handover_exceptions``."""
    store = replace(source.store, overflow=destination.store.overflow)
    d.put(
        replace(
            destination,
            completed=source.completed,
            store=store,
            io_max=store.chunk_size,
            valid=source.valid,
            overflowed=source.overflowed,
        ),
        over=destination,
    )
    d.put(replace(source, completed=NO_EXCEPTIONS, store=destination.store, valid=False), over=source)
