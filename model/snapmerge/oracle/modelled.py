"""What the model does not have, so that it can't say whether an outcome that concerns it is right."""

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
"""The targets of Linux that are not modelled.  A kernel may lack any of them; one with another name no kernel has."""

_BLOCKS: Final = "logical block size"
"""What the kernel's messages about other blocks than of 512 bytes have in common."""


def check_modelled(operation: op.Plain | op.Start, outcome: Outcome | None) -> None:
    """Tells what is not modelled from a divergence (ORACLE-20), for an outcome that the model does not explain.

    An ``outcome`` of None was not recorded.  A kernel that has one of ``OTHER_TARGETS`` may do anything with a table of
    it.  A target with a name that no kernel has must be refused; if it is not, the model does not have it.

    Raises:
        NotModelled: it concerns what the model does not have.
    """
    begun = op.inner(operation)
    if not isinstance(begun, op.Create | op.Load) or begun.table is None or isinstance(outcome, Died):
        return
    for line in parse_table(begun.table):
        if line.target in OTHER_TARGETS or (line.target not in MAINLINE.by_name and isinstance(outcome, Done)):
            raise NotModelled(f"the target {line.target} is not modelled", line.target)
    if isinstance(outcome, Failed) and outcome.text is not None and _BLOCKS in outcome.text:
        raise NotModelled("blocks of other sizes than 512 bytes are not modelled")
