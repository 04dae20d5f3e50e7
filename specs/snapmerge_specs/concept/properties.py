"""The properties of a merge of 2009 (specs/concept.md): of every world, and of every move."""

from collections.abc import Iterator
from typing import Final

from snapmerge import Io, Op, World
from snapmerge.format.exceptions import lookup
from snapmerge.machine.concept.state import ConceptCopy, ConceptMerge, Stage
from snapmerge.machine.core.state import CopyJob, Piece, Removing, Resuming, Suspending, Target
from snapmerge.machine.snapshot.state import SnapshotTarget
from snapmerge_specs.generations.generation import Invariant, StepInvariant
from snapmerge_specs.properties.held import is_held

__all__ = ["CONCEPT_INVARIANTS", "CONCEPT_STEPS", "merges"]


def merges(world: World) -> Iterator[ConceptMerge]:
    """The merges of 2009, in the order of their ids."""
    return (t for _, t in sorted(world.stack.targets.items()) if isinstance(t, ConceptMerge))


def _one_copy(world: World) -> str | None:
    """A merge has at most one copy in flight."""
    for merge in merges(world):
        if len(merge.copies) > 1:
            return f"{merge.device} copies the chunks {merge.copies} at once"
    return None


def _rests(world: World) -> str | None:
    """A suspended merge has no copy in flight."""
    for merge in merges(world):
        if world.stack.devices[merge.device].suspended and merge.copies and not _changes(world, merge.device):
            return f"{merge.device} is suspended, and copies chunk {merge.copies[0]}"
    return None


def _changes(world: World, device: str) -> bool:
    """Whether a request is under way that stops or restarts the device's merge."""
    return any(isinstance(r, Suspending | Resuming | Removing) and r.device == device for r in world.stack.requests)


def _progresses(world: World) -> str | None:
    """With nothing in flight, a merge has finished or failed, unless a suspended device holds it back."""
    if world.flights or world.stack.requests:
        return None
    for merge in merges(world):
        if is_held(world, merge.device):
            continue
        if merge.active and merge.id in world.stack.devices[merge.device].live and not merge.is_over:
            return f"{merge.device} has stopped at chunk {merge.progress} of {merge.end}"
    return None


def _own_chunk(world: World) -> str | None:
    """A write waits only while its own chunk is being copied or written to both devices; nothing else waits."""
    for merge in merges(world):
        if merge.held:
            return f"{merge.device}: a bio waits for the end of the merge, and chunk {merge.progress} is next"
        for id in merge.queued:
            piece = world.stack.work[id]
            if not isinstance(piece, Piece) or piece.bio.op is Op.FLUSH:
                return f"{merge.device}: a flush waits for chunk {merge.progress}"
            chunk = piece.bio.sector // merge.chunk_size
            mine = chunk == merge.progress or chunk in merge.tracked
            if not mine or lookup(merge.completed, chunk) is None:
                return f"{merge.device}: a {piece.bio.op.value} of chunk {chunk} waits for chunk {merge.progress}"
            if not piece.bio.is_write:
                return f"{merge.device}: a {piece.bio.op.value} waits for chunk {chunk}"
    return None


def _stays_inside(world: World) -> str | None:
    """A merge copies only to the sectors of its target."""
    for flight in world.flights:
        work = world.stack.work.get(flight.effect.id)
        if not isinstance(flight.effect, Io) or not isinstance(work, CopyJob) or work.purpose is not ConceptCopy.CHUNK:
            continue
        merge = world.stack.targets.get(work.target)
        to = work.destination
        if not isinstance(merge, ConceptMerge):
            continue
        start, end = merge.line.start, merge.line.start + merge.line.length
        if to.sector < start or to.sector + to.count > end:
            return f"{merge.device} copies to the sectors {to.sector}+{to.count} of {to.where}"
    return None


def _one_server(world: World) -> str | None:
    """The exceptions on a COW device belong to one target."""
    for merge in merges(world):
        if not merge.active or not merge.valid:
            continue
        for other in world.stack.targets.values():
            serves = isinstance(other, ConceptMerge | SnapshotTarget) and other.cow == merge.cow
            if serves and other.device != merge.device and _is_active(other):
                return f"{merge.device} and {other.device} both serve {merge.cow}"
    return None


def _is_active(target: Target) -> bool:
    return isinstance(target, ConceptMerge | SnapshotTarget) and target.active and target.valid


def _one_merge(world: World) -> str | None:
    """At most one merge copies to a destination."""
    found: dict[str, str] = {}
    for merge in merges(world):
        if merge.active and found.setdefault(merge.destination, merge.device) != merge.device:
            return f"{found[merge.destination]} and {merge.device} both merge into {merge.destination}"
    return None


def _stops_soon(before: World, after: World) -> str | None:
    """While a device is being suspended, its merge begins no further copy."""
    stopping = {device for device, request in _first_requests(before).items() if isinstance(request, Suspending)}
    for merge in merges(after):
        was = before.stack.targets.get(merge.id)
        rested = isinstance(was, ConceptMerge) and was.stage is Stage.IDLE
        if merge.device in stopping and rested and merge.stage in _AT_A_CHUNK:
            return f"{merge.device} is being suspended, and begins chunk {merge.progress}"
    return None


def _first_requests(world: World) -> dict[str, Suspending | Resuming | Removing]:
    """The first request of each device, which is the one being served."""
    first: dict[str, Suspending | Resuming | Removing] = {}
    for request in world.stack.requests:
        if isinstance(request, Suspending | Resuming | Removing):
            first.setdefault(request.device, request)
    return first


_AT_A_CHUNK: Final = (Stage.DRAINING, Stage.PROTECTING, Stage.COPYING)


def _one_event(before: World, after: World) -> str | None:
    """A merge with exceptions raises one event when it ends; nothing else raises events of its device."""
    ended = [
        m.device for m in merges(after) if m.completed and _has_ended(after, m.id) and not _has_ended(before, m.id)
    ]
    for name, device in sorted(after.stack.devices.items()):
        was = before.stack.devices.get(name)
        raised = device.events - was.events if was is not None else 0
        if raised > ended.count(name) and _has_merge(after, name):
            return f"{name} raises an event, and no merge has ended"
        if raised < ended.count(name):
            return f"{name} has ended, and raises no event"
    return None


def _has_ended(world: World, id: int) -> bool:
    target = world.stack.targets.get(id)
    return isinstance(target, ConceptMerge) and target.finished and target.stage is not Stage.ENDING


def _has_merge(world: World, device: str) -> bool:
    return any(merge.device == device for merge in merges(world))


CONCEPT_INVARIANTS: Final = (
    Invariant("one copy", "CONCEPT-6", _one_copy),
    Invariant("rests", "CONCEPT-7", _rests),
    Invariant("progresses", "CONCEPT-5", _progresses),
    Invariant("own chunk", "CONCEPT-9", _own_chunk),
    Invariant("stays inside", "CONCEPT-10", _stays_inside),
    Invariant("one server of exceptions", "CONCEPT-11", _one_server),
    Invariant("one merge", "CONCEPT-12", _one_merge),
)

CONCEPT_STEPS: Final = (
    StepInvariant("stops soon", "CONCEPT-8", _stops_soon),
    StepInvariant("one event", "CONCEPT-14", _one_event),
)
