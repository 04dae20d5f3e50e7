"""The world: the machine closed by everything around it, so that all that is left open is *what happens next*.

A world is a stack, its disks, and what is in flight between them.  ``moves`` gives every next thing that the
environment may do; ``settle`` does the canonical ones (what the processor does before what disks do, first in,
first out) until nothing is in flight.  Nondeterminism is here, explicit, and nowhere else.
"""

from collections.abc import Callable, Iterator
from typing import Final, assert_never

from immutables import Map

from snapmerge.machine.core.bio import Bio, Buffer, Op
from snapmerge.machine.core.draft import Rules
from snapmerge.machine.core.events import AddDisk, Effect, EndBio, Event, Fetch, Finished, Io, Log, Reply, Requeue, Zero
from snapmerge.machine.core.state import EMPTY, Stack, Work
from snapmerge.machine.core.step import step
from snapmerge.machine.registry import MAINLINE
from snapmerge.records import dataclass, replace

from ._disk import Disk, Mark, Sectors, Unknown
from ._operations import FaultKind
from ._payload import Content, contents, data_bytes

__all__ = [
    "Flight",
    "World",
    "add_disk",
    "advance",
    "bind",
    "crashes",
    "cut_power",
    "decide",
    "fail",
    "finish",
    "happen",
    "in_canonical_order",
    "known",
    "likely",
    "made_durable",
    "moves",
    "settle",
    "start_world",
    "user_buffer",
]

_NO_MARK: Final[Mark] = Map()


@dataclass(frozen=True, slots=True)
class Flight:
    """An effect under way.  ``flushing``: the flush of it, or before it, is; ``mark``: what that will make durable."""

    effect: Io | Fetch | Requeue
    flushing: bool = False
    mark: Mark = _NO_MARK


@dataclass(frozen=True, slots=True)
class World:
    """All there is.  ``flights`` in the order in which they were sent; ``buffers`` by owner; ``ended`` and ``replies``
    by token: what has ended and was not collected.
    """

    stack: Stack = EMPTY
    disks: Map[str, Disk] = Map()
    flights: tuple[Flight, ...] = ()
    buffers: Map[int, Sectors] = Map()
    ended: Map[int, str | None] = Map()
    replies: Map[int, Reply] = Map()
    rules: Rules = MAINLINE


def start_world(rules: Rules = MAINLINE) -> World:
    """A world with nothing in it."""
    return World(rules=rules)


def user_buffer(token: int) -> Buffer:
    """The buffer of a submitter's bio; those of the machine's own have numbers from 0 on."""
    return Buffer(-1 - token)


def add_disk(world: World, name: str, size: int) -> World:
    """The world with one disk more, zero-filled."""
    world = happen(world, AddDisk(name, size))
    return replace(world, disks=world.disks.set(name, Disk(size)))


def happen(world: World, event: Event) -> World:
    """The world after an event, with what the machine asked for in flight."""
    stack, effects = step(world.stack, event, world.rules)
    return _absorb(world, stack, effects)


def _absorb(world: World, stack: Stack, effects: tuple[Effect, ...]) -> World:
    flights, buffers = list(world.flights), world.buffers
    ended, replies = world.ended, world.replies
    for effect in effects:
        match effect:
            case Io(_, bio) if bio.op is Op.FLUSH or bio.preflush:
                flights.append(Flight(effect, flushing=True, mark=world.disks[bio.where].cached))
            case Io() | Fetch() | Requeue():
                flights.append(Flight(effect))
            case EndBio(token, error):
                ended = ended.set(token, error)
            case Zero(buffer, count):
                buffers = _filled(buffers, buffer, (0,) * count)
            case Reply():
                replies = replies.set(effect.token, effect)
            case Log():
                pass
            case _:
                assert_never(effect)
    return World(stack, world.disks, tuple(flights), buffers, ended, replies, world.rules)


# --- what may happen next ----------------------------------------------------------------------------------------


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
        for here in _known_enough(world, flight):
            yield finish(here, flight)
        if faults and isinstance(flight.effect, Io):
            yield fail(world, flight)


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
    return finish(world, min(world.flights, key=_rank))


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


def _fetched(world: World, id: int) -> tuple[World, bytes]:
    """The bytes in a buffer; where nobody knows, the newest candidate is it from now on."""
    for content in world.buffers[id]:
        if isinstance(content, Unknown):
            world = bind(world, content, content.candidates[0])
    return world, data_bytes(likely(world.buffers[id]))


def decide(world: World, choose: Callable[[int], int]) -> World:
    """The world when each unknown sector has turned out to be the candidate that is chosen."""
    while (unknown := _first_unknown(world)) is not None:
        world = bind(world, unknown, unknown.candidates[choose(len(unknown.candidates))])
    return world


def likely(sectors: Sectors) -> Iterator[Content]:
    """The contents; where nobody knows, the newest candidates."""
    return (s.candidates[0] if isinstance(s, Unknown) else s for s in sectors)


def _flushed(world: World, flight: Flight, bio: Bio) -> World:
    disk = world.disks[bio.where]
    if disk.fails("flush", 0, 0):
        return _report(world, flight, Finished(flight.effect.id, "EIO"))
    # What it was sent before comes next; an empty flush was sent before nothing, and leaves with its report.
    flights = tuple(Flight(f.effect) if f.effect is flight.effect else f for f in world.flights)
    world = made_durable(replace(world, flights=flights), bio.where, flight.mark)
    return _report(world, flight, Finished(flight.effect.id)) if bio.op is Op.FLUSH else world


def made_durable(world: World, name: str, done: Mark) -> World:
    """The world when this much of what a disk has in its cache is durable, whoever has asked for it."""
    flights = tuple(_trimmed(flight, name, done) for flight in world.flights)
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
        disk = disk.write(bio.sector, _payload(world, bio), durable=bio.fua)
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

    return replace(world, flights=tuple(map(without, world.flights)))


def _payload(world: World, bio: Bio) -> Sectors:
    payload = bio.payload
    match payload:
        case None:
            return (0,) * bio.count
        case bytes():
            return tuple(contents(payload))
        case Buffer(owner, offset):
            return world.buffers[owner][offset : offset + bio.count]
        case _:
            assert_never(payload)


def _fill(world: World, to: Buffer, sectors: Sectors) -> World:
    return replace(world, buffers=_filled(world.buffers, to, sectors))


def _filled(buffers: Map[int, Sectors], to: Buffer, sectors: Sectors) -> Map[int, Sectors]:
    held = buffers.get(to.owner, ())
    if to.offset > len(held):
        held = (*held, *(0,) * (to.offset - len(held)))
    return buffers.set(to.owner, (*held[: to.offset], *sectors, *held[to.offset + len(sectors) :]))


def _report(world: World, flight: Flight, event: Finished) -> World:
    """Tells the machine; buffers of its own that nobody needs any more go."""
    flights = tuple(f for f in world.flights if f.effect is not flight.effect)
    stack, effects = step(world.stack, event, world.rules)
    buffers = world.buffers
    owner = _own_buffer(flight.effect)
    if owner is not None and owner in buffers and not _needs_buffer(world.stack.work.get(owner), stack.work.get(owner)):
        buffers = buffers.delete(owner)
    world = World(stack, world.disks, flights, buffers, world.ended, world.replies, world.rules)
    return _absorb(world, stack, effects) if effects else world


def _needs_buffer(before: Work | None, after: Work | None) -> bool:
    """Whether work goes on with what was read for it; ids are reused, so it may be other work by now."""
    return after is not None and (after.keeps_buffer or after is before)


def _own_buffer(effect: Io | Fetch | Requeue) -> int | None:
    if isinstance(effect, Fetch):
        return effect.id
    if isinstance(effect, Io) and isinstance(effect.bio.payload, Buffer) and effect.bio.payload.owner >= 0:
        return effect.bio.payload.owner
    return None


# --- power cuts --------------------------------------------------------------------------------------------------


def cut_power(world: World) -> World:
    """The world after a power cut: no devices; sectors that nobody can be sure of are ``Unknown`` until one looks."""
    after = start_world(world.rules)
    for name in sorted(world.disks):
        disk = world.disks[name]
        writing = _being_written(world, name)
        medium = disk.durable
        for at in sorted({*disk.cached, *writing}):
            candidates = disk.candidates(at, writing.get(at, ()))
            medium = medium.set(at, candidates[0] if len(candidates) == 1 else _unknown(name, at, candidates))
        after = add_disk(after, name, disk.size)
        after = replace(after, disks=after.disks.set(name, Disk(disk.size, medium, faults=disk.faults)))
    return after


def _unknown(name: str, at: int, candidates: Sectors) -> Unknown:
    """One of these; a candidate that is itself unknown stands for its own candidates."""
    flat = (c.candidates if isinstance(c, Unknown) else (c,) for c in candidates)
    return Unknown((name, at), tuple(dict.fromkeys(c for cs in flat for c in cs)))


def _being_written(world: World, name: str) -> dict[int, Sectors]:
    """What is on its way to a disk, by sector: a write that has been sent may have arrived in any part."""
    writing: dict[int, Sectors] = {}
    for flight in world.flights:
        effect = flight.effect
        if isinstance(effect, Io) and not flight.flushing and effect.bio.where == name and effect.bio.is_write:
            for at, content in enumerate(_payload(world, effect.bio), effect.bio.sector):
                writing[at] = (*writing.get(at, ()), content)
    return writing


def crashes(world: World) -> Iterator[World]:
    """Every world that a power cut may leave, each sector known; the one that keeps all comes first."""
    yield from known(cut_power(world))


def known(world: World, where: frozenset[tuple[str, int]] | None = None) -> Iterator[World]:
    """The world in every way in which its unknown sectors (or just these) can turn out."""
    unknown = _first_unknown(world, where)
    if unknown is None:
        yield world
        return
    for content in unknown.candidates:
        yield from known(bind(world, unknown, content), where)


def _first_unknown(world: World, where: frozenset[tuple[str, int]] | None = None) -> Unknown | None:
    for name in sorted(world.disks):
        for _, content in sorted(world.disks[name].durable.items(), key=lambda item: item[0]):
            if isinstance(content, Unknown) and (where is None or content.where in where):
                return content
    return None


def bind(world: World, unknown: Unknown, content: Content) -> World:
    """The world in which the unknown content has turned out to be this."""

    def one(there: Content | Unknown) -> Content | Unknown:
        return content if there == unknown else there

    def learnt(disk: Disk) -> Disk:
        medium = Map({at: one(c) for at, c in disk.durable.items()})
        cached = Map({at: tuple(map(one, cs)) for at, cs in disk.cached.items()})
        return replace(disk, durable=medium, cached=cached)

    disks = Map({name: learnt(disk) for name, disk in world.disks.items()})
    buffers = Map({owner: tuple(map(one, sectors)) for owner, sectors in world.buffers.items()})
    flights = tuple(replace(f, mark=Map({at: tuple(map(one, cs)) for at, cs in f.mark.items()})) for f in world.flights)
    return replace(world, disks=disks, buffers=buffers, flights=flights)
