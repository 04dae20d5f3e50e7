"""The properties of every world: named predicates, each with the statement of ``specs/*.md`` that it checks.

A predicate returns None, or a sentence that says what is wrong.  For each there is a seeded defect that violates it
(``mistakes.defects``).
"""

from collections.abc import Iterator

import snapmerge as sm
from snapmerge import Io, Op, World
from snapmerge.format.exceptions import pairs
from snapmerge.format.layout import is_metadata
from snapmerge.format.store import Persistent
from snapmerge.machine.core.state import CopyJob, Load, Removing, Request, Resuming
from snapmerge.machine.snapshot.state import Copy, Merge, MergeFlush, Phase, SnapshotTarget, StoreIo, StoreStep
from snapmerge_specs.generations.generation import Invariant, StepInvariant, generation_of
from snapmerge_specs.properties.views import reader

__all__ = ["INVARIANTS", "broken", "step_broken"]


def broken(world: World) -> tuple[Invariant, str] | None:
    """The first violated invariant, and what is wrong; None: all hold."""
    for invariant in generation_of(world.rules).invariants:
        problem = invariant.holds(world)
        if problem is not None:
            return invariant, problem
    return None


def step_broken(before: World, after: World) -> tuple[StepInvariant, str] | None:
    """The first invariant of moves that this move violates, and what is wrong; None: all hold."""
    for invariant in generation_of(after.rules).steps:
        problem = invariant.holds(before, after)
        if problem is not None:
            return invariant, problem
    return None


def _snapshots(world: World) -> Iterator[SnapshotTarget]:
    return (t for _, t in sorted(world.stack.targets.items()) if isinstance(t, SnapshotTarget) and t.valid)


def _one_to_one(world: World) -> str | None:
    """Each exception has a new chunk of its own, which is no metadata chunk and lies below ``next_free``."""
    for snap in _snapshots(world):
        made = [
            *pairs(snap.completed),
            *((p.old, p.new) for p in snap.pending.values() if p.old not in snap.publishing),
        ]
        used = [new for _, new in made]
        if len(set(used)) < len(used) or len({old for old, _ in made}) < len(made):
            return f"{snap.device}: two exceptions share a chunk: {sorted(made)}"
        store = snap.store
        if isinstance(store, Persistent) and any(is_metadata(new, store.per_area) for new in used):
            return f"{snap.device}: an exception has a metadata chunk: {sorted(made)}"
        if isinstance(store, Persistent) and snap.merge is None and any(new >= store.next_free for new in used):
            return f"{snap.device}: next_free is {store.next_free}, but these exceptions exist: {sorted(made)}"
    return None


def _settled_store(world: World) -> Iterator[tuple[SnapshotTarget, Persistent]]:
    """The stores at rest: no exception is pending, nothing is in flight, and no request is under way."""
    if world.flights or world.stack.requests:
        return
    for snap in _snapshots(world):
        if isinstance(snap.store, Persistent) and snap.store.chunk_size and not snap.pending and not snap.dropping:
            yield snap, snap.store


def _on_disk(world: World) -> str | None:
    """At rest, the records on disk equal the completed exceptions."""
    for snap, _ in _settled_store(world):
        disk = world.disks.get(snap.cow)
        if disk is None or disk.faults:
            continue
        found = sm.read_store(reader(disk), disk.size)
        if set(found.records) != set(pairs(snap.completed)):
            return f"{snap.device}: records on disk {sorted(found.records)}, in memory {sorted(pairs(snap.completed))}"
    return None


def _usage(world: World) -> str | None:
    """At rest, the status counts one chunk for each exception and the metadata as used, also during a merge."""
    for snap, store in _settled_store(world):
        allocated, _, metadata = store.usage(0)
        count = sum(1 for _ in pairs(snap.completed))
        if allocated - metadata != count * store.chunk_size:
            return f"{snap.device}: {allocated} sectors allocated, {metadata} of metadata, for {count} exceptions"
    return None


def _run_is_quiet(world: World) -> str | None:
    """While a run is copied, the copy is the only write to its chunks, on the origin and on the COW device."""
    for snap in _snapshots(world):
        merge = snap.merge or Merge()
        if merge.run is None or merge.phase is not Phase.COPYING:
            continue
        size = snap.store.chunk_size
        origin = range(merge.run.old * size, (merge.run.old + merge.run.count) * size)
        cow = range(merge.run.new * size, (merge.run.new + merge.run.count) * size)
        for id, bio in _writes(world):
            run = origin if bio.where == snap.origin else cow if bio.where == snap.cow else range(0)
            if not _is_merge_copy(world, id) and bio.sector < run.stop and run.start < bio.sector + bio.count:
                written = f"sectors {bio.sector}+{bio.count} of {bio.where}"
                return f"{snap.device}: {written} are written during the copy of {merge.run}"
    return None


def _writes(world: World) -> Iterator[tuple[sm.WorkId, sm.Bio]]:
    for flight in world.flights:
        if isinstance(flight.effect, Io) and flight.effect.bio.op is Op.WRITE:
            yield flight.effect.id, flight.effect.bio


def _is_merge_copy(world: World, id: sm.WorkId) -> bool:
    work = world.stack.work.get(id)
    return isinstance(work, CopyJob) and work.purpose is Copy.MERGE


def _one_at_a_time(world: World) -> str | None:
    """A merge has exactly the work under way that belongs to its phase, once."""
    under_way = [found for work in world.stack.work.values() if (found := _merge_and_phase(work)) is not None]
    for snap in world.stack.targets.values():
        if isinstance(snap, SnapshotTarget) and snap.merge is not None:
            phase = snap.merge.phase
            phases = [of for target, of in under_way if target == snap.id]
            if phases != ([] if phase in (Phase.IDLE, Phase.PROTECTING, Phase.DRAINING) else [phase]):
                return f"{snap.device}: the merge is {phase.name}, with the work of {[of.name for of in phases]}"
    return None


def _merge_and_phase(work: object) -> tuple[int, Phase] | None:
    """The merge that the work belongs to, and the phase in which it is done; None: it is no work of a merge."""
    match work:
        case CopyJob(target, Copy.MERGE):
            return target, Phase.COPYING
        case MergeFlush(target):
            return target, Phase.FLUSHING
        case StoreIo(target, StoreStep.MERGE_READ):
            return target, Phase.READING
        case StoreIo(target, StoreStep.MERGE_COMMIT):
            return target, Phase.COMMITTING
        case _:
            return None


def _merge_reads_data(world: World) -> str | None:
    """A merge never copies the header or a metadata chunk."""
    for snap in _snapshots(world):
        merge, store = snap.merge or Merge(), snap.store
        if merge.run is None or not isinstance(store, Persistent):
            continue
        chunks = range(merge.run.new, merge.run.new + merge.run.count)
        if any(is_metadata(chunk, store.per_area) for chunk in chunks):
            return f"{snap.device}: the run {merge.run} contains metadata chunks"
    return None


def _origin_waits(world: World) -> str | None:
    """A chunk of an origin is written only when every active valid snapshot has a completed exception for it."""
    for id, bio in _writes(world):
        if _is_merge_copy(world, id) or id not in world.stack.work:
            continue
        for snap in _snapshots(world):
            size = snap.store.chunk_size
            if bio.where != snap.origin or not snap.active or snap.merge is not None or not size:
                continue
            chunks = range(bio.sector // size, (bio.sector + bio.count - 1) // size + 1)
            missing = set(chunks) - {old for old, _ in pairs(snap.completed)}
            if missing and snap.id in world.stack.shared.get(snap.origin, ()):
                lacks = f"{snap.device} has no exception for {sorted(missing)}"
                return f"{bio.where} is written at {bio.sector}, but {lacks}"
    return None


def _no_lost_bio(world: World) -> str | None:
    """When nothing is in flight and no suspended device has a bio, no bio is under way."""
    if not world.stack.work or not _is_quiet(world):
        return None
    return f"nothing is in flight, but these wait: {[work for _, work in sorted(world.stack.work.items())]}"


def _is_quiet(world: World) -> bool:
    """Whether nothing is in flight, and no suspended device holds back a bio that other work may depend on."""
    return not world.flights and not any(device.held and device.deferred for device in world.stack.devices.values())


def _merges_progress(world: World) -> str | None:
    """When nothing is in flight and no suspended device has a bio, every merge is idle."""
    for snap in world.stack.targets.values() if _is_quiet(world) else ():
        if isinstance(snap, SnapshotTarget) and snap.merge is not None and snap.merge.phase is not Phase.IDLE:
            return f"{snap.device}: nothing is in flight, but the merge is {snap.merge.phase.name}"
    return None


def _one_server(world: World) -> str | None:
    """An origin's exceptions on a COW device are served by at most one active valid target."""
    servers: dict[tuple[str, str], str] = {}
    for snap in _snapshots(world):
        if snap.active and (other := servers.setdefault((snap.origin, snap.cow), snap.device)) != snap.device:
            return f"{other} and {snap.device} both serve {snap.cow}"
    return None


def _in_a_table(world: World) -> str | None:
    """Every target is in a table, or in a request that changes tables; a snapshot is registered exactly as long."""
    stack = world.stack
    in_tables = {id for device in stack.devices.values() for id in (*device.live, *device.inactive)}
    leaked = set(stack.targets) - in_tables - {id for request in stack.requests for id in _targets_of(request)}
    if leaked:
        return f"these targets are in no table: {[stack.targets[id] for id in sorted(leaked)]}"
    registered = {id for ids in stack.shared.values() for id in ids}
    if registered - set(stack.targets):
        return f"these targets are registered, but destroyed: {sorted(registered - set(stack.targets))}"
    missing = {id for id in in_tables if isinstance(stack.targets[id], SnapshotTarget)} - registered
    return f"these snapshots are not registered: {sorted(missing)}" if missing else None


def _targets_of(request: Request) -> tuple[int, ...]:
    """The targets that a request adds to a table or removes from one."""
    match request:
        case Load(built=built, loading=loading):
            return built if loading is None else (*built, loading)
        case Resuming(new=new, old=old):
            return (*new, *old)
        case Removing(old=old):
            return old
        case _:
            return ()


INVARIANTS = (
    Invariant("one to one", "EXC-1", _one_to_one),
    Invariant("on disk", "STORE-1", _on_disk),
    Invariant("usage", "STORE-2", _usage),
    Invariant("run is quiet", "MERGE-2", _run_is_quiet),
    Invariant("one at a time", "MERGE-30", _one_at_a_time),
    Invariant("merge reads data", "MERGE-3", _merge_reads_data),
    Invariant("origin waits", "ORIGIN-1", _origin_waits),
    Invariant("one server", "DEV-1", _one_server),
    Invariant("in a table", "DEV-25", _in_a_table),
    Invariant("merges progress", "MERGE-8", _merges_progress),
    Invariant("no lost bio", "WORLD-1", _no_lost_bio),
)
"""The invariants of Linux; they hold for every generation."""
