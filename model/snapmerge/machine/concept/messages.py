"""Messages and status of a merge of 2009 (specs/concept.md)."""

import re
from typing import Final

from snapmerge.format.exceptions import lookup
from snapmerge.machine.concept.state import ConceptMerge
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Target
from snapmerge.machine.snapshot.state import SnapshotTarget

__all__ = [
    "message",
    "status",
]


_LONG: Final = 2**64


def message(d: Draft, target: Target, text: str) -> str | None:
    """Takes a message (CONCEPT-24); an errno, or None.  ``lookup CHUNK`` answers in the log; others do nothing."""
    words = text.split()
    if not isinstance(target, SnapshotTarget | ConceptMerge):
        return "EINVAL"
    if len(words) == 2 and words[0] == "lookup":
        chunk = _scan(words[1])
        if chunk is None:
            d.log("snapshots: Failed to read in old chunk value")
            return "EINVAL"
        new = lookup(target.completed, chunk)
        found = f"Exception found: {chunk} -> {new}" if new is not None else "Exception not found: -2"
        d.log(f"snapshots: {found}")
    return None


def _scan(word: str) -> int | None:
    """Reads a number as the kernel's ``sscanf`` reads ``%lu``: trailing text is ignored, and large numbers wrap."""
    match = re.match(r"[0-9]+", word, re.ASCII)
    return None if match is None else int(match[0][:4000]) % _LONG


def status(merge: ConceptMerge, first: int) -> str:
    """The number of chunks done, and of all chunks (CONCEPT-23); ``first`` is the target's first chunk."""
    if merge.broken or merge.failed:
        return "Merge failed"
    if not merge.valid:
        return "Invalid"
    return f"{merge.progress - first}/{merge.end - first}"
