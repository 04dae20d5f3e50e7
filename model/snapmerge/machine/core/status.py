"""Status and table lines of devices: pure functions of the stack.  Source: ``retrieve_status`` in dm-ioctl.c."""

from snapmerge.machine.core.draft import Rules
from snapmerge.machine.core.state import Stack
from snapmerge.machine.core.table_line import print_line
from snapmerge.records import replace

__all__ = ["status_line", "table_line"]


def status_line(stack: Stack, rules: Rules, device: str) -> str:
    """``START LEN TARGET STATUS`` of every live target of a device, separated by ``; ``; empty without one (DEV-6)."""
    targets = [stack.targets[id] for id in stack.devices[device].live]
    words = [rules.by_class[type(target)].status(stack, rules, target) for target in targets]
    return "; ".join(print_line(replace(t.line, args=args)) for t, args in zip(targets, words, strict=True))


def table_line(stack: Stack, rules: Rules, device: str) -> str:
    """``START LEN TARGET ARGS`` of every live target of a device, separated by ``; ``."""
    targets = [stack.targets[id] for id in stack.devices[device].live]
    return "; ".join(print_line(replace(t.line, args=rules.by_class[type(t)].table(t))) for t in targets)
