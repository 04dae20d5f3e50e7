"""The constructor of a merge of 2009, and the chunks that it covers (specs/concept.md).

Source: ``snapshot_merge_ctr`` of the patch.
"""

from typing import Final

from snapmerge.format.store import Persistent, Store
from snapmerge.machine.concept.rules import rules_of
from snapmerge.machine.concept.state import ConceptMerge
from snapmerge.machine.core import tables
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Load
from snapmerge.machine.core.table_line import BadTable, TableLine
from snapmerge.machine.snapshot.args import parse_store
from snapmerge.records import replace
from snapmerge.units import chunk_count, chunk_start

__all__ = [
    "chunks",
    "construct",
    "counted",
    "extent",
    "merges",
    "span",
    "takes",
    "usable",
]


_NO_STORE: Final = "Failed to create snapshot exception store"


def construct(d: Draft, id: int, request: Load, line: TableLine) -> bool:
    """Constructs the target (CONCEPT-19); its store is read when it is resumed.  Raises BadTable.

    Source: ``snapshot_merge_ctr``.
    """
    device = request.device
    if len(line.args) < 4:
        raise BadTable("too few arguments")
    cow = tables.open_lower(d, device, line.args[1], _NO_STORE)
    store = parse_store(line.args[2], line.args[3])
    if store is None or store.chunk_size == 0 or not rules_of(d).takes(store):
        raise BadTable(_NO_STORE)
    merge = counted(d, ConceptMerge(id, device, line, line.args[0], cow, store))
    d.log(f"snapshots: There are {merge.end - merge.progress} chunks to merge")
    destination = tables.open_lower(d, device, line.args[0], "Cannot get usable_origin device")
    if cow == destination:
        raise BadTable("COW device cannot be the same as usable_origin device")
    problem = rules_of(d).merges(d, merge)
    if problem is not None:
        raise BadTable(problem)
    d.add(merge)
    return False


def takes(store: Store) -> bool:
    """Whether a store can be merged: only the snapshot that fills a transient one can read it."""
    return isinstance(store, Persistent)


def merges(d: Draft, merge: ConceptMerge) -> str | None:
    """Why the merge is refused (CONCEPT-12); None: no other one merges into the destination, above it or below."""
    others = (t for t in d.targets.values() if isinstance(t, ConceptMerge) and t.device != merge.device)
    taken = any(_overlap(d, t.destination, merge.destination) for t in others)
    return "A snapshot is already merging." if taken else None


def _overlap(d: Draft, one: str, other: str) -> bool:
    return one == other or tables.is_above(d, one, other) or tables.is_above(d, other, one)


def counted(d: Draft, merge: ConceptMerge) -> ConceptMerge:
    """The merge with the range of its chunks."""
    start, length = rules_of(d).span(merge.line)
    end = rules_of(d).chunks(start + length, merge.chunk_size)
    return replace(merge, progress=start // merge.chunk_size, end=end)


def span(line: TableLine) -> tuple[int, int]:
    """The sectors of the destination that the target covers: the first, and how many."""
    return line.start, line.length


def chunks(sectors: int, chunk_size: int) -> int:
    """The number of chunks that cover so many sectors."""
    return chunk_count(sectors, chunk_size)


def extent(merge: ConceptMerge, chunk: int) -> tuple[int, int]:
    """The sectors of a chunk that belong to the target (CONCEPT-10): the first, and how many."""
    first = max(chunk_start(chunk, merge.chunk_size), merge.line.start)
    end = min(chunk_start(chunk + 1, merge.chunk_size), merge.line.start + merge.line.length)
    return first, end - first


def usable(_d: Draft, _merge: ConceptMerge, _new: int) -> bool:
    """Always true: every exception counts; one that is out of range fails the copy."""
    return True
