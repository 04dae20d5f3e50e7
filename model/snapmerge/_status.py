"""Status and table lines: pure functions of the stack.  Source: ``snapshot_status`` (specs/snapshot.md)."""

from typing import assert_never

from . import _concept_table
from ._concept_state import ConceptMerge
from ._draft import Rules
from ._replace import replace
from ._state import LinearTarget, OriginTarget, SnapshotTarget, Stack, Target
from ._table import TableLine, print_line

__all__ = ["snapshot_status", "status_line", "table_line"]


def status_line(stack: Stack, rules: Rules, device: str) -> str:
    """``START LEN TARGET STATUS`` of every live target of a device, separated by ``; ``."""
    return "; ".join(print_line(_status(stack, rules, stack.targets[id])) for id in stack.devices[device].live)


def table_line(stack: Stack, device: str) -> str:
    """``START LEN TARGET ARGS`` of every live target of a device, separated by ``; ``."""
    return "; ".join(print_line(_table(stack.targets[id])) for id in stack.devices[device].live)


def _status(stack: Stack, rules: Rules, target: Target) -> TableLine:
    if isinstance(target, ConceptMerge):
        first = rules.concept.span(target.line)[0] // target.chunk_size
        return replace(target.line, args=(_concept_table.status(target, first),))
    if not isinstance(target, SnapshotTarget):
        return replace(target.line, args=())
    total = stack.disks.get(target.cow) or _device_size(stack, target.cow)
    return replace(target.line, args=(rules.status(target, total),))


def _device_size(stack: Stack, name: str) -> int:
    live = stack.devices[name].live
    if not live:
        return 0
    line = stack.targets[live[-1]].line
    return line.start + line.length


def snapshot_status(snap: SnapshotTarget, total: int) -> str:
    """The status words of a snapshot or a merge; ``total``: the size of its COW device in sectors."""
    if not snap.valid:
        return "Invalid"
    if snap.merge is not None and snap.merge.failed:
        return "Merge failed"
    if snap.overflowed:
        return "Overflow"
    allocated, total, metadata = snap.store.usage(total)
    return f"{allocated}/{total} {metadata}"


def _table(target: Target) -> TableLine:
    match target:
        case LinearTarget(line=line, lower=lower, offset=offset):
            return replace(line, args=(lower, str(offset)))
        case OriginTarget(line=line, lower=lower):
            return replace(line, args=(lower,))
        case SnapshotTarget(line=line, origin=origin, cow=cow, store=store, features=features):
            return replace(line, args=(origin, cow, store.letters, str(store.chunk_size), *features.words))
        case ConceptMerge(line=line, destination=destination, cow=cow, store=store):
            return replace(line, args=(destination, cow, store.letters, str(store.chunk_size)))
        case _:
            assert_never(target)
