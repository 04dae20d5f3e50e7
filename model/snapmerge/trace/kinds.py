"""The outcomes that an operation can have in any state: the table of specs/trace.md, as data.

Any other outcome is a divergence without a search, since no schedule explains it.
"""

from collections.abc import Mapping
from typing import Final

from snapmerge.trace import operations as op
from snapmerge.trace.outcomes import Count, Data, Done, Failed, Line, Outcome, Records

__all__ = ["KINDS", "possible"]

KINDS: Final[Mapping[type[op.Plain | op.Start], tuple[type[Outcome], ...]]] = {
    op.Disk: (Done,),
    op.Create: (Done, Failed),
    op.Load: (Done, Failed),
    op.Clear: (Done, Failed),
    op.Resume: (Done, Failed),
    op.Suspend: (Done, Failed),
    op.Remove: (Done, Failed),
    op.Message: (Done, Failed),
    op.Write: (Done, Failed),
    op.Read: (Data, Failed),
    op.Flush: (Done, Failed),
    op.Discard: (Done, Failed),
    op.Status: (Line, Failed),
    op.Table: (Line, Failed),
    op.Events: (Count, Failed),
    op.Settle: (Done, Failed),
    op.Metadata: (Records, Failed),
    op.Fault: (Done,),
    op.Heal: (Done,),
    op.Crash: (Done,),
    op.Reset: (Done,),
    op.Start: (Done,),
}
"""``finish`` is not here: it has the outcomes of what was started, and ``Blocked`` until that has one."""


def possible(operation: op.Plain | op.Start, outcome: Outcome) -> bool:
    """Whether an operation can have this outcome (ORACLE-12); a read gives as many sectors as were asked for."""
    if isinstance(operation, op.Read) and isinstance(outcome, Data):
        return len(outcome.sectors) == operation.count
    return isinstance(outcome, KINDS[type(operation)])
