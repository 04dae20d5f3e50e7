"""Constructing a ``snapshot`` or ``snapshot-merge``: the checks in the kernel's order, and the load of its store.

A persistent store is read when the target is constructed: the header, then area after area while an area is full.  A
COW device that begins with zeroes gets a new store.  A target that will take over from another (``handover``) reads
nothing.

Source: ``snapshot_ctr`` in dm-snap.c, ``persistent_read_metadata``, ``read_header``, ``read_exceptions`` in
dm-snap-persistent.c (specs/devices.md, specs/store.md).
"""

from snapmerge.format.codec import MAGIC, VERSION, Header, decode_header, decode_records
from snapmerge.format.exceptions import insert
from snapmerge.format.layout import area_location
from snapmerge.format.store import DEFAULT_CHUNK_SIZE, Persistent, Store
from snapmerge.machine.core import tables
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Load
from snapmerge.machine.core.table_line import BadTable, TableLine
from snapmerge.machine.snapshot import store_io
from snapmerge.machine.snapshot.args import parse_features, parse_store
from snapmerge.machine.snapshot.handover import NO_MERGE, wants_handover
from snapmerge.machine.snapshot.registry import register, snapshot, unregister
from snapmerge.machine.snapshot.rules import rules_of
from snapmerge.machine.snapshot.state import Merge, SnapshotTarget, StoreIo, StoreStep
from snapmerge.records import replace
from snapmerge.units import is_chunk_size

__all__ = ["can_merge", "construct_snapshot", "finish_load", "load_step"]

_NOT_READ = "Failed to read snapshot metadata"


def construct_snapshot(d: Draft, id: int, request: Load, line: TableLine) -> bool:
    """Makes a ``snapshot`` or ``snapshot-merge``, and registers it (DEV-14); True: it reads its store.

    One that takes over by a handover reads nothing (CTOR-2).  A transient store has nothing to read (STORE-21).

    Raises BadTable (CTOR-1).
    """
    snap = _checked(d, id, request, line)
    handover = wants_handover(d, snap)
    problem = rules_of(d).admit(d, snap)
    if problem is not None:
        raise BadTable(problem)
    d.add(snap)
    register(d, snap)
    store = snap.store
    if handover:
        d.put(replace(snap, store=replace(store, chunk_size=0)), over=snap)
        return False
    if isinstance(store, Persistent):
        d.put(replace(snap, store=replace(store, chunk_size=store.chunk_size or DEFAULT_CHUNK_SIZE)), over=snap)
        store_io.read(d, snapshot(d, id), StoreStep.READ_HEADER, 0)
        return True
    if store.chunk_size == 0:
        _forget(d, snap)
        raise BadTable("Chunk size not set")
    d.put(replace(snap, io_max=store.chunk_size), over=snap)
    return False


def _checked(d: Draft, id: int, request: Load, line: TableLine) -> SnapshotTarget:
    """The target of a table line with valid arguments.  Raises BadTable (CTOR-1, rows 1 to 9)."""
    if len(line.args) < 4:
        raise BadTable("requires 4 or more arguments")
    features = parse_features(line.args[4:])
    origin = tables.open_lower(d, request.device, line.args[0], "Cannot get origin device")
    cow = tables.open_lower(d, request.device, line.args[1], "Cannot get COW device")
    if cow == origin:
        raise BadTable("COW device cannot be the same as origin device")
    store = parse_store(line.args[2], line.args[3])
    if store is None:
        raise BadTable("Couldn't create exception store")
    merge = Merge() if line.target == "snapshot-merge" else None
    if merge is not None and not rules_of(d).can_merge(store):
        raise BadTable(NO_MERGE)
    table_size = request.lines[-1].start + request.lines[-1].length
    return SnapshotTarget(id, request.device, line, origin, cow, features, store, table_size, merge)


def can_merge(store: Store) -> bool:
    """Whether a store has merge operations: a transient one has not (MERGE-31)."""
    return isinstance(store, Persistent)


def _forget(d: Draft, snap: SnapshotTarget) -> None:
    """Removes a target whose construction has failed."""
    unregister(d, snap)
    d.targets = d.targets.delete(snap.id)


# --- loading a store ---------------------------------------------------------------------------------------------


def load_step(d: Draft, snap: SnapshotTarget, io: StoreIo, error: str | None, data: bytes) -> None:
    """One I/O of the load has ended; begins the next, or ends the load."""
    store = snap.store
    if error is not None or not isinstance(store, Persistent):
        _load_failed(d, snap, "EIO")
    elif io.step is StoreStep.READ_HEADER:
        _header_read(d, snap, store, decode_header(data))
    elif io.step is StoreStep.NEW_HEADER:
        store_io.write(d, snap, StoreStep.NEW_AREA, store.area_sector, store.zeroes)
    elif io.step is StoreStep.NEW_AREA:
        rules_of(d).finish_load(d, snap)
    else:
        _area_loaded(d, snap, store, data)


def _header_read(d: Draft, snap: SnapshotTarget, store: Persistent, header: Header) -> None:
    """Makes a new store (STORE-10), refuses foreign contents (STORE-12), or takes the header's chunk size (STORE-11).

    An invalid store stays invalid (STORE-5), and its exceptions are not read (STORE-13).
    """
    if header.magic == 0:
        snap = d.put(replace(snap, store=store.blank()), over=snap)
        store_io.write_header(d, snap, StoreStep.NEW_HEADER)
        return
    if header.magic != MAGIC:
        d.log("persistent snapshot: Invalid or corrupt snapshot")
        _load_failed(d, snap, "ENXIO")
        return
    if header.chunk_size != store.chunk_size and not is_chunk_size(header.chunk_size):
        _load_failed(d, snap, "EINVAL")
        return
    if header.version != VERSION:
        d.log(f"persistent snapshot: unable to handle snapshot disk version {header.version}")
        _load_failed(d, snap, "EINVAL")
        return
    if store.supplied and header.chunk_size != store.chunk_size:
        sizes = f"chunk size {header.chunk_size} in device metadata overrides table chunk size of {store.chunk_size}."
        d.log(f"persistent snapshot: {sizes}")
    store = replace(store, chunk_size=header.chunk_size, valid=header.valid != 0)
    snap = d.put(replace(snap, store=store), over=snap)
    if store.valid:
        _read_area(d, snap, store, 0)
        return
    d.log("snapshots: Snapshot is marked invalid.")
    d.put(replace(snap, valid=False), over=snap)
    rules_of(d).finish_load(d, snapshot(d, snap.id))


def _read_area(d: Draft, snap: SnapshotTarget, store: Persistent, area: int) -> None:
    at = area_location(area, store.per_area) * store.chunk_size
    store_io.read(d, snap, StoreStep.READ_AREA, at, area)


def _area_loaded(d: Draft, snap: SnapshotTarget, store: Persistent, data: bytes) -> None:
    """Takes in an area, and reads the next if it is full (STORE-14)."""
    records = decode_records(data)
    completed = snap.completed
    for old, new in records:
        completed = insert(completed, old, new)
    store = store.load(data, records)
    full = store.full
    if full:
        store = replace(store, area=store.area + 1, committed=0)
    snap = d.put(replace(snap, completed=completed, store=store), over=snap)
    if full:
        _read_area(d, snap, store, store.area)
    else:
        rules_of(d).finish_load(d, snap)


def finish_load(d: Draft, snap: SnapshotTarget) -> None:
    """The store is loaded (STORE-15); the target is complete."""
    store = snap.store
    if isinstance(store, Persistent):
        store = store.loaded()
    snap = d.put(replace(snap, store=store, io_max=store.chunk_size), over=snap)
    tables.target_built(d, snap)


def _load_failed(d: Draft, snap: SnapshotTarget, errno: str) -> None:
    """Refuses the table (CTOR-1, row 13); nothing has been written to a store that is refused (DEV-1)."""
    request = tables.loading(d, snap)
    _forget(d, snap)
    tables.refuse(d, request, BadTable(f"{snap.line.target}: {_NOT_READ}", errno))
