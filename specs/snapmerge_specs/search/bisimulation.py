"""Whether two ways to tell states apart come to the same: a bisimulation of the two graphs of a script.

A graph has a script's states as its nodes; what makes two of them one node is their equality.  Its edges are labelled
with what ends or begins, and with what users see of that.  Two nodes are alike (bisimilar) when the same can be
observed in them, and each edge of the one has an edge of the other with the same label, to nodes that are alike again.
If the nodes where both graphs start are alike, no property that the explorer checks can tell them apart.
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
    """``seen``: what is observed in each node; ``edges``: from each node, with a label, to another.  It starts at 0."""

    seen: list[Hashable] = dataclasses.field(default_factory=list)
    edges: list[set[tuple[Hashable, int]]] = dataclasses.field(default_factory=list)


def graph(script: Script, rules: sm.Rules) -> Graph:
    """All states that a script can reach, one node for states that are equal."""
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
    """What ends, whatever its name is."""
    effect = flight.effect
    if not isinstance(effect, sm.Io):
        return type(effect).__name__
    bio = effect.bio
    return flight.flushing, bio.op, bio.where, bio.sector, bio.count, bio.preflush, bio.fua


def _results(session: sm.Session) -> Hashable:
    """How operations have ended, by their keys."""
    session = advance_tasks(session)
    return tuple((key, poll(session, key)[1]) for key in sorted(session.tasks))


def _observed(script: Script, state: State) -> Hashable:
    """What users see of each device, what they count on, what they wait for, and what a power cut may leave."""
    world = state.session.world
    views = tuple((name, view(world, name)) for name in sorted(world.stack.devices))
    is_cut = script.cuts is not None and state.at >= script.cuts
    cuts = frozenset(after.disks for after in sm.crashes(world)) if is_cut else None
    return state.at, state.waiting, frozenset(state.session.tasks), state.volumes, views, cuts


def alike(one: Graph, other: Graph) -> bool:
    """Whether the graphs start alike: splits classes of nodes until all of a class have edges to the same classes."""
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
    """For each value a number that equal ones share."""
    numbers: dict[Hashable, int] = {}
    return [numbers.setdefault(value, len(numbers)) for value in values]
