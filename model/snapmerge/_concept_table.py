"""How a merge of 2009 is constructed, reads its store, answers messages, and shows itself (specs/concept.md)."""

import re
from typing import Final

from . import _bios, _construct
from ._bio import Bio, Buffer, Op
from ._codec import MAGIC, VERSION, Header, decode_header, decode_records
from ._concept_state import ConceptIo, ConceptMerge, ConceptStep, Stage
from ._draft import Draft
from ._exceptions import NO_EXCEPTIONS, insert, lookup
from ._layout import area_location, is_metadata
from ._replace import replace
from ._state import SnapshotTarget, Target
from ._store import Persistent, Store
from ._table import BadTable, TableLine, parse_store
from ._units import chunk_count, chunk_start, is_chunk_size

__all__ = [
    "begin",
    "chunks",
    "construct",
    "counted",
    "extent",
    "invalid",
    "load_failed",
    "loaded_part",
    "merges",
    "message",
    "recount",
    "refuse",
    "span",
    "status",
    "take_over",
    "takes",
    "usable",
]

_NO_STORE: Final = "Failed to create snapshot exception store"
_LONG: Final = 2**64


def construct(d: Draft, id: int, device: str, line: TableLine) -> None:
    """Constructs the target; its store is read when it is resumed.  Raises BadTable.  ``snapshot_merge_ctr``."""
    if len(line.args) < 4:
        raise BadTable("too few arguments")
    cow = _construct.open_lower(d, device, line.args[1], _NO_STORE)
    store = parse_store(line.args[2], line.args[3])
    if store is None or store.chunk_size == 0 or not d.rules.concept.takes(store):
        raise BadTable(_NO_STORE)
    merge = counted(d, ConceptMerge(id, device, line, line.args[0], cow, store))
    d.log(f"snapshots: There are {merge.end - merge.progress} chunks to merge")
    destination = _construct.open_lower(d, device, line.args[0], "Cannot get usable_origin device")
    if cow == destination:
        raise BadTable("COW device cannot be the same as usable_origin device")
    problem = d.rules.concept.merges(d, merge)
    if problem is not None:
        raise BadTable(problem)
    d.add(merge)


def takes(store: Store) -> bool:
    """Whether a store can be merged: a transient one can't be read by anybody but the snapshot that fills it."""
    return isinstance(store, Persistent)


def merges(d: Draft, merge: ConceptMerge) -> str | None:
    """Why there can't be another merge; None: nobody else merges into the destination, above it or below."""
    others = (t for t in d.targets.values() if isinstance(t, ConceptMerge) and t.device != merge.device)
    taken = any(_overlap(d, t.destination, merge.destination) for t in others)
    return "A snapshot is already merging." if taken else None


def _overlap(d: Draft, one: str, other: str) -> bool:
    return one == other or _construct.is_above(d, one, other) or _construct.is_above(d, other, one)


def counted(d: Draft, merge: ConceptMerge) -> ConceptMerge:
    """With its first and last chunk."""
    start, length = d.rules.concept.span(merge.line)
    end = d.rules.concept.chunks(start + length, merge.chunk_size)
    return replace(merge, progress=start // merge.chunk_size, end=end)


def span(line: TableLine) -> tuple[int, int]:
    """The sectors of the destination that the target covers: the first, and how many."""
    return line.start, line.length


def chunks(sectors: int, chunk_size: int) -> int:
    """How many chunks it takes to cover so many sectors."""
    return chunk_count(sectors, chunk_size)


def extent(merge: ConceptMerge, chunk: int) -> tuple[int, int]:
    """The sectors of a chunk that are the target's: the first, and how many."""
    first = max(chunk_start(chunk, merge.chunk_size), merge.line.start)
    end = min(chunk_start(chunk + 1, merge.chunk_size), merge.line.start + merge.line.length)
    return first, end - first


def usable(_d: Draft, _merge: ConceptMerge, _new: int) -> bool:
    """Whether an exception counts: every one does, also if its chunk is not there any more, which is an error then."""
    return True


def refuse(d: Draft, target: Target) -> str | None:
    """Why a target can't be resumed: one COW device has one server.  A merge takes over from a suspended snapshot."""
    for other in d.targets.values():
        if other.id == target.id or other.device == target.device:
            continue
        if isinstance(target, ConceptMerge) and _same_cow(target, other):
            if isinstance(other, ConceptMerge):
                return "The snapshot is being merged already."
            if not d.device(other.device).suspended:
                return "Unable to merge a snapshot that is not suspended."
        if isinstance(target, SnapshotTarget) and target.valid and _serves(other, target.cow):
            return "The snapshot is being merged."
    return None


def _serves(other: Target, cow: str) -> bool:
    return isinstance(other, ConceptMerge) and other.claims and other.cow == cow


def _same_cow(merge: ConceptMerge, other: Target) -> bool:
    return isinstance(other, ConceptMerge | SnapshotTarget) and other.cow == merge.cow and other.active and other.valid


def take_over(d: Draft, merge: ConceptMerge) -> bool:
    """The suspended snapshot on the COW device is dead from now on; False: it has exceptions in the making still."""
    for snap in [t for t in d.targets.values() if isinstance(t, SnapshotTarget) and _same_cow(merge, t)]:
        if snap.pending or snap.dropping:
            return False
        if d.device(snap.device).suspended:
            _kill(d, snap)
    for snap in [t for t in d.targets.values() if isinstance(t, SnapshotTarget) and t.cow == merge.cow]:
        if not snap.active:
            _kill(d, snap)
    return True


def _kill(d: Draft, snap: SnapshotTarget) -> None:
    d.put(replace(snap, valid=False, completed=NO_EXCEPTIONS, store=replace(snap.store, chunk_size=0)), over=snap)


# --- reading the store -------------------------------------------------------------------------------------------


def begin(d: Draft, merge: ConceptMerge) -> None:
    """Begins to read the store; a transient one has nothing on its device."""
    if isinstance(merge.store, Persistent):
        d.put(replace(merge, stage=Stage.LOADING), over=merge)
        _read(d, merge, ConceptIo(merge.id, ConceptStep.READ_HEADER), 0)
    else:
        d.put(replace(merge, stage=Stage.IDLE), over=merge)


def _read(d: Draft, merge: ConceptMerge, io: ConceptIo, sector: int) -> None:
    id = d.begin(io)
    _bios.send(d, id, Bio(Op.READ, merge.cow, sector, merge.chunk_size, Buffer(id)))


def loaded_part(d: Draft, merge: ConceptMerge, io: ConceptIo, error: str | None, data: bytes) -> None:
    """A chunk of the store has been read."""
    if error is not None or not isinstance(merge.store, Persistent):
        d.rules.concept.load_failed(d, merge)
    elif io.step is ConceptStep.READ_HEADER:
        _header_read(d, merge, decode_header(data))
    else:
        _area_read(d, merge, merge.store, io.area, data)


def _header_read(d: Draft, merge: ConceptMerge, header: Header) -> None:
    if header.magic == 0:
        d.put(replace(merge, stage=Stage.IDLE), over=merge)
    elif header.magic != MAGIC or header.version != VERSION or not is_chunk_size(header.chunk_size):
        d.rules.concept.load_failed(d, merge)
    else:
        sized = replace(merge, store=replace(merge.store, chunk_size=header.chunk_size))
        merge = d.put(d.rules.concept.recount(d, sized), over=merge)
        if header.valid or not d.rules.concept.invalid(d, merge):
            _read_area(d, merge, 0)


def recount(d: Draft, merge: ConceptMerge) -> ConceptMerge:
    """The header has told the chunk size, whatever the table says."""
    return counted(d, merge)


def invalid(d: Draft, merge: ConceptMerge) -> bool:
    """The snapshot was dropped: there is nothing to merge, and the device is its destination; True: that is all."""
    d.log("snapshots: Snapshot is marked invalid.")
    d.put(replace(merge, stage=Stage.IDLE, valid=False), over=merge)
    return True


def load_failed(d: Draft, merge: ConceptMerge) -> None:
    """Nobody knows what the device holds: it fails all I/O."""
    d.log("snapshots: Exception store resume failed")
    d.put(replace(merge, stage=Stage.IDLE, broken=True), over=merge)


def _read_area(d: Draft, merge: ConceptMerge, area: int) -> None:
    if isinstance(merge.store, Persistent):
        sector = area_location(area, merge.store.per_area) * merge.chunk_size
        _read(d, merge, ConceptIo(merge.id, ConceptStep.READ_AREA, area), sector)


def _area_read(d: Draft, merge: ConceptMerge, store: Persistent, area: int, data: bytes) -> None:
    records = decode_records(data)
    completed = merge.completed
    for old, new in records:
        completed = insert(completed, old, new)
    if any(is_metadata(new, store.per_area) for _, new in records):
        d.rules.concept.load_failed(d, merge)
        return
    merge = d.put(replace(merge, completed=completed), over=merge)
    if len(records) == store.per_area:
        _read_area(d, merge, area + 1)
    else:
        d.put(replace(merge, stage=Stage.IDLE), over=merge)


# --- messages and status -----------------------------------------------------------------------------------------


def message(d: Draft, target: Target, text: str) -> str | None:
    """Takes a message; an errno, or None.  ``lookup CHUNK`` answers in the log, and every other does nothing."""
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
    """As the kernel's ``sscanf`` reads ``%lu``: anything may stand behind, no sign before; what is too long wraps."""
    match = re.match(r"[0-9]+", word, re.ASCII)
    return None if match is None else int(match[0][:4000]) % _LONG


def status(merge: ConceptMerge, first: int) -> str:
    """Chunks done and chunks in all; ``first`` is the target's first chunk."""
    if merge.broken or merge.failed:
        return "Merge failed"
    if not merge.valid:
        return "Invalid"
    return f"{merge.progress - first}/{merge.end - first}"
