"""The shadow of a stack: where a device's sectors are, and what writes and flushes mean for what may be found there.

It knows what the targets are for, and nothing of how they work: a snapshot keeps what it shows, writes through an
origin's device change no snapshot, a merge shows its snapshot and copies it to the origin's disk meanwhile.  Where
nothing is promised to a user it claims nothing, and records the reason (``given_up``).
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import snapmerge as sm
from snapmerge import Operation
from snapmerge_specs.promises.held import ZERO
from snapmerge_specs.promises.state import Device, Disk, Line, Store, parse_lines

__all__ = ["Place", "Shadow"]

_DEPTH: Final = 16


@dataclass(frozen=True, slots=True)
class Place:
    """The place of a device's sectors on a disk.

    ``kind``: ``disk``, ``origin``, ``snapshot``, ``merge``, or ``nothing``: a device about which nothing is promised.
    ``origin``: what the device names as its origin.
    """

    kind: str
    disk: Disk
    first: int
    count: int
    store: Store | None = None
    device: Device | None = None
    origin: str = ""

    @property
    def sectors(self) -> range:
        """The sectors on the disk."""
        return range(self.first, self.first + self.count)

    def meets(self, other: "Place") -> bool:
        """Whether they have a sector in common."""
        return (
            self.disk is other.disk and self.first < other.first + other.count and other.first < self.first + self.count
        )


class Shadow:
    """Disks, devices and stores, by name.  ``given_up``: what nothing is promised about any more, and why."""

    def __init__(self) -> None:
        self.disks: dict[str, Disk] = {}
        self.devices: dict[str, Device] = {}
        self.stores: dict[str, Store] = {}
        self.given_up: dict[str, str] = {}
        self.time = 0

    # --- where things are ---

    def region(self, name: str, depth: int = 0) -> tuple[Disk, int, tuple[str, ...]] | None:
        """The disk below a name, the sector of it at which the name begins, and the devices between; None: unknown."""
        if (disk := self.disks.get(name)) is not None:
            return disk, 0, ()
        device = self.devices.get(name)
        if device is None or not device.certain or len(device.live) != 1 or depth > _DEPTH:
            return None
        line = device.live[0]
        if line.target != "linear" or line.start or (below := self.region(line.lower, depth + 1)) is None:
            return None
        return below[0], below[1] + line.offset, (name, *below[2])

    def places(self, name: str, sector: int, count: int) -> list[Place] | None:
        """The places of sectors of a device or a disk; None: they are not known."""
        device = self.devices.get(name)
        if device is not None and not device.certain:
            return None
        return self._places(name, sector, count, 0)

    def _places(self, name: str, sector: int, count: int, depth: int) -> list[Place] | None:
        if (disk := self.disks.get(name)) is not None:
            return [Place("disk", disk, sector, count)]
        device = self.devices.get(name)
        if device is None or not device.certain or depth > _DEPTH:
            return None
        found: list[Place] = []
        at, end = sector, sector + count
        while at < end:
            line = next((line for line in device.live if line.start <= at < line.start + line.length), None)
            inner = None if line is None else self._through(device, line, at, end, depth)
            if line is None or inner is None:
                return None
            found += inner
            at = min(end, line.start + line.length)
        return found

    def _through(self, device: Device, line: Line, at: int, end: int, depth: int) -> list[Place] | None:
        count = min(end, line.start + line.length) - at
        if line.target == "linear":
            return self._places(line.lower, at - line.start + line.offset, count, depth + 1)
        if line.target == "?" or (region := self.region(line.lower)) is None:
            return None
        disk, offset, _ = region
        place = Place("origin", disk, at + offset, count, None, device, line.lower)
        store = self.stores.get(line.cow) if line.has_store and line.cow not in device.cancelled else None
        if store is None or store.server != device.name or store.lost:  # what was handed over, or never was, is dead
            return [place if line.is_merge or not line.has_store else replace(place, kind="nothing")]
        if line.is_merge and (store.empty or store.invalid):
            return [place]
        return [replace(place, kind="merge" if line.is_merge else "snapshot", store=store)]

    def reach(self, name: str, depth: int = 0) -> Iterator[Disk]:
        """Every disk that may lie below a name."""
        if (disk := self.disks.get(name)) is not None:
            yield disk
        elif (device := self.devices.get(name)) is not None and depth <= _DEPTH:
            for line in device.lines:
                for word in line.names:
                    yield from self.reach(word, depth + 1)

    def may_wait(self, operation: Operation) -> bool:
        """Whether an operation may have to wait until a device, its own or one below, is resumed."""
        names: tuple[str, ...] = ()
        match operation:
            case sm.Read(name) | sm.Write(name) | sm.Discard(name) | sm.Flush(name) | sm.Settle(name):
                names = (name,)
            case sm.Create(_, str(table)) | sm.Load(_, table):
                names = tuple(word for line in parse_lines(table) for word in line.names)
            case sm.Suspend(name) | sm.Resume(name) | sm.Remove(name) if (device := self.devices.get(name)) is not None:
                names = tuple(word for line in device.lines for word in line.names)
            case _:
                pass
        return any(self._may_hold(name, 0) for name in names)

    def _may_hold(self, name: str, depth: int) -> bool:
        device = self.devices.get(name)
        if device is None or depth > _DEPTH:
            return False
        lower = (word for line in device.lines for word in line.names)
        return device.suspended is not False or not device.certain or any(self._may_hold(o, depth + 1) for o in lower)

    def stores_on(self, disk: Disk) -> list[Store]:
        """The stores whose origin is on a disk."""
        return [store for store in self.stores.values() if store.disk == disk.name]

    def is_moving(self, disk: Disk) -> bool:
        """Whether a merge may be under way to a disk, so that what it holds changes by itself."""
        if any(store.is_merging for store in self.stores_on(disk)):
            return True
        risky = (d for d in self.devices.values() if not d.certain or self._has_lost(d))
        return any(line.is_merge and disk in self.reach(line.lower) for device in risky for line in device.lines)

    def _has_lost(self, device: Device) -> bool:
        stores = (self.stores.get(line.cow) for line in device.live if line.is_merge)
        return any(store is None or bool(store.lost) for store in stores)

    # --- giving up ---

    def lose(self, store: Store, why: str) -> None:
        """Ends the promises about what a store's snapshot shows."""
        if not store.lost:
            store.lost = why
            self.given_up.setdefault(f"the snapshot on {store.cow}", why)
        if store.server is not None and store.is_merge and not store.empty:
            self.shake(store.disk)

    def shake(self, name: str) -> None:
        """Makes the content of a disk unknown until it is read, and that of everything that depends on it."""
        if (disk := self.disks.get(name)) is None:
            return
        disk.volume.forget(self.time)
        for store in self.stores_on(disk):
            if not store.empty and store.server is None and not store.lost:
                self.lose(store, f"{name} was changed while it was not in use")

    def distrust(self, disk: Disk, why: str) -> None:
        """Ends the promises about a disk and everything on it."""
        disk.trusted = False
        self.given_up.setdefault(disk.name, why)
        for store in self.stores.values():
            if disk.name in (store.disk, store.cow):
                self.lose(store, why)

    # --- writes ---

    def write(self, place: Place, first: int, *, sure: bool) -> None:
        """A write of tags from ``first`` on; one that is not ``sure`` may have come through in part, or not yet."""
        pairs = [(sector, first + k) for k, sector in enumerate(place.sectors)]
        match place.kind:
            case "disk":
                self._write_disk(place, pairs, sure=sure)
            case "origin":
                self._write_origin(place, pairs, sure=sure)
            case "snapshot":
                self._write_snapshot(place, pairs, sure=sure)
            case "merge":
                self._write_merge(place, pairs, sure=sure)

    def _put(self, disk: Disk, sector: int, tag: int, *, sure: bool) -> None:
        if sure and not self.is_moving(disk):
            disk.volume.written(sector, tag, self.time)
        else:
            disk.volume.may_be(sector, frozenset({tag}), self.time)

    def _write_disk(self, place: Place, pairs: list[tuple[int, int]], *, sure: bool) -> None:
        disk = place.disk
        for sector, tag in pairs:
            self._put(disk, sector, tag, sure=sure)
        for store in self.stores_on(disk):
            self._around(store, pairs)
        self._overwrite_store(disk, pairs, sure=sure)

    def _around(self, store: Store, pairs: list[tuple[int, int]]) -> None:
        """Records that a write around the mapping shows in chunks without an exception (SNAP-8)."""
        for sector, tag in pairs:
            if store.empty or not store.covers(sector) or (sector in store.kept and not store.merged):
                continue
            store.volume.may_be(sector, frozenset({tag}), self.time)

    def _overwrite_store(self, disk: Disk, pairs: list[tuple[int, int]], *, sure: bool) -> None:
        """Records a write to a store: a zero in its first sector ends an unused one, other data end its promises."""
        store = self.stores.get(disk.name)
        if pairs[0] == (0, 0) and sure and not self.is_used(disk.name):
            disk.header, disk.durable = "zero", disk.durable and disk.header == "zero"
            self.stores.pop(disk.name, None)
        elif pairs[0][0] == 0 and not (disk.header == "zero" and pairs[0][1] == 0):
            disk.header = "unknown"
        if (store := self.stores.get(disk.name)) is not None:
            self.lose(store, f"{disk.name} was written around the mapping")

    def is_used(self, cow: str) -> bool:
        """Whether a table names a COW device."""
        return any(cow in line.names for device in self.devices.values() for line in device.lines)

    def _write_origin(
        self, place: Place, pairs: list[tuple[int, int]], *, sure: bool, but: Store | None = None
    ) -> None:
        for store in self.stores_on(place.disk):
            if store is not but and not store.empty and store.counts:
                self._under(store, place, pairs, sure=sure)
        if but is None:
            for sector, tag in pairs:
                self._put(place.disk, sector, tag, sure=sure)

    def _under(self, store: Store, place: Place, pairs: list[tuple[int, int]], *, sure: bool) -> None:
        """A write to the origin of a store's snapshot."""
        sectors = [sector for sector, _ in pairs if store.covers(sector)]
        if not sectors:
            return
        if store.server is None:
            store.stale.update(sectors if store.merged else set(sectors) - store.kept)
        elif store.is_merge or place.device is None or not store.is_of(place.origin):
            self._around(store, pairs)
        else:
            self.touch(store, sectors)
            if place.device.resumed <= store.active_since:  # it may not ask this snapshot for every chunk (ORIGIN-7)
                self._around(store, pairs)
            elif sure:
                store.kept.update(sectors)
                store.solid = True

    def _write_snapshot(self, place: Place, pairs: list[tuple[int, int]], *, sure: bool) -> None:
        store = place.store
        if store is None or not store.counts:
            return
        store.empty = False
        self.touch(store, [sector for sector, _ in pairs])
        for sector, tag in pairs:
            if sure:
                store.volume.written(sector, tag, self.time)
            else:
                store.volume.may_be(sector, frozenset({tag}), self.time)
        store.own.update(sector for sector, _ in pairs)
        if sure:
            store.kept.update(sector for sector, _ in pairs)
            store.solid = True

    def _write_merge(self, place: Place, pairs: list[tuple[int, int]], *, sure: bool) -> None:
        store = place.store
        if store is None:
            return
        for sector, tag in pairs:
            if sure:
                store.volume.written(sector, tag, self.time)
            else:
                store.volume.may_be(sector, frozenset({tag}), self.time)
            place.disk.volume.may_be(sector, frozenset({tag}), self.time)
        store.own.update(sector for sector, _ in pairs)
        self._write_origin(place, pairs, sure=sure, but=store)

    def touch(self, store: Store, sectors: list[int]) -> None:
        """Records that a chunk may need an exception, for which there may be no room, or a failing disk."""
        if not store.chunk:
            store.may_be_invalid = True
            return
        chunk = store.chunk
        store.touched.update((sector - store.offset) // chunk for sector in sectors)
        needed, cow = len(store.touched), self.disks[store.cow]
        if store.kind != "N":
            needed += 3 + needed // (32 * chunk)  # the header, the areas, and one to spare
        broken = cow.faults or self.disks[store.disk].faults
        if store.merged or broken or needed * chunk > cow.size:
            store.may_be_invalid = True
        if cow.faults:
            store.suspect = True

    # --- discards, flushes ---

    def discard(self, place: Place) -> None:
        """Records a discard: sectors keep their contents or read as zeroes; those of a disk may have any content."""
        zeroes = [(sector, 0) for sector in place.sectors]
        if place.kind == "disk":
            for sector in place.sectors:
                place.disk.volume.may_be(sector, None, self.time)
            for store in self.stores_on(place.disk):
                for sector in filter(store.covers, place.sectors):
                    store.volume.may_be(sector, None, self.time)
            self._overwrite_store(place.disk, [(place.first, 1)], sure=False)
        elif place.kind in ("snapshot", "nothing"):
            if (own := place.store) is not None:
                own.discarded = True
                own.own.update(place.sectors)
                for sector, _ in zeroes:
                    own.volume.may_be(sector, ZERO, self.time)
            for sector, _ in zeroes:  # passed down, perhaps
                place.disk.volume.may_be(sector, ZERO, self.time)
            for store in self.stores_on(place.disk):
                self._around(store, zeroes)

    def flush(self, name: str, began: int) -> None:
        """A flush of a device or a disk has ended, which began at this time."""
        if (disk := self.disks.get(name)) is not None:
            self._flush_disk(disk, began)
            return
        device = self.devices.get(name)
        if device is None or not device.certain:
            return
        for line in device.live:
            region = self.region(line.lower) if line.target in ("linear", "snapshot-origin", "snapshot-merge") else None
            if region is not None:
                self._flush_disk(region[0], began)
            store = self.stores.get(line.cow) if line.has_store else None
            if store is not None and store.server == name and store.active_since < began:
                self._flush_store(store, began)

    def _flush_disk(self, disk: Disk, began: int) -> None:
        disk.volume.flushed(began)
        if disk.header == "zero":
            disk.durable = True
        for store in self.stores_on(disk):
            volatile = store.own | store.stale
            store.volume.flushed(began, partial(_is_outside, volatile))
        here = self.stores.get(disk.name)
        if here is not None and here.active_since < began:
            here.solid = True

    def _flush_store(self, store: Store, began: int) -> None:
        """Records a flush of a snapshot, which does not cover sectors that are still on the origin (SNAP-9)."""
        store.solid = True
        if not store.torn:
            store.volume.flushed(began, lambda sector: store.is_merge or sector in store.own)


def _is_outside(sectors: set[int], sector: int) -> bool:
    return sector not in sectors
