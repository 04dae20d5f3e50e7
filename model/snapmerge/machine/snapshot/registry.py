"""The snapshots of each origin.  Source: ``_origins``, ``register_snapshot``, ``__find_snapshots_sharing_cow``.

A snapshot is registered under its origin's name from its construction to its destruction, largest chunks first.  The
lists are in the stack's ``shared`` values.
"""

from typing import Final

from snapmerge.errors import MachineError
from snapmerge.machine.core.draft import Draft, View
from snapmerge.machine.snapshot.state import SnapshotTarget

__all__ = [
    "NO_BOUNDARY",
    "minimum_chunk_size",
    "register",
    "registered_ids",
    "sharing_cow",
    "snapshot",
    "snapshots_of",
    "unregister",
]

NO_BOUNDARY: Final = 1 << 31
"""The smallest chunk size of an origin without snapshots."""


def snapshot(view: View, id: int) -> SnapshotTarget:
    """The ``snapshot`` or ``snapshot-merge`` with this id."""
    target = view.targets[id]
    if not isinstance(target, SnapshotTarget):
        raise MachineError(f"target {id} is no snapshot: {target}")
    return target


def registered_ids(view: View, origin: str) -> tuple[int, ...]:
    """The ids of the snapshots registered on an origin."""
    return view.shared.get(origin, ())


def snapshots_of(view: View, origin: str) -> list[SnapshotTarget]:
    """The snapshots registered on an origin, largest chunks first."""
    return [snapshot(view, id) for id in registered_ids(view, origin)]


def register(d: Draft, snap: SnapshotTarget) -> None:
    """Registers the snapshot on its origin (DEV-14), sorted by chunk size: largest first, equal ones in order
    (ORIGIN-6).
    """
    others = [s for s in snapshots_of(d, snap.origin) if s.id != snap.id]
    size = snap.store.chunk_size
    at = next((i for i, s in enumerate(others) if s.store.chunk_size < size), len(others))
    ids = [s.id for s in others]
    d.shared = d.shared.set(snap.origin, (*ids[:at], snap.id, *ids[at:]))


def unregister(d: Draft, snap: SnapshotTarget) -> None:
    """Removes the snapshot from the list of its origin, so that no write to the origin asks it (DEV-14)."""
    left = tuple(id for id in registered_ids(d, snap.origin) if id != snap.id)
    if left:
        d.shared = d.shared.set(snap.origin, left)
    elif snap.origin in d.shared:
        d.shared = d.shared.delete(snap.origin)


def sharing_cow(view: View, snap: SnapshotTarget) -> tuple[SnapshotTarget | None, SnapshotTarget | None, int]:
    """The active and the inactive snapshot on the same origin and COW device, if any, and how many there are."""
    source = destination = None
    same = [s for s in snapshots_of(view, snap.origin) if s.cow == snap.cow]
    for other in same:
        if other.active:
            source = other
        else:
            destination = other
    return source, destination, len(same)


def minimum_chunk_size(view: View, origin: str) -> int:
    """The smallest chunk size of all registered snapshots, in sectors; sizes that are not known yet don't count."""
    sizes = (s.store.chunk_size for s in snapshots_of(view, origin))
    return min((size for size in sizes if size), default=NO_BOUNDARY)
