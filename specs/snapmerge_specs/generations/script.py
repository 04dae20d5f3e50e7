"""A script: the operations of users in a small scope, which the explorer runs by every schedule."""

import snapmerge as sm
from snapmerge.records import dataclass

__all__ = ["Script", "script"]


@dataclass(frozen=True, slots=True)
class Script:
    """The operations of users; ``recovery``: those that recreate the devices after a power cut.

    ``cuts``: the first step after which the power may be cut; None: never.  ``merges``: the snapshot that the recovery
    merges, whose contents ``device`` shows from then on.
    """

    name: str
    steps: tuple[sm.Operation, ...]
    recovery: tuple[sm.Operation, ...] = ()
    cuts: int | None = None
    merges: str | None = None
    device: str = "origin"


def script(
    name: str,
    text: str,
    recovery: str = "",
    *,
    cuts: int | None = None,
    merges: str | None = None,
    device: str = "origin",
) -> Script:
    """A script from the lines of a trace without outcomes; the other arguments are those of ``Script``."""
    steps = tuple(step.operation for step in sm.parse_trace(text))
    return Script(name, steps, tuple(step.operation for step in sm.parse_trace(recovery)), cuts, merges, device)
