"""The load of a merge's store, at its first resume.

Source: ``snapshot_merge_resume`` of the patch (specs/concept.md).
"""

from snapmerge.format.codec import MAGIC, VERSION, Header, decode_header, decode_records
from snapmerge.format.exceptions import insert
from snapmerge.format.layout import area_location, is_metadata
from snapmerge.format.store import Persistent
from snapmerge.machine.concept.ctr import counted
from snapmerge.machine.concept.rules import rules_of
from snapmerge.machine.concept.state import ConceptIo, ConceptMerge, ConceptStep, Stage
from snapmerge.machine.core import bios
from snapmerge.machine.core.bio import Bio, Buffer, Op
from snapmerge.machine.core.draft import Draft
from snapmerge.records import replace
from snapmerge.units import is_chunk_size

__all__ = [
    "begin",
    "invalid",
    "load_failed",
    "loaded_part",
    "recount",
]


def begin(d: Draft, merge: ConceptMerge) -> None:
    """Begins to read the store; a transient one has nothing on its device."""
    if isinstance(merge.store, Persistent):
        d.put(replace(merge, stage=Stage.LOADING), over=merge)
        _read(d, merge, ConceptIo(merge.id, ConceptStep.READ_HEADER), 0)
    else:
        d.put(replace(merge, stage=Stage.IDLE), over=merge)


def _read(d: Draft, merge: ConceptMerge, io: ConceptIo, sector: int) -> None:
    id = d.begin(io)
    bios.send(d, id, Bio(Op.READ, merge.cow, sector, merge.chunk_size, Buffer(id)))


def loaded_part(d: Draft, merge: ConceptMerge, io: ConceptIo, error: str | None, data: bytes) -> None:
    """A chunk of the store has been read."""
    if error is not None or not isinstance(merge.store, Persistent):
        rules_of(d).load_failed(d, merge)
    elif io.step is ConceptStep.READ_HEADER:
        _header_read(d, merge, decode_header(data))
    else:
        _area_read(d, merge, merge.store, io.area, data)


def _header_read(d: Draft, merge: ConceptMerge, header: Header) -> None:
    if header.magic == 0:
        d.put(replace(merge, stage=Stage.IDLE), over=merge)
    elif header.magic != MAGIC or header.version != VERSION or not is_chunk_size(header.chunk_size):
        rules_of(d).load_failed(d, merge)
    else:
        sized = replace(merge, store=replace(merge.store, chunk_size=header.chunk_size))
        merge = d.put(rules_of(d).recount(d, sized), over=merge)
        if header.valid or not rules_of(d).invalid(d, merge):
            _read_area(d, merge, 0)


def recount(d: Draft, merge: ConceptMerge) -> ConceptMerge:
    """Takes over the header's chunk size, whatever the table says."""
    return counted(d, merge)


def invalid(d: Draft, merge: ConceptMerge) -> bool:
    """Ends a merge with an invalid store: its device is the destination (CONCEPT-17).  Always True."""
    d.log("snapshots: Snapshot is marked invalid.")
    d.put(replace(merge, stage=Stage.IDLE, valid=False), over=merge)
    return True


def load_failed(d: Draft, merge: ConceptMerge) -> None:
    """Fails all I/O from now on, since the store can't be read and the device's content is unknown (CONCEPT-15)."""
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
        rules_of(d).load_failed(d, merge)
        return
    merge = d.put(replace(merge, completed=completed), over=merge)
    if len(records) == store.per_area:
        _read_area(d, merge, area + 1)
    else:
        d.put(replace(merge, stage=Stage.IDLE), over=merge)
