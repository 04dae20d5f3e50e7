"""The registered target types, which are the rules of Linux: adding a target adds its record here."""

from typing import Final

from snapmerge.machine.core import step as core
from snapmerge.machine.core.draft import Rules
from snapmerge.machine.core.events import Effect, Event
from snapmerge.machine.core.state import Stack
from snapmerge.machine.error import ERROR
from snapmerge.machine.linear import LINEAR
from snapmerge.machine.snapshot.types import ORIGIN, SNAPSHOT, SNAPSHOT_RULES
from snapmerge.machine.zero import ZERO

__all__ = ["DEVICE_ARGUMENTS", "MAINLINE", "TARGETS", "step"]

MAINLINE: Final = Rules(core.CORE, (LINEAR, ZERO, ERROR, ORIGIN, SNAPSHOT), (SNAPSHOT_RULES,))
"""The rules of Linux."""

TARGETS: Final = frozenset(MAINLINE.by_name)
"""The names of the registered targets."""

DEVICE_ARGUMENTS: Final = {name: kind.devices for name, kind in MAINLINE.by_name.items()}
"""For each target the positions of the arguments that name disks or devices, counted from 0."""


def step(stack: Stack, event: Event, rules: Rules = MAINLINE) -> tuple[Stack, tuple[Effect, ...]]:
    """The stack after the event, and the effects that it asks for, in their order.

    Raises:
        EventError: the event can't happen now; the driver is at fault.
        OperationError: a table line is not in the form START LENGTH TARGET ARGS.
    """
    return core.step(stack, event, rules)
