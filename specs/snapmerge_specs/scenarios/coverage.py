"""Coverage: the names of the important states that a step of a scenario reaches.

A suite that never reaches them tests nothing; so a check counts them, and tests require that each can be reached.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise
from operator import itemgetter
from typing import Final

from snapmerge import (
    Clear,
    Crash,
    Create,
    Discard,
    Failed,
    Finish,
    Load,
    Read,
    Remove,
    Resume,
    Start,
    Step,
    Suspend,
    World,
    Write,
    inner,
)
from snapmerge.format.exceptions import pairs
from snapmerge.format.store import Persistent
from snapmerge.machine.core.state import Target
from snapmerge.machine.error import ErrorTarget
from snapmerge.machine.snapshot.state import Phase, SnapshotTarget
from snapmerge.machine.zero import ZeroTarget
from snapmerge_specs.generations.generation import MergeReaches, Reach, generation_of

__all__ = ["MERGES", "NAMES", "reached"]


def _snapshots(world: World) -> Iterator[SnapshotTarget]:
    return (t for t in world.stack.targets.values() if isinstance(t, SnapshotTarget))


def _records(snap: SnapshotTarget) -> int:
    return snap.store.area * snap.store.per_area + snap.store.committed if isinstance(snap.store, Persistent) else 0


def _changed(test: Callable[[SnapshotTarget], bool]) -> Reach:
    """Whether some snapshot passes the test after the step and did not before it."""

    def reach(before: World, _step: Step, after: World) -> bool:
        passed = {s.id for s in _snapshots(before) if test(s)}
        known = {s.id for s in _snapshots(before)}
        return any(s.id in known and s.id not in passed and test(s) for s in _snapshots(after))

    return reach


def _merging(world: World) -> bool:
    return any(s.merge is not None and s.merge.phase is not Phase.IDLE for s in _snapshots(world))


def _merge_finished(before: World, _step: Step, after: World) -> bool:
    had = {s.id for s in _snapshots(before) if s.merge is not None and _records(s)}
    return any(s.id in had and s.merge is not None and not _records(s) for s in _snapshots(after))


def _interrupted(before: World, step: Step, _after: World) -> bool:
    operation = inner(step.operation)
    name = operation.device if isinstance(operation, Suspend | Remove) else None
    return any(s.merge is not None and s.device == name and _records(s) for s in _snapshots(before))


def _handed_over(before: World, step: Step, after: World) -> bool:
    waiting = {s.id for s in _snapshots(before) if not s.active and not s.store.chunk_size}
    return isinstance(step.operation, Resume) and any(
        s.id in waiting and s.active and s.valid for s in _snapshots(after)
    )


def _loaded(_before: World, step: Step, after: World) -> bool:
    name = step.operation.device if isinstance(step.operation, Create | Load) and not _failed(step) else None
    return any(s.device == name and s.completed and not s.pending for s in _snapshots(after))


def _failed(step: Step) -> bool:
    return isinstance(step.outcome, Failed)


def _refused(_before: World, step: Step, _after: World) -> bool:
    return (
        isinstance(step.operation, Create | Load) and isinstance(step.outcome, Failed) and step.outcome.text is not None
    )


def _siblings(before: World, _step: Step, _after: World) -> bool:
    active = [s.origin for s in _snapshots(before) if s.active and s.valid]
    return any(active.count(origin) > 1 for origin in active)


def _written_before_resume(before: World, step: Step, _after: World) -> bool:
    """A device is written to while a snapshot of its lower device is constructed and not yet resumed."""
    operation = inner(step.operation)
    if not isinstance(operation, Write) or operation.where not in before.stack.devices or _failed(step):
        return False
    below = {lower for id in before.stack.devices[operation.where].live for lower in _lower(before, id)}
    return any(not s.active and s.store.chunk_size and s.origin in below for s in _snapshots(before))


def _lower(world: World, id: int) -> tuple[str, ...]:
    target = world.stack.targets[id]
    return world.rules.by_class[type(target)].lower(target)


def _discarded_on_merge(before: World, step: Step, _after: World) -> bool:
    operation = inner(step.operation)
    if not isinstance(operation, Discard) or _failed(step):
        return False
    return any(s.device == operation.where and s.active and s.merge is not None for s in _snapshots(before))


def _shorter(_before: World, _step: Step, after: World) -> bool:
    stack = after.stack
    existing = {*stack.disks, *stack.devices}
    return any(s.active and s.origin in existing and s.table_size < stack.size(s.origin) for s in _snapshots(after))


def _apart(at: int) -> Reach:
    """A step has made exceptions with chunks that are adjacent on the origin (0) or the COW device (1) only."""

    def apart(snap: SnapshotTarget) -> bool:
        exceptions = sorted(pairs(snap.completed), key=itemgetter(at))
        return any(two[at] - one[at] == 1 != two[1 - at] - one[1 - at] for one, two in pairwise(exceptions))

    def reach(before: World, _step: Step, after: World) -> bool:
        targets = before.stack.targets
        changed = (s for s in _snapshots(after) if getattr(targets.get(s.id), "completed", None) is not s.completed)
        return any(apart(s) for s in changed)

    return reach


def _holds(world: World, disk: str, sector: int) -> bool:
    """Whether the disk exists and the sector of it is not zero."""
    return disk in world.disks and world.disks[disk].sector(sector) != 0


def _made_anew(before: World, step: Step, after: World) -> bool:
    """A new store is created on a disk whose first area is not zero."""
    name = step.operation.device if isinstance(step.operation, Create | Load) and not _failed(step) else None
    return any(
        s.device == name and not _holds(before, s.cow, 0) and _holds(before, s.cow, s.store.chunk_size)
        for s in _snapshots(after)
        if s.id not in before.stack.targets and isinstance(s.store, Persistent) and s.store.chunk_size
    )


def _area_begun(before: World, _step: Step, after: World) -> bool:
    """A store begins an area that is not zero on the disk, and has to be zeroed."""
    for snap in _snapshots(after):
        was = before.stack.targets.get(snap.id)
        if isinstance(was, SnapshotTarget) and isinstance(was.store, Persistent) and isinstance(snap.store, Persistent):
            further = snap.store.area > was.store.area
            if further and was.store.chunk_size and _holds(before, snap.cow, snap.store.area_sector):
                return True
    return False


def _joined(before: World, _step: Step, after: World) -> bool:
    """A new snapshot exists whose origin had a merge under way before the step."""
    under_way = {s.origin for s in _snapshots(before) if s.merge is not None and s.merge.phase is not Phase.IDLE}
    return any(
        s.id not in before.stack.targets and s.merge is None and s.origin in under_way for s in _snapshots(after)
    )


def _dropped(before: World, step: Step, _after: World) -> list[Target]:
    """The targets of the inactive table that the step has cleared."""
    device = before.stack.devices.get(step.operation.device) if isinstance(step.operation, Clear) else None
    return [before.stack.targets[id] for id in device.inactive] if device is not None else []


def _handover_dropped(before: World, step: Step, after: World) -> bool:
    dropped = _dropped(before, step, after)
    return any(isinstance(t, SnapshotTarget) and not t.active and not t.store.chunk_size for t in dropped)


def _live(world: World, name: str) -> list[Target]:
    device = world.stack.devices.get(name)
    return [world.stack.targets[id] for id in device.live] if device is not None else []


def _is_empty(world: World, name: str) -> bool:
    """Whether a device has only ``zero`` and ``error`` targets in its live table."""
    live = _live(world, name)
    return bool(live) and all(isinstance(target, ZeroTarget | ErrorTarget) for target in live)


def _parked(before: World, _step: Step, after: World) -> bool:
    """A device gets a live table with ``zero`` or ``error`` targets in place of its former one."""
    used = (name for name in before.stack.devices if _live(before, name) and not _is_empty(before, name))
    return any(_is_empty(after, name) for name in used)


def _table_back(before: World, _step: Step, after: World) -> bool:
    """A device with ``zero`` or ``error`` targets gets another live table."""
    parked = (name for name in before.stack.devices if _is_empty(before, name))
    return any(_live(after, name) and not _is_empty(after, name) for name in parked)


def _lower_is_empty(which: Callable[[SnapshotTarget], str]) -> Reach:
    """A live snapshot has ``zero`` or ``error`` targets below it."""
    return lambda _before, _step, after: any(s.active and _is_empty(after, which(s)) for s in _snapshots(after))


def _under_way(before: World, _step: Step, after: World) -> bool:
    under_way = generation_of(after.rules).merges.under_way
    return under_way(before) or under_way(after)


MERGES: Final = MergeReaches(
    under_way=_merging,
    finished=_merge_finished,
    interrupted=_interrupted,
    failed=_changed(lambda s: s.merge is not None and s.merge.failed),
)
"""Of the merges of Linux."""

_REACHES: Final[dict[str, Reach]] = {
    "exceptions loaded from disk": _loaded,
    "handover": _handed_over,
    "handover cancelled": _changed(lambda s: not s.valid and not s.active),
    "merge under way": _under_way,
    "merge finished": lambda *step: generation_of(step[-1].rules).merges.finished(*step),
    "merge interrupted": lambda *step: generation_of(step[-1].rules).merges.interrupted(*step),
    "merge failed": lambda *step: generation_of(step[-1].rules).merges.failed(*step),
    "several snapshots": _siblings,
    "snapshot invalidated": _changed(lambda s: not s.valid and s.active and s.store.chunk_size > 0),
    "snapshot overflowed": _changed(lambda s: s.overflowed),
    "second area": lambda _b, _s, after: any(
        isinstance(s.store, Persistent) and s.store.area for s in _snapshots(after)
    ),
    "table refused": _refused,
    "resume refused": lambda _b, step, _a: isinstance(step.operation, Resume) and _failed(step),
    "I/O error": lambda _b, step, _a: isinstance(step.operation, Write | Read | Finish) and _failed(step),
    "discard": lambda _b, step, _a: isinstance(step.operation, Discard) and not _failed(step),
    "I/O waiting": lambda _b, step, _a: isinstance(step.operation, Start),
    "written before a resume": _written_before_resume,
    "discard on a merge": _discarded_on_merge,
    "shorter than the origin": _shorter,
    "adjacent on the origin only": _apart(0),
    "adjacent in the store only": _apart(1),
    "store over old contents": _made_anew,
    "area over old contents": _area_begun,
    "snapshot joined a merge": _joined,
    "table dropped": lambda before, step, after: bool(_dropped(before, step, after)),
    "handover dropped": _handover_dropped,
    "device parked": _parked,
    "table put back": _table_back,
    "origin of zeroes or errors": _lower_is_empty(lambda snap: snap.origin),
    "COW device of zeroes or errors": _lower_is_empty(lambda snap: snap.cow),
    "power cut": lambda _b, step, _a: isinstance(step.operation, Crash),
}

NAMES: Final = tuple(_REACHES)
"""The names of all states that a check counts."""


def reached(before: World, step: Step, after: World) -> Iterator[str]:
    """The names of the states that a step has reached."""
    return (name for name, reach in _REACHES.items() if reach(before, step, after))
