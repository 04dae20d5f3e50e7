"""The small scopes of 2009, exhausted: no property fails, and the counts are what they were."""

import pytest

from snapmerge import CONCEPT
from snapmerge_specs import Script, explore
from snapmerge_specs.concept import CONCEPT_DEFECTS, CONCEPT_SCRIPTS

# As in tests/specs/search/test_explore.py.
COUNTS = {
    "concept merge": (4430, 10874, 5, 39),
    "concept writes": (2378, 5893, 8, 92),
    "concept interrupted": (388, 630, 9, 130),
    "concept reload": (51, 58, 1, 11),
    "concept fails": (111, 154, 2, 0),
    "concept beside a snapshot": (232, 368, 4, 0),
}


@pytest.mark.spec("CONCEPT-3")
@pytest.mark.parametrize("script", CONCEPT_SCRIPTS, ids=lambda script: script.name)
def test_every_property_holds_in_the_design_of_2009_as_it_was_meant(script: Script) -> None:
    found = explore(script, CONCEPT)
    assert found.violation is None
    assert found.ends > 0
    assert (found.states, found.transitions, found.ends, found.crashes) == COUNTS[script.name]


@pytest.mark.parametrize(
    ("defect", "script", "property_name"),
    [
        ("S7", "concept reload", "durable"),
        ("S12", "concept merge", "durable"),
        ("S6", "concept fails", "goes on"),
    ],
)
def test_the_scopes_of_2009_show_defects(defect: str, script: str, property_name: str) -> None:
    rules = next(one.rules for one in CONCEPT_DEFECTS if one.id == defect)
    violation = explore(next(one for one in CONCEPT_SCRIPTS if one.name == script), rules).violation
    assert violation is not None
    assert violation.property == property_name
