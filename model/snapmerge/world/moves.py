"""The moves of a world: each carries out one effect in flight, and reports it to the machine.

``moves`` yields every world that may come next.  ``settle`` makes the canonical moves until nothing is in flight: the
processor's work before the disks', each first in, first out.
"""

from collections.abc import Callable, Iterator
from typing import assert_never

from snapmerge.machine.core.bio import Bio, Buffer, Op, WorkId
from snapmerge.machine.core.events import Fetch, Finished, Io, Requeue
from snapmerge.machine.core.state import Work
from snapmerge.machine.core.step import step
from snapmerge.records import replace
from snapmerge.trace.operations import FaultKind
from snapmerge.trace.payload import data_bytes
from snapmerge.world.disk import Mark, Sectors, Unknown
from snapmerge.world.power import bind, newest_contents, resolutions
from snapmerge.world.state import Flight, Flights, World, absorb, filled, payload_of

__all__ = [
    "advance",
    "canonical",
    "endings",
    "fail",
    "finish",
    "in_canonical_order",
    "made_durable",
    "moves",
    "settle",
]


def moves(
    world: World, *, faults: bool = False, unless: Callable[[Flight], bool] = lambda _flight: False
) -> Iterator[World]:
    """Every world that may come next, the canonical one first; ``faults``: every I/O may also fail.

    Flights for which ``unless`` is true do not end now.  Power cuts are not among the moves: see ``crashes``.
    """
    for flight in in_canonical_order(world):
        if unless(flight):
            continue
        yield from endings(world, flight)
        if faults and isinstance(flight.effect, Io):
            yield fail(world, flight)


def endings(world: World, flight: Flight) -> Iterator[World]:
    """Every world in which this flight is the next to end, as the disks' faults decide."""
    for resolved in _resolve_fetched(world, flight):
        yield finish(resolved, flight)


def _resolve_fetched(world: World, flight: Flight) -> Iterator[World]:
    """The world, once for each content that the bytes a ``Fetch`` hands to the machine can have."""
    if not isinstance(flight.effect, Fetch):
        yield world
        return
    unknown = frozenset(c.where for c in world.buffers[flight.effect.id] if isinstance(c, Unknown))
    yield from resolutions(world, unknown)


def in_canonical_order(world: World) -> list[Flight]:
    """The effects in flight, in the order of the canonical schedule."""
    return sorted(world.flights, key=_rank)


def _rank(flight: Flight) -> int:
    """The canonical order: first the work of the running thread, then that of other threads, then the disks'."""
    match flight.effect:
        case Io():
            return 2
        case Requeue(later=True):
            return 1
        case _:
            return 0


def settle(world: World) -> World:
    """The world after canonical moves until nothing is in flight; every move is one of ``moves`` (WORLD-3)."""
    while world.flights:
        world = advance(world)
    return world


def advance(world: World) -> World:
    """The world after its canonical move; something must be in flight."""
    return finish(world, world.flights[canonical(world)])


def canonical(world: World) -> int:
    """The index of the flight that ends next in the canonical schedule; something must be in flight."""
    sooner = [i for i, flight in enumerate(world.flights) if type(flight.effect) is not Io]
    return min(sooner, key=lambda i: _rank(world.flights[i])) if sooner else 0


def finish(world: World, flight: Flight) -> World:
    """The world after this effect has been carried out; it fails where a fault of the disk says so."""
    effect = flight.effect
    match effect:
        case Requeue(id):
            return _report(world, flight, Finished(id))
        case Fetch(id):
            world, data = _fetched(world, id)
            return _report(world, flight, Finished(id, data=data))
        case Io(_, bio):
            return _flushed(world, flight, bio) if flight.flushing else _moved(world, flight, bio)
        case _:
            assert_never(effect)


def fail(world: World, flight: Flight) -> World:
    """The world after this effect has failed and has changed nothing on the disk."""
    return _report(world, flight, Finished(flight.effect.id, "EIO"))


def _fetched(world: World, id: WorkId) -> tuple[World, bytes]:
    """The bytes in a buffer; each unknown sector is decided to be its newest candidate (WORLD-7)."""
    for content in world.buffers[id]:
        if isinstance(content, Unknown):
            world = bind(world, content, content.candidates[0])
    return world, data_bytes(newest_contents(world.buffers[id]))


def _flushed(world: World, flight: Flight, bio: Bio) -> World:
    """Carries out a flush, or the flush before a write: the write then begins as a flight of its own (WORLD-9)."""
    disk = world.disks[bio.where]
    if disk.fails("flush", 0, 0):
        return _report(world, flight, Finished(flight.effect.id, "EIO"))
    # The write after the flush takes the flight's place; a flush without data is removed by ``_report``.
    flights = Flights(Flight(f.effect) if f.effect is flight.effect else f for f in world.flights)
    world = made_durable(replace(world, flights=flights), bio.where, flight.mark)
    return _report(world, flight, Finished(flight.effect.id)) if bio.op is Op.FLUSH else world


def made_durable(world: World, name: str, done: Mark) -> World:
    """The world after the contents in ``done`` have left a disk's cache and are durable (WORLD-4)."""
    flights = Flights(_trimmed(flight, name, done) for flight in world.flights)
    return replace(world, disks=world.disks.set(name, world.disks[name].flush(done)), flights=flights)


def _trimmed(flight: Flight, where: str, done: Mark) -> Flight:
    """Drops from a pending flush of the disk what a finished one has made durable."""
    mark = flight.mark
    if not mark or not isinstance(flight.effect, Io) or flight.effect.bio.where != where:
        return flight
    for at, written in done.items():
        rest = mark.get(at, ())[len(written) :]
        mark = mark.set(at, rest) if rest else mark.delete(at) if at in mark else mark
    return replace(flight, mark=mark)


def _moved(world: World, flight: Flight, bio: Bio) -> World:
    """Moves data between a disk and a buffer; a copy is a read and later a write, each with its own move (WORLD-10)."""
    disk = world.disks[bio.where]
    kind: FaultKind = "read" if bio.op is Op.READ else "write"
    error = "EIO" if disk.faults and disk.fails(kind, bio.sector, bio.count) else None
    if kind == "write":
        disk = disk.write(bio.sector, payload_of(world, bio), durable=bio.fua)
        disks = world.disks.set(bio.where, disk)
        world = World(world.stack, disks, world.flights, world.buffers, world.ended, world.replies, world.rules)
        if bio.fua:
            world = _forget_in_marks(world, bio)
    elif error is None and isinstance(bio.payload, Buffer):
        world = _fill(world, bio.payload, disk.read(bio.sector, bio.count))
    return _report(world, flight, Finished(flight.effect.id, error))


def _forget_in_marks(world: World, bio: Bio) -> World:
    """Drops from pending flushes the sectors that a FUA write has made durable; not those where it failed."""
    if not any(f.mark for f in world.flights):
        return world
    disk = world.disks[bio.where]
    written = [at for at in range(bio.sector, bio.sector + bio.count) if not disk.fails("write", at, 1)]

    def without(flight: Flight) -> Flight:
        mark = flight.mark
        if isinstance(flight.effect, Io) and flight.effect.bio.where == bio.where:
            for at in written:
                mark = mark.delete(at) if at in mark else mark
        return replace(flight, mark=mark)

    return replace(world, flights=Flights(map(without, world.flights)))


def _fill(world: World, to: Buffer, sectors: Sectors) -> World:
    return replace(world, buffers=filled(world.buffers, to, sectors))


def _report(world: World, flight: Flight, event: Finished) -> World:
    """Reports a finished effect to the machine, and frees the buffer of work that no longer uses it."""
    flights = world.flights.without(flight)
    stack, effects = step(world.stack, event, world.rules)
    buffers = world.buffers
    owner = _own_buffer(flight.effect)
    if owner is not None and owner in buffers and not _needs_buffer(world.stack.work.get(owner), stack.work.get(owner)):
        buffers = buffers.delete(owner)
    world = World(stack, world.disks, flights, buffers, world.ended, world.replies, world.rules)
    return absorb(world, stack, effects) if effects else world


def _needs_buffer(before: Work | None, after: Work | None) -> bool:
    """Whether the work still uses its buffer.  Equal names are no proof: new work may have taken the name."""
    return after is not None and (after.keeps_buffer or after is before)


def _own_buffer(effect: Io | Fetch | Requeue) -> WorkId | None:
    """The work of the machine whose buffer the effect uses; None: it uses none, or that of a user's bio."""
    if isinstance(effect, Fetch):
        return effect.id
    owner = effect.bio.payload.owner if isinstance(effect, Io) and isinstance(effect.bio.payload, Buffer) else None
    return None if isinstance(owner, int) else owner
