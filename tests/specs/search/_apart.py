"""Graphs of scripts whose states differ by how they have come about, to compare those with whose states do not."""

from itertools import count

import pytest

import snapmerge as sm
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Work
from snapmerge.world.state import Flights
from snapmerge_specs import Script
from snapmerge_specs.search.bisimulation import Graph, graph

__all__ = ["graph_apart"]


def graph_apart(script: Script, rules: sm.Rules) -> Graph:
    """The graph in which states differ by the numbers of work, and by the order of what is in flight, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Draft, "begin", _begin_numbered)
        patch.setattr(Flights, "__eq__", tuple.__eq__)
        patch.setattr(Flights, "__hash__", tuple.__hash__)
        return graph(script, rules)


def _begin_numbered(draft: Draft, work: Work) -> sm.WorkId:
    """Work named by the smallest free number, as it comes."""
    id = next(id for number in count() if (id := sm.WorkId(str(number))) not in draft.work)
    draft.work = draft.work.set(id, work)
    return id
