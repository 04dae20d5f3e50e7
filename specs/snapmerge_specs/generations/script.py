"""A script: what users do in a small scope, which the explorer takes through every schedule."""

import snapmerge as sm
from snapmerge.records import dataclass

__all__ = ["Script", "script"]


@dataclass(frozen=True, slots=True)
class Script:
    """What users do, and (``recovery``) what they do after a power cut, before they look again.

    ``cuts``: the power may be cut from this step on; None: never.  ``merges``: the snapshot that the recovery
    merges, so that it is what ``device`` shows from then on.
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
    """A script from lines of a trace; the rest as in ``Script``."""
    steps = tuple(step.operation for step in sm.parse_trace(text))
    return Script(name, steps, tuple(step.operation for step in sm.parse_trace(recovery)), cuts, merges, device)
