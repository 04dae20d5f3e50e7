"""Whether a suspended device holds back a device's I/O."""

from snapmerge import World
from snapmerge.machine.snapshot.state import SnapshotTarget

__all__ = ["is_held"]


def is_held(world: World, name: str, above: frozenset[str] = frozenset()) -> bool:
    """Whether I/O to a device may have to wait: the device holds I/O back, or one on which its I/O depends does.

    Those are the devices below it, and the COW devices of its snapshots, since writes to an origin are copied out.
    """
    device = world.stack.devices.get(name)
    if device is not None and device.held:
        return True
    stack = world.stack
    below = {part for target in stack.targets_of(name) for part in world.rules.by_class[type(target)].lower(target)}
    below |= {t.cow for t in stack.targets.values() if isinstance(t, SnapshotTarget) and t.origin == name}
    return any(is_held(world, part, above | {name}) for part in below - above - {name})
