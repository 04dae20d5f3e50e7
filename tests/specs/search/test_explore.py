"""The small scopes, exhausted: no property fails, and the counts are what they were."""

import functools

import pytest

from snapmerge_specs import SCRIPTS, Exploration, Script, explore

# (states, transitions, ends, power cuts that differ): a change in them is a change in what can happen, and wants a
# reason.  Behind them the states and transitions while work was named by the smallest free number and what is in flight
# had an order; ends and power cuts were the same.
COUNTS = {
    "copy-out": (119, 218, 2, 98),  # 229 and 395
    "reads and flushes": (96, 179, 2, 36),  # 162 and 316
    "two snapshots": (321, 784, 2, 0),  # 1,735 and 4,126
    "three chunks": (2345, 8507, 1, 102),  # 185,439 and 678,392
    "origin and snapshot": (559, 1460, 2, 188),  # 6,563 and 17,183
    "writes and a flush": (861, 2279, 5, 282),  # 10,937 and 29,849
    "two snapshots, both written": (533, 1424, 2, 0),  # 6,829 and 17,854
    "merge": (98, 165, 1, 14),  # 143 and 260
    "merge beside a snapshot": (53, 61, 1, 0),  # 55 and 64
    "merge beside full snapshots": (111, 160, 2, 0),  # 138 and 201
    "merge interrupted": (137, 200, 3, 0),  # 167 and 250
    "merge fails": (75, 86, 2, 0),  # 75 and 86
    "cleared": (73, 120, 1, 0),  # 110 and 197
    "overflow": (103, 191, 3, 74),  # 194 and 364
    "transient": (80, 163, 1, 0),  # 179 and 370
    "full area": (336, 335, 1, 0),  # 336 and 335
}


@functools.cache
def explored(script: Script) -> Exploration:
    """What a search of the script has seen."""
    return explore(script)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_property_holds_in_every_schedule(script: Script) -> None:
    found = explored(script)
    assert found.violation is None
    assert found.ends > 0
    assert (found.states, found.transitions, found.ends, found.crashes) == COUNTS[script.name]


def test_the_scripts_reach_what_matters() -> None:
    reached = set().union(*(explored(script).reached for script in SCRIPTS))
    assert {
        "I/O error",
        "exceptions loaded from disk",
        "merge interrupted",
        "merge under way",
        "second area",
        "several snapshots",
    } <= reached


def test_a_search_that_is_cut_short_says_so_by_its_count() -> None:
    script = next(script for script in SCRIPTS if script.name == "two snapshots")
    assert explore(script, limit=100).states <= 120
