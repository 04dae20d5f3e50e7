"""Whether an operation is within an implementation's capabilities; only such operations are sent to it (PROTO-3).

Scenarios draw operations freely; those beyond the capabilities are left out, by the functions of this file alone.
"""

from collections.abc import Iterator
from typing import Final

import snapmerge as sm
from snapmerge import Capabilities, Operation, operation_word

__all__ = ["FAULTS", "FEATURES", "has_kind", "is_within", "left_out", "may_be_refused"]

FAULTS: Final = frozenset({"read", "write", "flush"})
_TABLE_WORDS: Final = frozenset({"N", "PO", "discard_zeroes_cow", "discard_passdown_origin"})
FEATURES: Final = frozenset({"discard", "refusals"}) | _TABLE_WORDS


def has_kind(kind: str, can: Capabilities) -> bool:
    """Whether the implementation has stores of this kind; every implementation has those of kind ``P``."""
    return kind not in _TABLE_WORDS or kind in can.features


def is_within(operation: Operation, can: Capabilities) -> bool:
    """Whether the capabilities have the operation and every target and feature in it."""
    if operation_word(operation) not in can.operations:
        return False
    match operation:
        case sm.Start(_, inner):
            return is_within(inner, can)
        case sm.Fault(_, kind):
            return kind in can.faults
        case sm.Discard():
            return "discard" in can.features
        case sm.Create(_, None):
            return "load" in can.operations  # a device that never gets a table is of no use
        case sm.Create(_, str(table)) | sm.Load(_, table):
            return all(_has_line(line.split(), can) for line in table.split(";"))
        case _:
            return True


def _has_line(words: list[str], can: Capabilities) -> bool:
    """Whether the capabilities have the target and the features of a table line; for an unknown target, refusals."""
    target, features = "".join(words[2:3]), _TABLE_WORDS.intersection(words[5:])
    has_target = target in can.targets if target in sm.TARGETS else "refusals" in can.features
    return has_target and features <= can.features


def may_be_refused(operation: Operation, outcome: sm.Result, can: Capabilities) -> bool:
    """Whether the operation may be tried: if device-mapper refuses it (``outcome``), only with the feature for that."""
    refused = isinstance(operation, sm.Create | sm.Load | sm.Message) and isinstance(outcome, sm.Failed)
    return not refused or "refusals" in can.features


def left_out(can: Capabilities) -> tuple[tuple[str, tuple[str, ...]], ...]:
    """The words that a check leaves out since these capabilities lack them, such as ``("targets", ("linear",))``."""
    return tuple(_lacking(can))


def _lacking(can: Capabilities) -> Iterator[tuple[str, tuple[str, ...]]]:
    everything = {"operations": sm.OPERATION_WORDS, "targets": sm.TARGETS, "faults": FAULTS, "features": FEATURES}
    for name, words in everything.items():
        if lacks := sorted(words - getattr(can, name)):
            yield name, tuple(lacks)
