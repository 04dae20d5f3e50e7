"""Exclusive use of a merge's devices: one merge for a destination, one server for a COW device.

Source: ``snapshot_merge_ctr`` and the comments on ``FMODE_EXCL`` of the patch (specs/concept.md).
"""

from snapmerge.format.exceptions import NO_EXCEPTIONS
from snapmerge.machine.concept.rules import rules_of
from snapmerge.machine.concept.state import ConceptMerge
from snapmerge.machine.core import tables
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import DeviceBio, Target
from snapmerge.machine.snapshot.state import SnapshotTarget
from snapmerge.records import replace

__all__ = [
    "claim",
    "claims",
    "in_use",
    "is_claimed",
    "refuse",
    "take_over",
]


def is_claimed(d: Draft, merge: ConceptMerge, device: str, by: str | None) -> bool:
    """Whether a live merge has the device as its destination: only its own device may write there (CONCEPT-13)."""
    return merge.claims and merge.destination == device and merge.device != by and rules_of(d).claims(merge)


def claims(_merge: ConceptMerge) -> bool:
    """Whether the merge forbids other writes to its destination (``FMODE_EXCL ?``)."""
    return True


def in_use(d: Draft, target: Target) -> str | None:
    """Why a merge can't claim its destination (CONCEPT-13): it is being written to, and its device has no claim yet."""
    if not isinstance(target, ConceptMerge) or target.active or not rules_of(d).claims(target):
        return None
    others = (t for t in d.targets.values() if isinstance(t, ConceptMerge) and t.device == target.device)
    if any(t.claims and t.destination == target.destination for t in others):
        return None
    bios = (w.bio for w in d.work.values() if isinstance(w, DeviceBio))
    writing = any(bio.is_write and _reaches(d, bio.where, target) for bio in bios)
    return "The usable_origin device is being written to." if writing else None


def _reaches(d: Draft, name: str, merge: ConceptMerge) -> bool:
    """Whether writes to a device reach the merge's destination without passing through the merge."""
    if name == merge.destination or name not in d.devices or name == merge.device:
        return name == merge.destination
    return any(_reaches(d, part, merge) for id in d.device(name).live for part in _written(d, d.targets[id]))


def _written(d: Draft, target: Target) -> tuple[str, ...]:
    """The lower devices that a write to the target may reach."""
    return (target.cow,) if isinstance(target, SnapshotTarget) else tables.lower_names(d, target)


def refuse(d: Draft, target: Target) -> str | None:
    """Why a target can't be resumed: one COW device has one server (CONCEPT-11).

    A merge takes over from a suspended snapshot.
    """
    for other in d.targets.values():
        if other.id == target.id or other.device == target.device:
            continue
        if isinstance(target, ConceptMerge) and _same_cow(target, other):
            if isinstance(other, ConceptMerge):
                return "The snapshot is being merged already."
            if not d.device(other.device).suspended:
                return "Unable to merge a snapshot that is not suspended."
        if isinstance(target, SnapshotTarget) and target.valid and _serves(other, target.cow):
            return "The snapshot is being merged."
    return None


def _serves(other: Target, cow: str) -> bool:
    return isinstance(other, ConceptMerge) and other.claims and other.cow == cow


def _same_cow(merge: ConceptMerge, other: Target) -> bool:
    return isinstance(other, ConceptMerge | SnapshotTarget) and other.cow == merge.cow and other.active and other.valid


def take_over(d: Draft, merge: ConceptMerge) -> bool:
    """Invalidates the suspended snapshot on the COW device (CONCEPT-11); False: it has pending exceptions."""
    for snap in [t for t in d.targets.values() if isinstance(t, SnapshotTarget) and _same_cow(merge, t)]:
        if snap.pending or snap.dropping:
            return False
        if d.device(snap.device).suspended:
            _kill(d, snap)
    for snap in [t for t in d.targets.values() if isinstance(t, SnapshotTarget) and t.cow == merge.cow]:
        if not snap.active:
            _kill(d, snap)
    return True


def _kill(d: Draft, snap: SnapshotTarget) -> None:
    d.put(replace(snap, valid=False, completed=NO_EXCEPTIONS, store=replace(snap.store, chunk_size=0)), over=snap)


def claim(d: Draft, merge: ConceptMerge) -> None:
    """Claims the destination when the resume of its device begins: only its device writes there (CONCEPT-13)."""
    d.put(replace(merge, claims=True), over=merge)
