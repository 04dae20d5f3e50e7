"""Seeded defects: for every property at least one that it catches.

Each is the model with one transition replaced by a plausible mistake, some of which a kernel once had.  A property that
no defect violates would be one that can't fail.
"""

from dataclasses import replace as replace_fields
from typing import Final

from immutables import Map

from snapmerge import MAINLINE, Draft, Op, Rules, WorkId
from snapmerge.format.store import Persistent, Transient
from snapmerge.machine.core.bios import send
from snapmerge.machine.core.draft import TargetType
from snapmerge.machine.core.state import Piece
from snapmerge.machine.snapshot.copy_out import area_written, dropped, publish
from snapmerge.machine.snapshot.ctr import finish_load
from snapmerge.machine.snapshot.handover import hand_over
from snapmerge.machine.snapshot.merge import (
    commit_done,
    drain,
    fail_merge,
    flushed,
    map_merge,
    merge_of,
    protect,
    release_run,
)
from snapmerge.machine.snapshot.origin import origin_write
from snapmerge.machine.snapshot.registry import snapshot, snapshots_of
from snapmerge.machine.snapshot.resume import destroy_snapshot
from snapmerge.machine.snapshot.rules import SnapshotRules
from snapmerge.machine.snapshot.snapshot import map_snapshot
from snapmerge.machine.snapshot.state import Phase, SnapshotTarget, StoreStep
from snapmerge.machine.snapshot.store_io import write as write_metadata
from snapmerge.machine.snapshot.types import SNAPSHOT
from snapmerge.records import dataclass, replace
from snapmerge_specs.mistakes.findings import FINDINGS

__all__ = ["DEFECTS", "Defect"]


@dataclass(frozen=True, slots=True)
class Defect:
    """A mistake in the model.  ``caught_by``: the property that fails first in ``script``, a script of the explorer."""

    name: str
    caught_by: str
    script: str
    rules: Rules


def _asks_first_only(d: Draft, origin: str, sector: int, id: WorkId | None) -> bool:
    """A write to the origin makes only the first of its snapshots copy."""
    registered = d.shared
    d.shared = registered.set(origin, registered.get(origin, ())[:1])
    must_wait = origin_write(d, origin, sector, id)
    d.shared = registered
    return must_wait


def _never_waits(d: Draft, origin: str, sector: int, id: WorkId | None) -> bool:
    """A write to the origin makes the snapshots copy, and does not wait for them."""
    if id is not None:
        origin_write(d, origin, sector, None)
    return False


def _ignores_readers(d: Draft, snap: SnapshotTarget) -> None:
    """A committed exception releases writes to the origin while tracked reads of it are in flight (a8d41b59f3f5)."""
    readers = {chunk: count for chunk, count in snap.tracked.items() if chunk in snap.publishing}
    if not readers:
        publish(d, snap)
        return
    kept = {chunk: count for chunk, count in snap.tracked.items() if chunk not in readers}
    publish(d, d.put(replace(snap, tracked=Map(kept)), over=snap))
    after = snapshot(d, snap.id)
    d.put(replace(after, tracked=after.tracked.update(readers)), over=after)


def _reuses_chunks(d: Draft, snap: SnapshotTarget) -> None:
    """A transient store gives the same chunk out again."""
    if snap.publishing and isinstance(snap.store, Transient):
        store = replace(snap.store, next_free=snap.store.next_free - snap.store.chunk_size)
        snap = d.put(replace(snap, store=store), over=snap)
    publish(d, snap)


def _forgets_records(d: Draft, snap: SnapshotTarget) -> None:
    """Exceptions count as committed although their records are never written."""
    area_written(d, snap, None)


def _volatile_records(d: Draft, snap: SnapshotTarget) -> None:
    """The area is written like data, without flush and FUA."""
    if isinstance(snap.store, Persistent) and snap.store.valid:
        write_metadata(d, snap, StoreStep.WRITE_AREA, snap.store.area_sector, snap.store.image)
    else:
        area_written(d, snap, None)


def _ends_in_metadata(d: Draft, snap: SnapshotTarget) -> None:
    """After the load, allocation continues after the last exception, even in a metadata chunk (CVE-2013-4299)."""
    last = max((new for new in _new_chunks(snap)), default=1)
    finish_load(d, snap)
    snap = snapshot(d, snap.id)
    if isinstance(snap.store, Persistent):
        d.put(replace(snap, store=replace(snap.store, next_free=last + 1)), over=snap)


def _new_chunks(snap: SnapshotTarget) -> list[int]:
    return [r.new + r.more for ranges in snap.completed.values() for r in ranges]


def _source_stays_active(d: Draft, source: SnapshotTarget, destination: SnapshotTarget) -> None:
    """After a handover both targets serve the COW device."""
    hand_over(d, source, destination)
    d.put(source, over=snapshot(d, source.id))


def _in_phase(d: Draft, snap: SnapshotTarget, phase: Phase) -> SnapshotTarget:
    """Sets the phase of a snapshot's merge, even where the table of transitions does not allow it."""
    return d.put(replace(snap, merge=replace(merge_of(snap), phase=phase)), over=snap)


def _skips_siblings(d: Draft, snap: SnapshotTarget) -> None:
    """A merge does not make the other snapshots copy what it overwrites (73dfd078cf8b)."""
    drain(d, _in_phase(d, snap, Phase.PROTECTING))


def _starts_twice(d: Draft, snap: SnapshotTarget) -> None:
    """A snapshot that becomes invalid while a run is protected wakes the merge, although it does not wait."""
    valid = [other.id for other in snapshots_of(d, snap.origin) if other.valid]
    protect(d, snap)
    snap = snapshot(d, snap.id)
    if merge_of(snap).phase is not Phase.PROTECTING and not all(snapshot(d, id).valid for id in valid):
        drain(d, _in_phase(d, snap, Phase.PROTECTING))


def _asks_once(d: Draft, snap: SnapshotTarget) -> None:
    """A merge that waits for copies of other snapshots is not woken when they are done."""
    if merge_of(snap).phase is not Phase.PROTECTING:
        protect(d, snap)


def _copies_at_once(d: Draft, snap: SnapshotTarget) -> None:
    """A merge does not wait for writes to the run that are in flight."""
    tracked = snap.tracked
    drain(d, d.put(replace(snap, tracked=Map()), over=snap))
    after = snapshot(d, snap.id)
    d.put(replace(after, tracked=tracked), over=after)


def _skips_flush(d: Draft, snap: SnapshotTarget) -> None:
    """The records are cleared before the origin is durable (before fcc42338375a)."""
    flushed(d, _in_phase(d, snap, Phase.FLUSHING), None)


def _keeps_queue(d: Draft, snap: SnapshotTarget) -> None:
    """The writes that waited for a run are never sent."""
    release_run(d, d.put(replace(snap, merge=replace(merge_of(snap), queued=())), over=snap))


def _fails_silently(d: Draft, snap: SnapshotTarget, text: str) -> None:
    """A merge that fails does not end the writes that wait for it."""
    fail_merge(d, d.put(replace(snap, merge=replace(merge_of(snap), queued=())), over=snap), text)


def _writes_into_run(d: Draft, id: WorkId, snap: SnapshotTarget, piece: Piece) -> None:
    """A write to a chunk that is being merged goes to the COW device, like a write to any other exception."""
    merge = merge_of(snap)
    map_merge(d, id, d.put(replace(snap, merge=replace(merge, run=None)), over=snap), piece)
    after = snapshot(d, snap.id)
    d.put(replace(after, merge=replace(merge_of(after), run=merge.run)), over=after)


def _reads_early(d: Draft, id: WorkId, snap: SnapshotTarget, piece: Piece) -> None:
    """A read of a chunk goes to the COW device while the exception is still pending."""
    size = snap.store.chunk_size
    pending = snap.pending.get(piece.bio.sector // size) if size else None
    if pending is not None and piece.bio.op is Op.READ:
        send(d, id, piece.bio.to(snap.cow, pending.new * size + piece.bio.sector % size))
    else:
        map_snapshot(d, id, snap, piece)


def _silent_invalidation(d: Draft, snap: SnapshotTarget) -> None:
    """A snapshot becomes invalid in memory only."""
    dropped(d, snap, None)


def _leaks(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """The status still counts the chunks of merged exceptions as used."""
    before = snap.store.next_free
    commit_done(d, snap, error)
    after = snapshot(d, snap.id)
    if isinstance(after.store, Persistent):
        d.put(replace(after, store=replace(after.store, next_free=before)), over=after)


def _forgets_cleared(d: Draft, snap: SnapshotTarget) -> bool:
    """The snapshots of a cleared table stay registered, with their handover."""
    return snap.active and destroy_snapshot(d, snap)


def _as_found(name: str) -> Rules:
    """The rules of a finding, which are a defect like any other."""
    return next(finding.rules for finding in FINDINGS if finding.name == name)


def _linux_with(kind: TargetType[SnapshotTarget]) -> Rules:
    """The rules of Linux with another target type for snapshots."""
    types = tuple(kind if one is SNAPSHOT else one for one in MAINLINE.types)
    return Rules(MAINLINE.core, types, MAINLINE.parts)


def _linux_but(**changes: object) -> Rules:
    """The rules of Linux with some transitions of snapshots replaced."""
    return MAINLINE.changed(SnapshotRules, **changes)


DEFECTS: Final = (
    Defect(
        "asks first only",
        "origin waits",
        "two snapshots",
        _linux_but(origin_write=_asks_first_only),
    ),
    Defect("never waits", "origin waits", "copy-out", _linux_but(origin_write=_never_waits)),
    Defect("ignores readers", "reads", "reads and flushes", _linux_but(publish=_ignores_readers)),
    Defect("reads early", "reads", "reads and flushes", _linux_but(map_snapshot=_reads_early)),
    Defect("forgets records", "on disk", "two snapshots", _linux_but(write_area=_forgets_records)),
    Defect("volatile records", "durable", "copy-out", _linux_but(write_area=_volatile_records)),
    Defect("reuses chunks", "one to one", "transient", _linux_but(publish=_reuses_chunks)),
    Defect("ends in metadata", "usage", "full area", _linux_but(finish_load=_ends_in_metadata)),
    Defect("source lives on", "one server", "merge", _linux_but(hand_over=_source_stays_active)),
    Defect(
        "skips siblings",
        "views",
        "merge beside a snapshot",
        _linux_but(protect=_skips_siblings),
    ),
    Defect("asks once", "merges progress", "merge beside a snapshot", _linux_but(protect=_asks_once)),
    Defect(
        "starts twice",
        "one at a time",
        "merge beside full snapshots",
        _linux_but(protect=_starts_twice),
    ),
    Defect("forgets cleared", "in a table", "cleared", _linux_with(replace_fields(SNAPSHOT, destroy=_forgets_cleared))),
    Defect("copies at once", "run is quiet", "merge interrupted", _linux_but(drain=_copies_at_once)),
    Defect("writes into run", "run is quiet", "merge", _linux_but(map_merge=_writes_into_run)),
    Defect("skips flush", "durable", "merge", _linux_but(flush_origin=_skips_flush)),
    Defect("keeps queue", "no lost bio", "merge", _linux_but(release_run=_keeps_queue)),
    Defect("fails silently", "no lost bio", "merge fails", _linux_but(fail_merge=_fails_silently)),
    Defect("counts cleared", "merge reads data", "merge fails", _as_found("merge-repeats-cleared-records")),
    Defect("leaks", "usage", "merge", _linux_but(commit_done=_leaks)),
    Defect("volatile invalidation", "durable", "overflow", _as_found("invalidation-is-volatile")),
    Defect("silent invalidation", "durable", "overflow", _linux_but(drop_header=_silent_invalidation)),
)
"""The seeded defects, each with one mistake."""
