"""The effects of tables on the allowed contents: snapshots begin, are handed over, merge, and end."""

from collections.abc import Iterable
from typing import Final

from snapmerge_specs.promises.held import Volume
from snapmerge_specs.promises.shadow import Shadow
from snapmerge_specs.promises.state import Device, Disk, Line, Store

__all__ = [
    "cleared",
    "crashed",
    "doubt",
    "finished",
    "load_failed",
    "loaded",
    "merging",
    "removed",
    "resumed",
    "watch_faults",
]

_NOBODY: Final = ""
"""In ``Device.pairs``: a device has had the store, and has it no more, so the handover from it can't take place."""

_UNKNOWN_HANDOVER: Final = "whether there is a snapshot that it waits for is not known"


def loaded(shadow: Shadow, device: Device, lines: tuple[Line, ...]) -> None:
    """Records that a table was accepted as a device's inactive one, and a new store for it on the disk."""
    _keep_lines(device)
    device.inactive, device.pairs, device.unsure = lines, {}, False
    for line in lines:
        if line.target == "?":
            for disk in {id(d): d for word in line.names for d in shadow.reach(word)}.values():
                shadow.distrust(disk, f"a target on it is not known: {' '.join(line.names)}")
        if line.has_store:
            _enter(shadow, line, line.chunk)
            store = shadow.stores.get(line.cow)
            if store is not None and store.server is not None:
                if _shares(shadow, store.server, line):
                    device.pairs[line.cow] = store.server
                else:
                    shadow.lose(store, f"snapshots of several origins have {line.cow}")
            elif (dead := _has_dead(shadow.devices.values(), line)) is not False:
                device.pairs[line.cow] = _NOBODY
                if dead is None and store is not None:
                    shadow.lose(store, _UNKNOWN_HANDOVER)


def may_be_loaded(shadow: Shadow, device: Device, lines: tuple[Line, ...]) -> None:
    """Records that a table may have been accepted; any table of the device may be the inactive one."""
    loaded(shadow, device, (*device.lines, *lines))
    device.unsure = True


def cleared(device: Device) -> None:
    """Records that a device's inactive table was dropped; a store that was made for it stays on its disk.

    After a resume that was refused the table of that resume may be the live one, which a clear leaves alone.
    """
    _keep_lines(device)
    device.inactive, device.pairs, device.unsure = None, {}, False


def _keep_lines(device: Device) -> None:
    """Allows the inactive table to be the live one, where it is not known which is live."""
    if not device.certain:
        device.live = device.lines


def _shares(shadow: Shadow, server: str, line: Line) -> bool:
    """Whether a device's snapshot has the same origin as a line: only then is there a handover between them."""
    device = shadow.devices.get(server)
    return device is not None and bool(_has_dead([device], line))


def _has_dead(devices: Iterable[Device], line: Line) -> bool | None:
    """Whether the live table of one of these devices has a snapshot or merge with the line's origin and COW device.

    None: one may have, as its live table is not known.
    """
    pair = (line.lower, line.cow)
    having = [one for one in devices if any(live.has_store and (live.lower, live.cow) == pair for live in one.live)]
    return any(device.certain for device in having) or (None if having else False)


def _mark_cows(shadow: Shadow) -> None:
    """Records an unknown store on every disk below a COW device that is no disk itself."""
    for device in shadow.devices.values():
        for line in device.lines:
            if line.has_store and line.cow not in shadow.disks:
                _mark_below(shadow, line.cow)


def _mark_below(shadow: Shadow, window: str) -> None:
    for disk in list(shadow.reach(window)):
        _mark_cow(shadow, disk)
        disk.header = "unknown"
        if (store := shadow.stores.get(disk.name)) is not None:
            shadow.lose(store, f"another store is on {disk.name}, through {window}")


def _mark_cow(shadow: Shadow, disk: Disk) -> None:
    """Records that a store is on a disk; snapshots whose origin is on that disk may show anything from then on."""
    disk.cow = True
    for store in shadow.stores_on(disk):
        shadow.lose(store, f"{disk.name}, its origin, is a COW device, too")


def load_failed(shadow: Shadow, lines: Iterable[Line], errno: str) -> None:
    """Records a refused table, for which a store, or a part of one, may have been made."""
    for line in lines:
        if line.has_store and line.kind != "N" and line.cow != line.lower:
            is_new = line.cow not in shadow.stores
            _enter(shadow, line, 0)
            if is_new and errno == "EIO" and line.cow in shadow.stores:
                shadow.lose(shadow.stores[line.cow], "it could not be made, and may hold records of an older one")


def _enter(shadow: Shadow, line: Line, chunk: int) -> None:
    """Records a store on a disk, if there was none."""
    if (cow := shadow.disks.get(line.cow)) is None:
        _mark_below(shadow, line.cow)
        return
    _mark_cow(shadow, cow)
    store = shadow.stores.get(line.cow)
    if store is not None and store.server is not None and "N" in (store.kind, line.kind) and store.kind != line.kind:
        shadow.lose(store, f"{line.cow} has a transient store for one table, and a persistent one for another")
        return
    if line.kind == "N":
        cow.header = "unknown"
        if store is None or store.kind != "N" or store.server is None:
            shadow.stores[line.cow] = Store(line.cow, "N", chunk, shadow.time)
        return
    if store is None or (store.server is None and store.kind == "N"):
        shadow.stores[line.cow] = store = Store(line.cow, line.kind, chunk, shadow.time)
        if cow.header != "zero":
            shadow.lose(store, f"nobody knows what {line.cow} held")
        cow.header = "store"
    elif store.line is None and store.chunk != chunk:
        store.chunk = 0


def resumed(shadow: Shadow, device: Device) -> None:
    """Records a successful resume: the inactive table is live, if there was one."""
    if device.unsure:
        device.live, device.inactive, device.pairs, device.unsure = device.lines, None, {}, False
        doubt(shadow, device, "which of its tables is live is not known")
    elif device.inactive is not None:
        lines, pairs = device.inactive, device.pairs
        kept = {line.cow for line in lines if line.has_store}
        for store in _served(shadow, device):
            if store.cow not in kept:
                _detach(shadow, store)
        _leave_windows(shadow, device)
        device.live, device.inactive, device.pairs = lines, None, {}
        device.certain, device.cancelled = True, frozenset()
        device.changed += 1
        device.resumed = shadow.time
        for line in lines:
            if line.has_store:
                _activate(shadow, device, line, pairs.get(line.cow))
    elif not device.certain:
        doubt(shadow, device, "which of its tables is live is not known")
    elif device.suspended is True:
        device.resumed = shadow.time
    device.suspended = False
    _mark_cows(shadow)


def _served(shadow: Shadow, device: Device) -> list[Store]:
    return [store for store in shadow.stores.values() if store.server == device.name]


def _leave_windows(shadow: Shadow, device: Device) -> None:
    """Detaches snapshots from their origin if this device's table was the path to it."""
    for store in shadow.stores.values():
        if device.name in store.through:
            shadow.lose(store, f"{device.name}, below its origin, has another table")


def _activate(shadow: Shadow, device: Device, line: Line, pair: str | None) -> None:
    """Records that a snapshot or a merge is live on this device."""
    store = shadow.stores.get(line.cow)
    if store is None:
        _beyond(shadow, line)
        return
    others = [other for other in shadow.devices.values() if other is not device]
    if store.server is not None and store.server != device.name and not _shares(shadow, store.server, line):
        shadow.lose(store, f"snapshots of several origins have {line.cow}")
    if pair is None and store.server is None and (dead := _has_dead(others, line)) is not False:
        pair = _NOBODY
        if dead is None:
            shadow.lose(store, _UNKNOWN_HANDOVER)
    if pair is not None and store.server != pair and not store.lost:  # what it was to take over was gone (MERGE-26)
        device.cancelled |= {line.cow}
        return
    region = shadow.region(line.lower)
    if region is None or shadow.disks[store.cow] is region[0] or region[0].cow or not region[0].trusted:
        shadow.lose(store, "its origin is not a disk, or a part of one, that holds nothing else")
    else:
        _take(shadow, store, line, region)
    store.server, store.is_merge, store.active_since = device.name, line.is_merge, shadow.time
    if line.is_merge and not store.lost:
        merging(shadow, store)
    elif line.is_merge:
        _beyond(shadow, line)


def _beyond(shadow: Shadow, line: Line) -> None:
    """Makes the origin's content unknown, since an unknown merge may write anything to it."""
    if line.is_merge:
        for disk in list(shadow.reach(line.lower)):
            shadow.shake(disk.name)
            for store in shadow.stores_on(disk):
                store.may_be_invalid, store.chunk = True, 0
                if not store.is_of(line.lower):
                    shadow.lose(store, f"a merge to {disk.name} knows it by another name")


def _take(shadow: Shadow, store: Store, line: Line, region: tuple[Disk, int, tuple[str, ...]]) -> None:
    disk, offset, through = region
    others = [other for other in shadow.stores_on(disk) if other is not store]
    if not store.empty and (store.disk, store.offset) != (disk.name, offset):
        shadow.lose(store, "it is made live on another origin than before")
    elif not store.empty and store.line is not None and not _same_sectors(store.line, line):
        shadow.lose(store, "it is made live with other sectors than before")
    elif any(other.is_merging for other in others):
        shadow.lose(store, f"it is made live during another merge to {disk.name}")
    if store.empty:
        _begin(store, disk, line)
    elif store.server is None:
        store.volume.mix(store.within(store.stale), disk.volume, shadow.time)
        store.stale.clear()
    store.line, store.disk, store.offset, store.through = line, disk.name, offset, through
    store.empty = store.empty and line.is_merge


def _same_sectors(one: Line, other: Line) -> bool:
    return (one.start, one.length) == (other.start, other.length)


def _begin(store: Store, disk: Disk, line: Line) -> None:
    """Records a store without exceptions: its snapshot has the present content of the origin."""
    store.volume = disk.volume.copy()
    store.chunk = line.chunk if store.line is None and store.chunk == line.chunk else store.chunk
    for sectors in (store.own, store.kept, store.stale, store.touched):
        sectors.clear()
    store.discarded = store.beside_merge = False


def merging(shadow: Shadow, store: Store) -> None:
    """Records the beginning of a merge: the origin's disk may hold its former contents, or those of the merge."""
    disk = shadow.disks[store.disk]
    if store.empty or store.invalid:
        return
    disk.merged = store.merged = True
    sectors = set(store.within(store.volume.sectors() | disk.volume.sectors()))
    if store.volume.now.rest != disk.volume.now.rest:
        disk.volume.forget(shadow.time)
    disk.volume.mix([s for s in sectors if _differs(store.volume, disk.volume, s)], store.volume, shadow.time)
    for other in shadow.stores_on(disk):
        if other is store or other.empty or not other.counts:
            continue
        if store.line is None or not other.is_of(store.line.lower):
            shadow.lose(other, f"a merge to {disk.name} knows it by another name")
            continue
        other.beside_merge = True
        if other.server is None:
            other.stale.update(sectors)
        elif store.chunk and not store.lost and other.chunk:
            chunk = store.chunk
            written = [c * chunk + store.offset + k for c in store.touched for k in range(chunk)]
            shadow.touch(other, written)
        else:
            other.chunk = 0
            other.may_be_invalid = True


def _differs(one: Volume, other: Volume, sector: int) -> bool:
    return one.now[sector] != other.now[sector] or one.cut[sector] != other.cut[sector]


def finished(shadow: Shadow, store: Store) -> None:
    """Records the end of a merge: the origin's disk holds what the merge showed, and the store is empty."""
    disk = shadow.disks[store.disk]
    disk.volume.take(list(store.within(store.volume.sectors() | disk.volume.sectors())), store.volume)
    store.empty = True


def _detach(shadow: Shadow, store: Store) -> None:
    """Records that no device uses the store any more."""
    was_merge = store.is_merge
    store.server, store.is_merge = None, False
    if store.kind == "N":
        shadow.stores.pop(store.cow, None)
        return
    if store.torn:  # the records on the disk may be fewer than those that were in use
        store.volume.now = store.volume.cut.copy()
        store.torn = False
    if store.suspect:
        shadow.lose(store, "it may have become invalid, and a disk that fails can't have kept that")
    if was_merge and store.lost:
        shadow.shake(store.disk)


def removed(shadow: Shadow, device: Device) -> None:
    """Records that a device was removed."""
    for store in _served(shadow, device):
        _detach(shadow, store)
    _leave_windows(shadow, device)
    shadow.devices.pop(device.name, None)


def doubt(shadow: Shadow, device: Device, why: str) -> None:
    """Records that the live table of a device is unknown, which ends the promises about it."""
    device.certain, device.suspended = False, None
    device.changed += 1
    shadow.given_up.setdefault(device.name, why)
    for line in device.lines:
        if line.has_store and (store := shadow.stores.get(line.cow)) is not None:
            shadow.lose(store, why)
        _beyond(shadow, line)
    _leave_windows(shadow, device)


def crashed(shadow: Shadow) -> None:
    """Records a power cut."""
    for disk in shadow.disks.values():
        disk.volume.power_cut()
        disk.cut = shadow.time
        if not disk.durable:
            disk.header = "unknown"
    shadow.devices.clear()
    for store in list(shadow.stores.values()):
        store.volume.power_cut()
        _detach(shadow, store)
        if not store.solid:
            shadow.lose(store, "the power was cut before its header was flushed")
        if store.invalid and not store.for_good:
            store.invalid, store.may_be_invalid = False, True


def watch_faults(shadow: Shadow) -> None:
    """Records that a merge under way may meet the faults of a disk."""
    for disk in shadow.disks.values():
        if disk.faults:
            disk.failed = shadow.time
    for store in shadow.stores.values():
        if not store.is_merging or store.lost:
            continue
        origin, cow = shadow.disks[store.disk], shadow.disks[store.cow]
        store.torn = store.torn or cow.faults
        for other in shadow.stores_on(origin):
            if other is not store and other.server is not None and (origin.faults or shadow.disks[other.cow].faults):
                other.may_be_invalid = True
                other.suspect = other.suspect or shadow.disks[other.cow].faults
