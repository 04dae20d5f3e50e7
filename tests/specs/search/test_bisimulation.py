"""States are told apart by what they are, and nothing is lost by that: the same schedules as by numbers and orders."""

import functools
from collections.abc import Callable, Hashable
from itertools import count

import pytest
from tests.specs.search._bisimulation import Graph, alike, graph

import snapmerge as sm
from snapmerge import CONCEPT, MAINLINE
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Piece, Work
from snapmerge.world.state import Flights
from snapmerge_specs import CONCEPT_SCRIPTS, SCRIPTS

SCOPES = (
    "copy-out",
    "reads and flushes",
    "two snapshots",
    "merge",
    "merge beside full snapshots",
    "merge interrupted",
    "overflow",
    "transient",
    "concept interrupted",
    "concept beside a snapshot",
)


def begin_numbered(draft: Draft, work: Work) -> sm.WorkId:
    """Work named by the smallest free number, as it comes."""
    id = next(id for number in count() if (id := sm.WorkId(str(number))) not in draft.work)
    draft.work = draft.work.set(id, work)
    return id


def of(name: str) -> Graph:
    """The graph of a script."""
    script = next(one for one in (*SCRIPTS, *CONCEPT_SCRIPTS) if one.name == name)
    return graph(script, CONCEPT if script in CONCEPT_SCRIPTS else MAINLINE)


@functools.cache
def apart(name: str) -> Graph:
    """The graph of a script whose states differ by the numbers of work, and by the order of what is in flight, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft, "begin", begin_numbered)
        patch.setattr(Flights, "__eq__", tuple.__eq__)
        patch.setattr(Flights, "__hash__", tuple.__hash__)
        return of(name)


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
    named = of("two snapshots")
    monkeypatch.setattr(Piece, "name", "piece")
    vague = of("two snapshots")
    assert len(named.seen) < len(vague.seen)
    assert alike(named, vague)
