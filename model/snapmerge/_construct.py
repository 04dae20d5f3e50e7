"""Constructing tables: the checks of every target's constructor, in the kernel's order, and the load of a store.

Source: ``dm_table_add_target``, ``snapshot_ctr``, ``origin_ctr``, ``linear_ctr``, ``__validate_exception_handover``,
``read_header`` and ``persistent_read_metadata`` (specs/devices.md, specs/store.md).
"""

from typing import assert_never

from . import _concept_table, _devices, _origin, _storeio
from ._codec import MAGIC, VERSION, Header, decode_header, decode_records
from ._concept_state import ConceptMerge, Generation
from ._draft import Draft
from ._exceptions import insert
from ._layout import area_location
from ._replace import replace
from ._state import LinearTarget, Load, Merge, OriginTarget, SnapshotTarget, StoreIo, StoreStep, Target
from ._store import DEFAULT_CHUNK_SIZE, Persistent
from ._table import TARGETS, BadTable, TableLine, parse_features, parse_store
from ._units import is_chunk_size

__all__ = [
    "advance_load",
    "finish_load",
    "is_above",
    "load_step",
    "lower_names",
    "open_lower",
    "sharing_cow",
    "too_small",
]

_NOT_READ = "Failed to read snapshot metadata"
_NO_MERGE = "Snapshot exception store does not support snapshot-merge."


def advance_load(d: Draft, request: Load) -> None:
    """Constructs the targets that are left, until one must read its metadata, one is refused, or all are there."""
    request = _current(d, request)
    for line in request.lines[len(request.built) :]:
        id = d.new_target()
        request = d.change_request(replace(request, loading=id), over=request)
        try:
            loading = _construct(d, id, request, line)
        except BadTable as bad:
            _refuse(d, request, bad)
            return
        if loading:
            return
        request = d.change_request(replace(request, built=(*request.built, id), loading=None), over=request)
    device = d.devices.get(request.device)
    if device is None or device.is_nameless:
        _refuse(d, request, BadTable("ioctl: device has been removed from the dev hash table.", "ENXIO"))
        return
    problem = None if device.typed else too_small(d, request.built)
    if problem is not None:
        _refuse(d, request, BadTable(problem))
        return
    d.put_device(replace(device, typed=True), over=device)
    _devices.table_loaded(d, request)


def _current(d: Draft, request: Load) -> Load:
    return next(r for r in d.requests if isinstance(r, Load) and r.token == request.token)


def _refuse(d: Draft, request: Load, bad: BadTable) -> None:
    """The table is refused: what was built of it goes, nothing else has changed."""
    for id in reversed(request.built):
        _devices.destroy(d, id)
    d.end_request(request, bad.errno, bad.text)


def _construct(d: Draft, id: int, request: Load, line: TableLine) -> bool:
    """Constructs one target; True: it is still reading its metadata.  Raises BadTable."""
    end = sum(before.length for before in request.lines[: len(request.built)])
    if line.length == 0:
        raise BadTable("zero-length target")
    if line.target not in TARGETS:
        raise BadTable(f"{line.target}: unknown target type")
    try:
        if line.start != end:
            raise BadTable("Gap in table")
        if line.target == "linear":
            return _construct_linear(d, id, request.device, line)
        if line.target == "snapshot-origin":
            return _construct_origin(d, id, request.device, line)
        if line.target == "snapshot-merge" and d.generation is Generation.CONCEPT:
            _concept_table.construct(d, id, request.device, line)
            return False
        return _construct_snapshot(d, id, request, line)
    except BadTable as bad:
        raise BadTable(f"{line.target}: {bad.text}", bad.errno) from None


def open_lower(d: Draft, device: str, name: str, problem: str) -> str:
    """The disk or device of this name.

    A device can't be below itself, and is no block device before it has got its first table, or when its removal has
    begun.
    Source: ``dm_get_device``, ``dm_setup_md_queue``.
    """
    if name == device:
        raise BadTable(problem)
    if name in d.disks:
        return name
    if name not in d.devices:
        leaving = any(other.called == name for other in d.devices.values())
        raise BadTable(problem, "ENXIO" if leaving else "ENODEV")
    if not d.device(name).typed:
        raise BadTable(problem, "ENXIO")
    return name


def _construct_linear(d: Draft, id: int, device: str, line: TableLine) -> bool:
    if len(line.args) != 2:
        raise BadTable("Invalid argument count")
    offset = line.args[1]
    if not (offset.isascii() and offset.isdecimal()) or len(offset) > 18:
        raise BadTable("Invalid device sector")
    lower = open_lower(d, device, line.args[0], "Device lookup failed")
    d.add(LinearTarget(id, device, line, lower, int(offset)))
    return False


def _construct_origin(d: Draft, id: int, device: str, line: TableLine) -> bool:
    if len(line.args) != 1:
        raise BadTable("origin: incorrect number of arguments")
    lower = open_lower(d, device, line.args[0], "Cannot get target device")
    d.add(OriginTarget(id, device, line, lower))
    return False


def _construct_snapshot(d: Draft, id: int, request: Load, line: TableLine) -> bool:
    device = request.device
    if len(line.args) < 4:
        raise BadTable("requires 4 or more arguments")
    features = parse_features(line.args[4:])
    origin = open_lower(d, device, line.args[0], "Cannot get origin device")
    cow = open_lower(d, device, line.args[1], "Cannot get COW device")
    if cow == origin:
        raise BadTable("COW device cannot be the same as origin device")
    store = parse_store(line.args[2], line.args[3])
    if store is None:
        raise BadTable("Couldn't create exception store")
    merge = Merge() if line.target == "snapshot-merge" else None
    if merge is not None and not isinstance(store, Persistent):
        raise BadTable(_NO_MERGE)
    table_size = request.lines[-1].start + request.lines[-1].length
    snap = SnapshotTarget(id, device, line, origin, cow, features, store, table_size, merge)
    handover = _wants_handover(d, snap)
    if d.generation is Generation.CONCEPT and (problem := d.rules.concept.refuse(d, snap)) is not None:
        raise BadTable(problem)
    d.add(snap)
    _origin.register(d, snap)
    if handover:
        d.put(replace(snap, store=replace(store, chunk_size=0)), over=snap)
        return False
    if isinstance(store, Persistent):
        d.put(replace(snap, store=replace(store, chunk_size=store.chunk_size or DEFAULT_CHUNK_SIZE)), over=snap)
        _storeio.read(d, d.snapshot(id), StoreStep.READ_HEADER, 0)
        return True
    if store.chunk_size == 0:
        _devices.destroy(d, id)
        raise BadTable("Chunk size not set")
    d.put(replace(snap, io_max=store.chunk_size), over=snap)
    return False


def sharing_cow(d: Draft, snap: SnapshotTarget) -> tuple[SnapshotTarget | None, SnapshotTarget | None, int]:
    """The active and the inactive snapshot on the same origin and COW device, if any, and how many there are."""
    source = destination = None
    same = [s for s in d.snapshots_of(snap.origin) if s.cow == snap.cow]
    for other in same:
        if other.active:
            source = other
        else:
            destination = other
    return source, destination, len(same)


def _wants_handover(d: Draft, snap: SnapshotTarget) -> bool:
    """Whether the new target takes its exceptions over from an active one.  Raises BadTable."""
    source, destination, count = sharing_cow(d, snap)
    if count == 2 or destination is not None:
        raise BadTable("Snapshot cow pairing for exception table handover failed")
    if source is None or snap.merge is None:
        return source is not None
    if any(s.merge is not None for s in d.snapshots_of(snap.origin)):
        raise BadTable("A snapshot is already merging.")
    if not isinstance(source.store, Persistent):
        raise BadTable(_NO_MERGE)
    return True


def set_limits(d: Draft, ids: tuple[int, ...]) -> None:
    """Decides which devices take discards: those whose chunk size is known, or that of the target they take over from.

    Source: ``snapshot_io_hints``, which is asked when a table becomes live.
    """
    for id in ids:
        target = d.targets[id]
        if isinstance(target, SnapshotTarget):
            source, destination, _ = sharing_cow(d, target)
            store = source.store if source is not None and destination is not None else target.store
            d.put(replace(target, discards=target.features.zeroes and store.chunk_size > 0), over=target)


def too_small(d: Draft, ids: tuple[int, ...]) -> str | None:
    """What a target is that reaches beyond the end of what is below it, if one does.

    The kernel asks when a device gets its first table, and from then on only when a table becomes live.  A device
    without a table has no size that it could ask for.
    Source: ``dm_calculate_queue_limits``, ``device_area_is_invalid``.
    """
    for id in ids:
        target = d.targets[id]
        lower, start = _extent(d, target)
        if 0 < d.size(lower) < start + target.line.length:
            where = f"start={start}, len={target.line.length}, dev_size={d.size(lower)}"
            return f"{lower} too small for target: {where}"
    return None


def _extent(d: Draft, target: Target) -> tuple[str, int]:
    """What is below a target, and from which sector of it on."""
    match target:
        case LinearTarget(lower=lower, offset=offset):
            return lower, offset
        case OriginTarget(lower=lower) | SnapshotTarget(origin=lower):
            return lower, 0
        case ConceptMerge(destination=lower, line=line):
            return lower, d.rules.concept.span(line)[0]
        case _:
            assert_never(target)


def is_above(d: Draft, name: str, device: str) -> bool:
    """Whether ``device`` is somewhere below ``name``, by any table, live or not."""
    below = {lower for target in d.targets.values() if target.device == name for lower in lower_names(target)}
    return device in below or any(is_above(d, lower, device) for lower in below)


def lower_names(target: Target) -> tuple[str, ...]:
    """The names of what a target is made on."""
    match target:
        case LinearTarget(lower=lower) | OriginTarget(lower=lower):
            return (lower,)
        case SnapshotTarget(origin=origin, cow=cow) | ConceptMerge(destination=origin, cow=cow):
            return origin, cow
        case _:
            assert_never(target)


# --- loading a store (3.3) ---------------------------------------------------------------------------------------


def load_step(d: Draft, snap: SnapshotTarget, io: StoreIo, error: str | None, data: bytes) -> None:
    """One I/O of the load has ended; begins the next, or ends the load."""
    store = snap.store
    if error is not None or not isinstance(store, Persistent):
        _load_failed(d, snap, "EIO")
    elif io.step is StoreStep.READ_HEADER:
        _header_read(d, snap, store, decode_header(data))
    elif io.step is StoreStep.NEW_HEADER:
        _storeio.write(d, snap, StoreStep.NEW_AREA, store.area_sector, store.zeroes)
    elif io.step is StoreStep.NEW_AREA:
        d.rules.finish_load(d, snap)
    else:
        _area_loaded(d, snap, store, data)


def _header_read(d: Draft, snap: SnapshotTarget, store: Persistent, header: Header) -> None:
    if header.magic == 0:
        snap = d.put(replace(snap, store=store.blank()), over=snap)
        _storeio.write_header(d, snap, StoreStep.NEW_HEADER)
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
    d.rules.finish_load(d, d.snapshot(snap.id))


def _read_area(d: Draft, snap: SnapshotTarget, store: Persistent, area: int) -> None:
    at = area_location(area, store.per_area) * store.chunk_size
    _storeio.read(d, snap, StoreStep.READ_AREA, at, area)


def _area_loaded(d: Draft, snap: SnapshotTarget, store: Persistent, data: bytes) -> None:
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
        d.rules.finish_load(d, snap)


def finish_load(d: Draft, snap: SnapshotTarget) -> None:
    """The store is loaded; the constructor goes on."""
    store = snap.store
    if isinstance(store, Persistent):
        store = store.loaded()
    d.put(replace(snap, store=store, io_max=store.chunk_size), over=snap)
    request = _loading(d, snap)
    request = d.change_request(replace(request, built=(*request.built, snap.id), loading=None), over=request)
    advance_load(d, request)


def _loading(d: Draft, snap: SnapshotTarget) -> Load:
    return next(r for r in d.requests if isinstance(r, Load) and r.loading == snap.id)


def _load_failed(d: Draft, snap: SnapshotTarget, errno: str) -> None:
    request = _loading(d, snap)
    _devices.destroy(d, snap.id)
    _refuse(d, request, BadTable(f"{snap.line.target}: {_NOT_READ}", errno))
