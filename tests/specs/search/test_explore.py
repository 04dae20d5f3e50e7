"""The small scopes, exhausted: no property fails, and the counts are what they were."""

import pytest

from snapmerge_specs import SCRIPTS, Script, explore

# (states, transitions, ends, power cuts that differ): a change in them is a change in what can happen, and wants a
# reason.
COUNTS = {
    "copy-out": (229, 395, 2, 98),
    "reads and flushes": (162, 316, 2, 36),
    "two snapshots": (1735, 4126, 2, 0),
    "merge": (143, 260, 1, 14),
    "merge beside a snapshot": (55, 64, 1, 0),
    "merge beside full snapshots": (138, 201, 2, 0),
    "merge interrupted": (167, 250, 3, 0),
    "merge fails": (75, 86, 2, 0),
    "cleared": (110, 197, 1, 0),
    "overflow": (194, 364, 3, 74),
    "transient": (179, 370, 1, 0),
    "full area": (336, 335, 1, 0),
}


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_every_property_holds_in_every_schedule(script: Script) -> None:
    found = explore(script)
    assert found.violation is None
    assert found.ends > 0
    assert (found.states, found.transitions, found.ends, found.crashes) == COUNTS[script.name]


def test_the_scripts_reach_what_matters() -> None:
    reached = set().union(*(explore(script).reached for script in SCRIPTS))
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
