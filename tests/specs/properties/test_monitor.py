"""The monitor and the explorer ask the same questions: what shows by the canonical schedule, both find alike."""

import pytest

from snapmerge_specs import DEFECTS, SCRIPTS, explore, monitored

SCRIPT = {script.name: script for script in SCRIPTS}
IN_ORDER = (
    "asks first only",
    "never waits",
    "forgets records",
    "reuses chunks",
    "ends in metadata",
    "source lives on",
    "skips siblings",
    "asks once",
    "starts twice",
    "counts cleared",
    "leaks",
)
"""The defects that need no other schedule, and no power cut."""


@pytest.mark.parametrize("name", IN_ORDER)
def test_a_defect_that_shows_by_the_canonical_schedule_is_found_by_both(name: str) -> None:
    defect = next(one for one in DEFECTS if one.name == name)
    script = SCRIPT[defect.script]
    trace, broken = monitored(script.steps, defect.rules)
    explored = explore(script, defect.rules).violation
    assert broken is not None
    assert explored is not None
    assert (broken.property, broken.statement) == (explored.property, explored.statement)
    assert broken.property == defect.caught_by
    assert len(trace) <= len(script.steps)
