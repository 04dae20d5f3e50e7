"""Power cuts: what a cut leaves of a world, and how the sectors that it leaves unknown turn out."""

from collections.abc import Callable, Iterator

from immutables import Map

from snapmerge.machine.core.events import Io
from snapmerge.records import replace
from snapmerge.trace.payload import Content
from snapmerge.world.disk import Disk, Sectors, Unknown
from snapmerge.world.state import Flights, World, add_disk, payload_of, start_world

__all__ = ["bind", "crashes", "cut_power", "decide", "known", "likely"]


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
            for at, content in enumerate(payload_of(world, effect.bio), effect.bio.sector):
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
    flights = Flights(
        replace(f, mark=Map({at: tuple(map(one, cs)) for at, cs in f.mark.items()})) for f in world.flights
    )
    return replace(world, disks=disks, buffers=buffers, flights=flights)


def decide(world: World, choose: Callable[[int], int]) -> World:
    """The world when each unknown sector has turned out to be the candidate that is chosen."""
    while (unknown := _first_unknown(world)) is not None:
        world = bind(world, unknown, unknown.candidates[choose(len(unknown.candidates))])
    return world


def likely(sectors: Sectors) -> Iterator[Content]:
    """The contents; where nobody knows, the newest candidates."""
    return (s.candidates[0] if isinstance(s, Unknown) else s for s in sectors)
