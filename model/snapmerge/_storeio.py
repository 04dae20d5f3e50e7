"""The metadata I/O of persistent stores: sent here, and here its end is given to whoever goes on."""

from . import _bios, _construct, _copyout
from ._bio import Bio, Buffer, Op
from ._codec import encode_header
from ._draft import Draft
from ._errors import MachineError
from ._replace import replace
from ._state import SnapshotTarget, StoreIo, StoreStep
from ._store import Persistent
from ._units import SECTOR_BYTES

__all__ = ["drop_header", "read", "step_done", "write", "write_header"]


def write(
    d: Draft,
    snap: SnapshotTarget,
    step: StoreStep,
    sector: int,
    data: bytes,
    *,
    preflush: bool = False,
    fua: bool = False,
) -> None:
    """Writes metadata; behind a flush of the COW device, durably, both or neither."""
    bio = Bio(Op.WRITE, snap.cow, sector, len(data) // SECTOR_BYTES, data, preflush=preflush, fua=fua)
    _bios.send(d, d.begin(StoreIo(snap.id, step)), bio)


def write_header(d: Draft, snap: SnapshotTarget, step: StoreStep, *, fua: bool = False) -> None:
    """Writes chunk 0."""
    if isinstance(snap.store, Persistent):
        header = encode_header(snap.store.header, snap.store.chunk_size)
        write(d, snap, step, 0, header, fua=fua)


def drop_header(d: Draft, snap: SnapshotTarget) -> None:
    """Writes the header of an invalid store, durably: what the origin is given next must not outlast it."""
    write_header(d, snap, StoreStep.DROP, fua=True)


def read(d: Draft, snap: SnapshotTarget, step: StoreStep, sector: int, area: int = 0, count: int = 0) -> None:
    """Reads a chunk of metadata."""
    id = d.begin(StoreIo(snap.id, step, area))
    _bios.send(d, id, Bio(Op.READ, snap.cow, sector, count or snap.store.chunk_size, Buffer(id)))


def step_done(d: Draft, id: int, io: StoreIo, error: str | None, data: bytes) -> None:
    """A metadata I/O has ended; one that reads goes on with its bytes."""
    reads = io.step in (StoreStep.READ_HEADER, StoreStep.READ_AREA, StoreStep.MERGE_READ)
    if reads and error is None and not io.fetching:
        d.change(id, replace(io, fetching=True), over=io)
        d.fetch(id)
        return
    d.end(id)
    _go_on(d, io, error, data)


def _go_on(d: Draft, io: StoreIo, error: str | None, data: bytes) -> None:
    snap = d.snapshot(io.target)
    match io.step:
        case StoreStep.READ_HEADER | StoreStep.READ_AREA | StoreStep.NEW_HEADER | StoreStep.NEW_AREA:
            _construct.load_step(d, snap, io, error, data)
        case StoreStep.ZERO_NEXT:
            if error is not None and isinstance(snap.store, Persistent):
                snap = d.put(replace(snap, store=replace(snap.store, valid=False)), over=snap)
            d.rules.write_area(d, snap)
        case StoreStep.WRITE_AREA:
            _copyout.area_written(d, snap, error)
        case StoreStep.DROP:
            _copyout.dropped(d, snap, error)
        case StoreStep.MERGE_READ:
            d.rules.area_read(d, snap, error, data)
        case StoreStep.MERGE_COMMIT:
            d.rules.commit_done(d, snap, error)
        case _:
            raise MachineError(f"unknown step {io.step}")
