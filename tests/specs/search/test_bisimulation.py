"""States are told apart by what they are, and nothing is lost by that: the same schedules as by numbers and orders."""

import functools
from collections.abc import Callable, Hashable

import pytest
from tests.specs.search._apart import graph_apart

from snapmerge import MAINLINE
from snapmerge.machine.core.state import Piece
from snapmerge.world.state import Flights
from snapmerge_specs import SCRIPTS, Script
from snapmerge_specs.search.bisimulation import Graph, alike, graph

SCOPES = (
    "copy-out",
    "reads and flushes",
    "two snapshots",
    "merge",
    "merge beside full snapshots",
    "merge interrupted",
    "overflow",
    "transient",
    "cleared",
)


def of(name: str) -> Graph:
    """The graph of a script."""
    return graph(named(name), MAINLINE)


@functools.cache
def apart(name: str) -> Graph:
    """Its graph with numbers and orders."""
    return graph_apart(named(name), MAINLINE)


def named(name: str) -> Script:
    """The script of this name."""
    return next(script for script in SCRIPTS if script.name == name)


@pytest.mark.parametrize("name", SCOPES)
def test_states_that_are_equal_behave_alike(name: str) -> None:
    together = of(name)
    assert len(together.seen) < len(apart(name).seen)
    assert alike(together, apart(name))


def marks_left_out(flights: Flights) -> Hashable:
    """A mistake: what flushes under way will make durable is left out."""
    return frozenset((flight.effect, flight.flushing) for flight in flights)


def flushes_left_out(flights: Flights) -> Hashable:
    """A mistake: whether a flush, or the one before a write, is still under way is left out, too."""
    return frozenset(flight.effect for flight in flights)


@pytest.mark.parametrize("key", [marks_left_out, flushes_left_out])
def test_flights_that_are_equal_by_mistake_do_not(
    key: Callable[[Flights], Hashable], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Flights, "__eq__", lambda one, other: key(one) == key(other))
    monkeypatch.setattr(Flights, "__hash__", lambda flights: hash(key(flights)))
    assert not alike(of("reads and flushes"), apart("reads and flushes"))


def test_names_that_say_too_little_cost_states_and_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    telling = of("two snapshots")
    monkeypatch.setattr(Piece, "name", "piece")
    vague = of("two snapshots")
    assert len(telling.seen) < len(vague.seen)
    assert alike(telling, vague)
