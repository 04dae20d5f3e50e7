"""Outcomes that the model can't judge, since they concern something that it does not have."""

from typing import Final

from snapmerge.errors import NotModelled
from snapmerge.machine.core.table_line import parse_table
from snapmerge.machine.registry import MAINLINE
from snapmerge.trace import operations as op
from snapmerge.trace.outcomes import Died, Done, Failed, Outcome

__all__ = ["OTHER_TARGETS", "check_modelled"]

# fmt: off
OTHER_TARGETS: Final = frozenset({
    "cache", "clone", "crypt", "delay", "dust", "ebs", "era", "flakey", "inlinecrypt", "integrity",
    "log-writes", "mirror", "multipath", "pcache", "raid", "striped", "switch", "thin", "thin-pool", "unstriped", "vdo",
    "verity", "writecache", "zoned",
})
# fmt: on
"""The targets of Linux that are not modelled.  A kernel may have any of them, but none with another name."""

_BLOCKS: Final = "logical block size"
"""A part of each of the kernel's messages about blocks of other sizes than 512 bytes."""


def check_modelled(operation: op.Plain | op.Start, outcome: Outcome | None) -> None:
    """Distinguishes an outcome that is not modelled from a divergence (ORACLE-20), if the model does not explain it.

    An ``outcome`` of None was not recorded.  Every outcome of a table with one of ``OTHER_TARGETS`` is not modelled.  A
    table with an unknown target must be refused; its success is not modelled either.

    Raises:
        NotModelled: the outcome concerns something that the model does not have.
    """
    begun = op.inner(operation)
    if not isinstance(begun, op.Create | op.Load) or begun.table is None or isinstance(outcome, Died):
        return
    for line in parse_table(begun.table):
        if line.target in OTHER_TARGETS or (line.target not in MAINLINE.by_name and isinstance(outcome, Done)):
            raise NotModelled(f"the target {line.target} is not modelled", line.target)
    if isinstance(outcome, Failed) and outcome.text is not None and _BLOCKS in outcome.text:
        raise NotModelled("blocks of other sizes than 512 bytes are not modelled")
