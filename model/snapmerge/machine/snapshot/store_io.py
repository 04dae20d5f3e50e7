"""Sends the metadata I/O of persistent stores; ``types`` has the function that each end of it calls.

Source: ``chunk_io``, ``area_io``, ``write_header`` in dm-snap-persistent.c (specs/store.md).
"""

from snapmerge.format.codec import encode_header
from snapmerge.format.store import Persistent
from snapmerge.machine.core.bio import Bio, Buffer, Op
from snapmerge.machine.core.bios import send
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.snapshot.state import SnapshotTarget, StoreIo, StoreStep
from snapmerge.units import SECTOR_BYTES

__all__ = ["drop_header", "read", "write", "write_header"]


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
    """Writes metadata.  ``preflush``: after a flush of the COW device; ``fua``: durably."""
    bio = Bio(Op.WRITE, snap.cow, sector, len(data) // SECTOR_BYTES, data, preflush=preflush, fua=fua)
    send(d, d.begin(StoreIo(snap.id, step)), bio)


def write_header(d: Draft, snap: SnapshotTarget, step: StoreStep, *, fua: bool = False) -> None:
    """Writes the header, which is chunk 0."""
    if isinstance(snap.store, Persistent):
        header = encode_header(snap.store.header, snap.store.chunk_size)
        write(d, snap, step, 0, header, fua=fua)


def drop_header(d: Draft, snap: SnapshotTarget) -> None:
    """Writes the header of an invalid store durably, before the origin is written to (SNAP-13)."""
    write_header(d, snap, StoreStep.DROP, fua=True)


def read(d: Draft, snap: SnapshotTarget, step: StoreStep, sector: int, area: int = 0, count: int = 0) -> None:
    """Reads ``count`` sectors of metadata; 0: a chunk."""
    id = d.begin(StoreIo(snap.id, step, area))
    send(d, id, Bio(Op.READ, snap.cow, sector, count or snap.store.chunk_size, Buffer(id)))
