"""Power cuts: the world after one, and the ways in which its unknown sectors can be decided.

A cut leaves of each sector what was durable, or anything that was in the cache or on its way to the disk.  Not all of
these worlds are made at once: such a sector is one ``Unknown`` with its candidates, the newest first, until something
depends on it.  Copies of an unknown sector are equal to it, so that all are decided together.
"""

from collections.abc import Callable, Iterator

from immutables import Map

from snapmerge.machine.core.events import Io
from snapmerge.records import replace
from snapmerge.trace.payload import Content
from snapmerge.world.disk import Disk, Sectors, Unknown
from snapmerge.world.state import Flights, World, add_disk, payload_of, start_world

__all__ = ["bind", "crashes", "cut_power", "newest_contents", "resolutions", "resolve"]


def cut_power(world: World) -> World:
    """The world after a power cut: disks without cached contents, no devices, nothing in flight (WORLD-5, WORLD-6).

    A sector with several possible contents is ``Unknown`` until it is read (WORLD-7).
    """
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
    """An unknown content with these candidates; an unknown candidate is replaced by its own candidates."""
    flat = (c.candidates if isinstance(c, Unknown) else (c,) for c in candidates)
    return Unknown((name, at), tuple(dict.fromkeys(c for cs in flat for c in cs)))


def _being_written(world: World, name: str) -> dict[int, Sectors]:
    """The contents of writes in flight to a disk, by sector, oldest first (WORLD-5), without those in a preflush."""
    writing: dict[int, Sectors] = {}
    for flight in world.flights:
        effect = flight.effect
        if isinstance(effect, Io) and not flight.flushing and effect.bio.where == name and effect.bio.is_write:
            for at, content in enumerate(payload_of(world, effect.bio), effect.bio.sector):
                writing[at] = (*writing.get(at, ()), content)
    return writing


def crashes(world: World) -> Iterator[World]:
    """Every world that a power cut may leave, each with all sectors known; first the one with the newest contents."""
    yield from resolutions(cut_power(world))


def resolutions(world: World, where: frozenset[tuple[str, int]] | None = None) -> Iterator[World]:
    """The world, once for each way to decide its unknown sectors; ``where``: only these are decided."""
    unknown = _first_unknown(world, where)
    if unknown is None:
        yield world
        return
    for content in unknown.candidates:
        yield from resolutions(bind(world, unknown, content), where)


def _first_unknown(world: World, where: frozenset[tuple[str, int]] | None = None) -> Unknown | None:
    for name in sorted(world.disks):
        for _, content in sorted(world.disks[name].durable.items(), key=lambda item: item[0]):
            if isinstance(content, Unknown) and (where is None or content.where in where):
                return content
    return None


def bind(world: World, unknown: Unknown, content: Content) -> World:
    """The world after the unknown content, and every copy of it, was decided to be ``content`` (WORLD-7)."""

    def bound(held: Content | Unknown) -> Content | Unknown:
        return content if held == unknown else held

    def bound_disk(disk: Disk) -> Disk:
        medium = Map({at: bound(c) for at, c in disk.durable.items()})
        cached = Map({at: tuple(map(bound, cs)) for at, cs in disk.cached.items()})
        return replace(disk, durable=medium, cached=cached)

    disks = Map({name: bound_disk(disk) for name, disk in world.disks.items()})
    buffers = Map({owner: tuple(map(bound, sectors)) for owner, sectors in world.buffers.items()})
    flights = Flights(
        replace(f, mark=Map({at: tuple(map(bound, cs)) for at, cs in f.mark.items()})) for f in world.flights
    )
    return replace(world, disks=disks, buffers=buffers, flights=flights)


def resolve(world: World, choose: Callable[[int], int]) -> World:
    """The world after each unknown sector was decided: ``choose(n)`` returns the index of one of n candidates."""
    while (unknown := _first_unknown(world)) is not None:
        world = bind(world, unknown, unknown.candidates[choose(len(unknown.candidates))])
    return world


def newest_contents(sectors: Sectors) -> Iterator[Content]:
    """The contents of the sectors; of an unknown one its newest candidate."""
    return (s.candidates[0] if isinstance(s, Unknown) else s for s in sectors)
