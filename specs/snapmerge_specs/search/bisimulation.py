"""Whether a finer and a coarser equality of states give equivalent graphs of a script: a bisimulation.

The nodes of a graph are a script's states; equal states are one node.  Its edges are labelled with the effect or
operation that ends or begins, and with its results.  Two nodes are alike (bisimilar) if the same is observed in them,
and each edge of the one has an edge of the other with the same label to a node that is alike.  If the first nodes of
two graphs are alike, no property that the explorer checks distinguishes them.
"""

import dataclasses
from collections.abc import Hashable, Iterator

import snapmerge as sm
from snapmerge.world.moves import endings
from snapmerge.world.session import advance_tasks, poll
from snapmerge.world.state import Flight
from snapmerge_specs.generations.script import Script
from snapmerge_specs.properties.views import view
from snapmerge_specs.search.explore import Search, State, start

__all__ = ["Graph", "alike", "graph"]


@dataclasses.dataclass
class Graph:
    """``seen``: the observation in each node; ``edges``: for each node its (label, node) pairs; node 0 is the first."""

    seen: list[Hashable] = dataclasses.field(default_factory=list)
    edges: list[set[tuple[Hashable, int]]] = dataclasses.field(default_factory=list)


def graph(script: Script, rules: sm.Rules) -> Graph:
    """The graph of all states that a script can reach; equal states are one node."""
    search, found = Search(script, 0), Graph()
    numbers, states = {(first := start(rules)): 0}, [first]
    for state in states:
        edges: set[tuple[Hashable, int]] = set()
        for label, after in _edges(search, state):
            if after not in numbers:
                numbers[after] = len(states)
                states.append(after)
            edges.add((label, numbers[after]))
        found.seen.append(_observed(script, state))
        found.edges.append(edges)
    return found


def _edges(search: Search, state: State) -> Iterator[tuple[Hashable, State]]:
    for flight in state.session.world.flights:
        for world in endings(state.session.world, flight):
            yield (_label(flight), _results(sm.Session(world, state.session.tasks))), search.moved(state, world)
    if (begun := search.begun(state)) is not None:
        yield "begin", begun


def _label(flight: Flight) -> Hashable:
    """The label of a flight's end, without the name of its work."""
    effect = flight.effect
    if not isinstance(effect, sm.Io):
        return type(effect).__name__
    bio = effect.bio
    return flight.flushing, bio.op, bio.where, bio.sector, bio.count, bio.preflush, bio.fua


def _results(session: sm.Session) -> Hashable:
    """The results of the operations that have ended, with their keys."""
    session = advance_tasks(session)
    return tuple((key, poll(session, key)[1]) for key in sorted(session.tasks))


def _observed(script: Script, state: State) -> Hashable:
    """The views of all devices, the volumes, the operations under way, and the disks that a power cut may leave."""
    world = state.session.world
    views = tuple((name, view(world, name)) for name in sorted(world.stack.devices))
    is_cut = script.cuts is not None and state.at >= script.cuts
    cuts = frozenset(after.disks for after in sm.crashes(world)) if is_cut else None
    return state.at, state.waiting, frozenset(state.session.tasks), state.volumes, views, cuts


def alike(one: Graph, other: Graph) -> bool:
    """Whether the first nodes are alike: classes of nodes are split until the members of each have equal edges."""
    edges = [*one.edges, *({(label, to + len(one.edges)) for label, to in out} for out in other.edges)]
    classes, count = _numbered([*one.seen, *other.seen]), 0
    while count < (count := len(set(classes))):
        classes = _numbered(
            [
                (mine, frozenset((label, classes[to]) for label, to in out))
                for mine, out in zip(classes, edges, strict=True)
            ]
        )
    return classes[0] == classes[len(one.edges)]


def _numbered(values: list[Hashable]) -> list[int]:
    """A number for each value; equal values have the same."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]
