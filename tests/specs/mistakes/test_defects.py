"""For every property there is a defect that it catches, and a script in which it does."""

import pytest

from snapmerge_specs import DEFECTS, INVARIANTS, SCRIPTS, Defect, explore


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_the_defect_is_caught_by_its_property(defect: Defect) -> None:
    script = next(script for script in SCRIPTS if script.name == defect.script)
    violation = explore(script, defect.rules, limit=20_000).violation
    assert violation is not None
    assert violation.property == defect.caught_by


def test_every_property_has_a_defect_that_it_catches() -> None:
    caught = {defect.caught_by for defect in DEFECTS}
    assert caught >= {invariant.name for invariant in INVARIANTS}
    assert caught >= {"views", "reads", "durable"}
