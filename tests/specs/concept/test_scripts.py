"""The small scopes of 2009, exhausted: no property fails, and the counts are what they were."""

import pytest
from tests.specs.search._apart import graph_apart

from snapmerge import CONCEPT
from snapmerge_specs import Script, explore
from snapmerge_specs.concept import CONCEPT_DEFECTS, CONCEPT_SCRIPTS
from snapmerge_specs.search.bisimulation import alike, graph

# As in tests/specs/search/test_explore.py.
COUNTS = {
    "concept merge": (647, 1451, 5, 39),  # 4,430 and 10,874
    "concept writes": (581, 1304, 8, 92),  # 2,378 and 5,893
    "concept interrupted": (239, 356, 9, 130),  # 388 and 630
    "concept reload": (51, 58, 1, 11),  # 51 and 58
    "concept fails": (90, 118, 2, 0),  # 111 and 154
    "concept beside a snapshot": (166, 249, 4, 0),  # 232 and 368
}


@pytest.mark.spec("CONCEPT-3")
@pytest.mark.parametrize("script", CONCEPT_SCRIPTS, ids=lambda script: script.name)
def test_every_property_holds_in_the_design_of_2009_as_it_was_meant(script: Script) -> None:
    found = explore(script, CONCEPT)
    assert found.violation is None
    assert found.ends > 0
    assert (found.states, found.transitions, found.ends, found.crashes) == COUNTS[script.name]


@pytest.mark.parametrize("name", ["concept interrupted", "concept beside a snapshot"])
def test_states_that_are_equal_behave_alike(name: str) -> None:
    script = next(script for script in CONCEPT_SCRIPTS if script.name == name)
    assert alike(graph(script, CONCEPT), graph_apart(script, CONCEPT))


@pytest.mark.parametrize(
    ("defect", "script", "property_name"),
    [
        ("S7", "concept reload", "durable"),
        ("S12", "concept merge", "durable"),
        ("S6", "concept fails", "progresses"),
    ],
)
def test_the_scopes_of_2009_show_defects(defect: str, script: str, property_name: str) -> None:
    rules = next(one.rules for one in CONCEPT_DEFECTS if one.id == defect)
    violation = explore(next(one for one in CONCEPT_SCRIPTS if one.name == script), rules).violation
    assert violation is not None
    assert violation.property == property_name
