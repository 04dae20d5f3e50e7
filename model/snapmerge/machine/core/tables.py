"""Tables: constructed line by line by their targets' constructors, made live, destroyed.

A load constructs the targets of a table one after the other.  A constructor that has to read metadata makes the load
wait; its target calls ``target_built`` when it has, or ``refuse`` when it could not.  A table of which a line is
refused leaves no trace.  A table that is complete becomes the device's inactive one.

Source: ``dm_table_add_target``, ``dm_table_complete``, ``dm_calculate_queue_limits``, ``dm_table_destroy`` in
dm-table.c, ``table_load`` in dm-ioctl.c (specs/devices.md).
"""

from snapmerge.machine.core.bio import Bio, Op
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Load, Target
from snapmerge.machine.core.table_line import BadTable, TableLine
from snapmerge.records import replace

__all__ = [
    "advance_load",
    "destroy",
    "destroy_unused",
    "is_above",
    "loading",
    "lower_names",
    "open_lower",
    "refuse",
    "set_limits",
    "takes_discards",
    "target_built",
    "too_small",
]


# --- loading -----------------------------------------------------------------------------------------------------


def advance_load(d: Draft, request: Load) -> None:
    """Constructs the targets that are left, until one must read its metadata, one is refused, or all are built."""
    for line in request.lines[len(request.built) :]:
        id = d.new_target()
        request = d.change_request(replace(request, loading=id), over=request)
        try:
            reading = _construct(d, id, request, line)
        except BadTable as bad:
            refuse(d, request, bad)
            return
        if reading:
            return
        request = d.change_request(replace(request, built=(*request.built, id), loading=None), over=request)
    _complete(d, request)


def _complete(d: Draft, request: Load) -> None:
    """Makes the table the inactive one, in place of another (DEV-7).

    It is refused if its device has gone meanwhile (DEV-19), or if it does not fit and is the device's first (DEV-13).
    """
    device = d.devices.get(request.device)
    if device is None or device.is_nameless:
        refuse(d, request, BadTable("", "ENXIO"))  # the message of the ioctl layer says no more than that
        return
    problem = None if device.typed else too_small(d, request.built)
    if problem is not None:
        refuse(d, request, BadTable(problem))
        return
    flushes = device.flushes if device.typed else _takes_flushes(d, request.built)
    d.put_device(replace(device, typed=True, flushes=flushes, inactive=request.built), over=device)
    destroy_unused(d, device.inactive)
    d.end_request(request)


def _construct(d: Draft, id: int, request: Load, line: TableLine) -> bool:
    """Constructs one target; True: it is still reading its metadata.  Raises BadTable (CTOR-3)."""
    end = sum(before.length for before in request.lines[: len(request.built)])
    if line.length == 0:
        raise BadTable("zero-length target")
    kind = d.rules.by_name.get(line.target)
    if kind is None:
        raise BadTable(f"{line.target}: unknown target type")
    try:
        if line.start != end:
            raise BadTable("Gap in table")
        return kind.construct(d, id, request, line)
    except BadTable as bad:
        raise BadTable(f"{line.target}: {bad.text}", bad.errno) from None


def loading(d: Draft, target: Target) -> Load:
    """The load that waits for the target's metadata."""
    return next(r for r in d.requests if isinstance(r, Load) and r.loading == target.id)


def target_built(d: Draft, target: Target) -> None:
    """The target has read its metadata; the load continues."""
    request = loading(d, target)
    request = d.change_request(replace(request, built=(*request.built, target.id), loading=None), over=request)
    advance_load(d, request)


def refuse(d: Draft, request: Load, bad: BadTable) -> None:
    """Refuses the table: destroys what was built of it, and changes nothing else (DEV-1)."""
    for id in reversed(request.built):
        destroy(d, id)
    d.end_request(request, bad.errno, bad.text or None)


def destroy(d: Draft, id: int) -> bool:
    """Destroys a target and everything that belongs to it (DEV-25); False: it waits, and is asked again later."""
    target = d.targets.get(id)
    if target is None:
        return True
    if not d.type_of(target).destroy(d, target):
        return False
    d.targets = d.targets.delete(id)
    return True


def destroy_unused(d: Draft, ids: tuple[int, ...]) -> None:
    """Destroys the targets of a table that has never been live, of which nothing is in flight."""
    for id in ids:
        destroy(d, id)


# --- lower devices -----------------------------------------------------------------------------------------------


def open_lower(d: Draft, device: str, name: str, problem: str) -> str:
    """The disk or device of this name, for a table of ``device``.  Raises BadTable with the text ``problem``.

    A device can't be below itself, and is no block device before it has got its first table (DEV-21), or when its
    removal has begun (DEV-23).

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


def lower_names(d: Draft, target: Target) -> tuple[str, ...]:
    """The names of the disks and devices on which a target is made."""
    return d.type_of(target).lower(target)


def is_above(d: Draft, name: str, device: str) -> bool:
    """Whether ``device`` is somewhere below ``name``, by any table, live or not (DEV-17, DEV-18)."""
    below = {lower for target in d.targets.values() if target.device == name for lower in lower_names(d, target)}
    return device in below or any(is_above(d, lower, device) for lower in below)


# --- limits ------------------------------------------------------------------------------------------------------


def set_limits(d: Draft, name: str) -> None:
    """A table is live now: decides what the device can do.  Source: ``dm_table_set_restrictions``."""
    device = d.device(name)
    for id in device.live:
        target = d.targets[id]
        d.type_of(target).set_limits(d, target)
    d.put_device(replace(device, flushes=_takes_flushes(d, device.live)), over=device)


def _takes_flushes(d: Draft, ids: tuple[int, ...]) -> bool:
    """Whether a target of a table takes flushes, and something below it does (DEV-29).  ``dm_table_supports_flush``."""
    targets = [
        target for target in (d.targets[id] for id in ids) if d.type_of(target).clones(target, Bio(Op.FLUSH, ""))
    ]
    lower = {name for target in targets for name in lower_names(d, target)}
    return any(name in d.disks or d.device(name).flushes for name in lower)


def takes_discards(d: Draft, name: str) -> bool:
    """Whether a disk, or a device by its live table, takes discards now (DEV-28).

    Source: ``dm_table_supports_discards``.
    """
    if name in d.disks:
        return True
    discard = Bio(Op.DISCARD, name, count=1)
    live = [d.targets[id] for id in d.device(name).live]
    return bool(live) and all(d.type_of(target).clones(target, discard) for target in live)


def too_small(d: Draft, ids: tuple[int, ...]) -> str | None:
    """Why a table does not fit: a target reaches beyond the end of its lower device; None: all fit (DEV-13).

    The kernel asks when a device gets its first table, and from then on only when a table becomes live.  A device
    without a table has no size that it could ask for.

    Source: ``dm_calculate_queue_limits``, ``device_area_is_invalid``.
    """
    for id in ids:
        target = d.targets[id]
        extent = d.type_of(target).extent(d, target)
        if extent is None:
            continue
        lower, start = extent
        if 0 < d.size(lower) < start + target.line.length:
            where = f"start={start}, len={target.line.length}, dev_size={d.size(lower)}"
            return f"{lower} too small for target: {where}"
    return None
