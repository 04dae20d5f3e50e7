"""Conclusions from queries: a status, the end of a merge, the records of a store."""

from collections.abc import Iterator

import snapmerge as sm
from snapmerge import Outcome
from snapmerge_specs.promises import tables
from snapmerge_specs.promises.shadow import Shadow
from snapmerge_specs.promises.state import Store

__all__ = ["looked"]


def looked(
    shadow: Shadow, operation: sm.Status | sm.Settle | sm.Metadata, outcome: Outcome | None, *, quiet: bool
) -> Iterator[str]:
    """The statements that the outcome breaks; records what it says.  ``quiet``: no other operation is under way."""
    match operation, outcome:
        case sm.Status(name), sm.Line(text):
            texts = dict(enumerate(one.split(maxsplit=3) for one in text.split(";")))
            for number, store in _stores_of(shadow, name):
                if len(texts.get(number, ())) == 4 and not store.lost:
                    yield from _status(shadow, store, texts[number][3].strip(), quiet=quiet)
        case sm.Settle(name), sm.Done():
            for _, store in _stores_of(shadow, name):
                _settled(shadow, store)
        case sm.Metadata(name), sm.Records():
            if (found := shadow.stores.get(name)) is not None and not found.lost:
                yield from _records(found, outcome)
        case _:
            pass


def _stores_of(shadow: Shadow, name: str) -> list[tuple[int, Store]]:
    """The stores that a device has, each with the number of its line."""
    device = shadow.devices.get(name)
    if device is None or not device.certain:
        return []
    stores = [(n, shadow.stores.get(line.cow)) for n, line in enumerate(device.live) if line.has_store]
    return [(n, s) for n, s in stores if s is not None and s.server == name and s.cow not in device.cancelled]


def _status(shadow: Shadow, store: Store, state: str, *, quiet: bool) -> Iterator[str]:
    if state == "Invalid":
        if not (store.invalid or store.may_be_invalid):
            yield "PROMISE-3"
        store.invalid = True
        store.for_good = store.for_good or (quiet and not store.suspect)
        return
    if store.invalid:
        if not store.suspect:
            yield "SNAP-13"
        return
    if state == "Merge failed" and store.is_merge and store.merged and not _failed_since(shadow, store):
        yield "PROMISE-4"
    allocated, _, metadata = state.replace("/", " ").split() if state.count(" ") == 1 and "/" in state else ("",) * 3
    if allocated:
        yield from _usage(shadow, store, quiet=quiet, is_over=allocated == metadata)


def _usage(shadow: Shadow, store: Store, *, quiet: bool, is_over: bool) -> Iterator[str]:
    """Judges a status with numbers of sectors: the snapshot is valid; a merge has ended if all of them are metadata."""
    if quiet and not shadow.is_moving(shadow.disks[store.disk]):
        store.may_be_invalid = store.may_be_invalid and store.suspect
    if not is_over and _has_ended(store):
        yield "MERGE-8"
    if is_over and store.is_merging:
        tables.finished(shadow, store)


def _has_ended(store: Store) -> bool:
    """Whether a live merge has no exceptions left."""
    live = store.server is not None and store.is_merge
    return live and store.empty and store.counts and not store.may_be_invalid


def _failed_since(shadow: Shadow, store: Store) -> bool:
    disks = [shadow.disks[store.disk], shadow.disks[store.cow]]
    return any(disk.failed >= store.active_since for disk in disks)


def _settled(shadow: Shadow, store: Store) -> None:
    """Records that a merge has finished, unless something may have prevented that."""
    if store.is_merging and not store.lost and not store.may_be_invalid and not _failed_since(shadow, store):
        tables.finished(shadow, store)


def _records(store: Store, found: sm.Records) -> Iterator[str]:
    if found.records and _has_ended(store):
        yield "MERGE-8"
    if store.for_good and found.kind == "store" and found.valid and not store.suspect:
        yield "SNAP-13"
