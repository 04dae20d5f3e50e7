"""What may happen next in a world: each move carries out one effect that is in flight, and tells the machine.

``moves`` gives every next thing that the environment may do; ``settle`` does the canonical ones (what the processor
does before what disks do, first in, first out) until nothing is in flight.
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
from snapmerge.world.power import bind, known, likely
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
    """Every world that may come next, the canonical one first; ``faults``: disks may fail, too.

    ``unless`` says which flights do not end now.  Power cuts are not among the moves: ``crashes`` gives what those
    leave.
    """
    for flight in in_canonical_order(world):
        if unless(flight):
            continue
        yield from endings(world, flight)
        if faults and isinstance(flight.effect, Io):
            yield fail(world, flight)


def endings(world: World, flight: Flight) -> Iterator[World]:
    """Every world in which this flight is the next to end, as the faults of the disks have it."""
    for here in _known_enough(world, flight):
        yield finish(here, flight)


def _known_enough(world: World, flight: Flight) -> Iterator[World]:
    """The world in every way in which what the machine is about to read can turn out."""
    if not isinstance(flight.effect, Fetch):
        yield world
        return
    unknown = frozenset(c.where for c in world.buffers[flight.effect.id] if isinstance(c, Unknown))
    yield from known(world, unknown)


def in_canonical_order(world: World) -> list[Flight]:
    """What is in flight, in the order of the canonical schedule."""
    return sorted(world.flights, key=_rank)


def _rank(flight: Flight) -> int:
    """What the processor does comes before what disks do, and what it has begun before what another thread will."""
    match flight.effect:
        case Io():
            return 2
        case Requeue(later=True):
            return 1
        case _:
            return 0


def settle(world: World) -> World:
    """The world when nothing is in flight any more, by the canonical schedule."""
    while world.flights:
        world = advance(world)
    return world


def advance(world: World) -> World:
    """The world after its canonical next move; something must be in flight."""
    return finish(world, world.flights[canonical(world)])


def canonical(world: World) -> int:
    """Which of the flights comes next in the canonical schedule; something must be in flight."""
    sooner = [i for i, flight in enumerate(world.flights) if not isinstance(flight.effect, Io)]
    return min(sooner, key=lambda i: _rank(world.flights[i])) if sooner else 0


def finish(world: World, flight: Flight) -> World:
    """The world after this effect has been carried out, as the disks' faults have it."""
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
    """The world after this effect has failed without a trace."""
    return _report(world, flight, Finished(flight.effect.id, "EIO"))


def _fetched(world: World, id: WorkId) -> tuple[World, bytes]:
    """The bytes in a buffer; where nobody knows, the newest candidate is it from now on."""
    for content in world.buffers[id]:
        if isinstance(content, Unknown):
            world = bind(world, content, content.candidates[0])
    return world, data_bytes(likely(world.buffers[id]))


def _flushed(world: World, flight: Flight, bio: Bio) -> World:
    disk = world.disks[bio.where]
    if disk.fails("flush", 0, 0):
        return _report(world, flight, Finished(flight.effect.id, "EIO"))
    # What it was sent before comes next; an empty flush was sent before nothing, and leaves with its report.
    flights = Flights(Flight(f.effect) if f.effect is flight.effect else f for f in world.flights)
    world = made_durable(replace(world, flights=flights), bio.where, flight.mark)
    return _report(world, flight, Finished(flight.effect.id)) if bio.op is Op.FLUSH else world


def made_durable(world: World, name: str, done: Mark) -> World:
    """The world when this much of what a disk has in its cache is durable, whoever has asked for it."""
    flights = Flights(_trimmed(flight, name, done) for flight in world.flights)
    return replace(world, disks=world.disks.set(name, world.disks[name].flush(done)), flights=flights)


def _trimmed(flight: Flight, where: str, done: Mark) -> Flight:
    """Another flush of the disk has less to do once one is done."""
    mark = flight.mark
    if not mark or not isinstance(flight.effect, Io) or flight.effect.bio.where != where:
        return flight
    for at, written in done.items():
        rest = mark.get(at, ())[len(written) :]
        mark = mark.set(at, rest) if rest else mark.delete(at) if at in mark else mark
    return replace(flight, mark=mark)


def _moved(world: World, flight: Flight, bio: Bio) -> World:
    """Data has moved between a disk and a buffer."""
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
    """What was written durably needs no flush any more; what a fault has kept from being written does."""
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
    """Tells the machine; buffers of its own that nobody needs any more go."""
    flights = world.flights.without(flight)
    stack, effects = step(world.stack, event, world.rules)
    buffers = world.buffers
    owner = _own_buffer(flight.effect)
    if owner is not None and owner in buffers and not _needs_buffer(world.stack.work.get(owner), stack.work.get(owner)):
        buffers = buffers.delete(owner)
    world = World(stack, world.disks, flights, buffers, world.ended, world.replies, world.rules)
    return absorb(world, stack, effects) if effects else world


def _needs_buffer(before: Work | None, after: Work | None) -> bool:
    """Whether work goes on with what was read for it; other work may have the same name by now."""
    return after is not None and (after.keeps_buffer or after is before)


def _own_buffer(effect: Io | Fetch | Requeue) -> WorkId | None:
    """The work whose buffer this is about; None: none, or a submitter's."""
    if isinstance(effect, Fetch):
        return effect.id
    owner = effect.bio.payload.owner if isinstance(effect, Io) and isinstance(effect.bio.payload, Buffer) else None
    return None if isinstance(owner, int) else owner
