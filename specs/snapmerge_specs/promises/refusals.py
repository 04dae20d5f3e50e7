"""Requests that must not fail while no disk fails, whatever the implementation."""

from typing import Final

import snapmerge as sm
from snapmerge_specs.promises.shadow import Shadow
from snapmerge_specs.promises.state import Device, Line, parse_lines

__all__ = ["flush_must_succeed", "is_refused", "must_succeed"]

_KINDS: Final = ("P", "PO", "N")
_LEAST: Final = 3  # chunks: a header, an area, and one exception


def must_succeed(shadow: Shadow, operation: sm.Plain) -> bool:
    """Whether an operation must succeed, if nothing else is under way.

    False also where a user can't tell: for a table of several lines, or while a device is suspended.
    """
    if any(disk.faults for disk in shadow.disks.values()) or not all(d.certain for d in shadow.devices.values()):
        return False
    match operation:
        case sm.Create(name, table):
            return name not in shadow.devices and name not in shadow.disks and _may_be_made(shadow, table)
        case sm.Load(name, table):
            return name in shadow.devices and _may_be_made(shadow, table)
        case sm.Clear(name) | sm.Status(name) | sm.Table(name) | sm.Events(name) | sm.Settle(name):
            return name in shadow.devices
        case sm.Suspend(name) | sm.Resume(name) | sm.Remove(name):
            return name in shadow.devices and _may_change(shadow, shadow.devices[name], operation)
        case _:
            return False


def is_refused(operation: sm.Plain, outcome: sm.Outcome | None) -> bool:
    """Whether the operation has failed, and not for something that the model does not have, such as larger blocks."""
    if not isinstance(outcome, sm.Failed):
        return False
    try:
        sm.check_modelled(operation, outcome)
    except sm.NotModelled:
        return False
    return True


def flush_must_succeed(shadow: Shadow, where: str, began: int) -> bool:
    """Whether a flush that began at this time must succeed: everything that it reaches is known, and works."""
    if where in shadow.disks:
        return shadow.disks[where].failed < began
    device = shadow.devices.get(where)
    if device is None or not device.certain or not device.live or any(line.target == "?" for line in device.live):
        return False
    stores = [shadow.stores.get(line.cow) for line in device.live if line.has_store]
    if any(store is None or not store.counts or store.may_be_invalid for store in stores):
        return False
    below = {name for line in device.live for name in (line.lower, line.cow) if name}
    return all(flush_must_succeed(shadow, name, began) for name in below)


def _may_change(shadow: Shadow, device: Device, operation: sm.Suspend | sm.Resume | sm.Remove) -> bool:
    others = [other for other in shadow.devices.values() if other is not device]
    match operation:
        case sm.Suspend():
            return bool(device.live) and device.suspended is False
        case sm.Resume():
            handover = any(line.has_store for line in device.lines)  # which depends on the order of several requests
            return bool(device.lines) and not device.unsure and not handover
        case sm.Remove():
            return not any(device.name in line.names for other in others for line in other.lines)


def _may_be_made(shadow: Shadow, table: str | None) -> bool:
    """Whether a table must be accepted: it has one line, on disks without other contents."""
    lines = parse_lines(table or "")
    if any(device.suspended is not False for device in shadow.devices.values()):
        return False
    return table is None or (len(lines) == 1 and _line_may_be_made(shadow, lines[0]))


def _line_may_be_made(shadow: Shadow, line: Line) -> bool:
    lower = shadow.disks.get(line.lower)
    if lower is None or line.start or not 0 < line.length <= lower.size - line.offset:
        return False
    return not line.has_store or (not lower.cow and lower.trusted and _store_may_be_used(shadow, line))


def _store_may_be_used(shadow: Shadow, line: Line) -> bool:
    """Whether the store exists or can be made, and no device uses it."""
    cow, store, chunk = shadow.disks.get(line.cow), shadow.stores.get(line.cow), line.chunk
    plain = line.names[2:3] and line.names[2] in _KINDS and len(line.names) == 4
    if cow is None or cow is shadow.disks[line.lower] or not cow.trusted or not plain or chunk & (chunk - 1):
        return False
    if not 0 < chunk * _LEAST <= cow.size or shadow.is_used(line.cow) or shadow.stores_on(cow):
        return False
    if line.is_merge and (line.kind == "N" or any(one.is_merge for d in shadow.devices.values() for one in d.lines)):
        return False
    if line.kind == "N" or (store is None and cow.header == "zero"):
        return True
    known = store is not None and cow.header == "store" and store.kind == "P" and store.chunk == chunk
    return known and store is not None and store.counts and not store.may_be_invalid
