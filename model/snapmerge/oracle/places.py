"""The disk sectors of devices and I/O, followed through ``linear`` devices."""

from collections.abc import Callable

from snapmerge.machine.core.bio import Bio, WorkId
from snapmerge.machine.core.draft import Rules
from snapmerge.machine.core.state import SUBMITTER, DeviceBio, Piece, Stack, Target, Work
from snapmerge.machine.linear import LinearTarget
from snapmerge.machine.snapshot.state import OriginTarget, SnapshotTarget

__all__ = ["Place", "frame", "is_linear", "names_below", "overlaps", "places", "places_of_bio", "sender", "submitter"]

Place = tuple[str, int, int]
"""A range of sectors of a disk: its name, the first sector, and their number."""


def places(stack: Stack, name: str, sector: int, count: int) -> tuple[Place, ...] | None:
    """The disk sectors to which these sectors of a disk or device are mapped; None: they are not all fixed.

    Only ``linear`` devices are followed, since the mapping of a snapshot or a merge changes.
    """
    if name in stack.disks:
        return ((name, sector, count),) if sector + count <= stack.disks[name] else None
    device = stack.devices.get(name)
    found: list[Place] = []
    covered = 0
    for target in (stack.targets[id] for id in device.live) if device is not None else ():
        first, end = max(sector, target.line.start), min(sector + count, target.line.start + target.line.length)
        if first >= end:
            continue
        if not isinstance(target, LinearTarget):
            return None
        lower = places(stack, target.lower, first - target.line.start + target.offset, end - first)
        if lower is None:
            return None
        found += lower
        covered += end - first
    return tuple(found) if covered == count else None


def places_of_bio(stack: Stack, bio: Bio) -> tuple[Place, ...] | None:
    """The disk sectors of a bio, as in ``places``."""
    return places(stack, bio.where, bio.sector, bio.count)


def overlaps(mine: tuple[Place, ...], theirs: tuple[Place, ...]) -> bool:
    """Whether any sector is in both."""
    return any(a == b and s < t + m and t < s + n for a, s, n in mine for b, t, m in theirs)


def sender(stack: Stack, id: WorkId) -> tuple[WorkId, Work | None]:
    """The work that sent an I/O through ``linear`` devices, and its id; for a user's own I/O the piece itself."""
    work = stack.work.get(id)
    while isinstance(work, Piece) and isinstance(stack.targets.get(work.target), LinearTarget):
        above = stack.work[work.parent]
        if not isinstance(above, DeviceBio) or above.parent == SUBMITTER:
            break
        id = above.parent
        work = stack.work[id]
    return id, work


def submitter(stack: Stack, work: Work | None, passes: Callable[[Piece], bool]) -> int | None:
    """The token of the user's bio that a piece belongs to; None: some piece on the way fails the test ``passes``."""
    while isinstance(work, Piece) and passes(work):
        above = stack.work[work.parent]
        if not isinstance(above, DeviceBio):
            return None
        if above.parent == SUBMITTER:
            return above.token
        work = stack.work[above.parent]
    return None


def is_linear(stack: Stack, name: str) -> bool:
    """Whether a device has a ``linear`` target in any of its tables."""
    return any(isinstance(target, LinearTarget) for target in stack.targets_of(name))


def names_below(stack: Stack, rules: Rules, name: str) -> set[str]:
    """The name itself, and those of all disks and devices below it, by all of its tables."""
    found, left = {name}, [name]
    while left:
        for target in stack.targets_of(left.pop()):
            new = set(rules.by_class[type(target)].lower(target)) - found
            found |= new
            left += new
    return found


def frame(stack: Stack, name: str) -> str:
    """The lowest disk or device with the same sector numbers: equal sectors of devices of one frame overlap."""
    device = stack.devices.get(name)
    below = {_counts_in(stack.targets[id], name) for id in device.live} if device is not None else set()
    if len(below) != 1 or name in below:
        return name
    return frame(stack, below.pop())


def _counts_in(target: Target, name: str) -> str:
    match target:
        case LinearTarget(lower=lower, offset=offset, line=line):
            return lower if offset == line.start else name
        case OriginTarget(lower=lower):
            return lower
        case SnapshotTarget(origin=origin):
            return origin
        case _:
            return name
