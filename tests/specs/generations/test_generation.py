"""Each generation answers for its own rules, and its scripts hold for the monitor as they do for the explorer."""

import pytest

from snapmerge import MAINLINE, Rules, SnapshotRules
from snapmerge_specs import LINUX, Generation, Script, generation_of, generations, monitored

SCRIPTS = [(generation, script) for generation in generations() for script in generation.scripts]


def test_the_rules_of_linux_are_of_its_generation() -> None:
    assert generation_of(MAINLINE) is LINUX
    assert generation_of(MAINLINE.changed(SnapshotRules)) is LINUX


def test_each_generation_is_that_of_its_rules() -> None:
    assert [generation_of(generation.rules) for generation in generations()] == list(generations())


def test_rules_of_no_generation_are_refused() -> None:
    with pytest.raises(LookupError, match="no registered generation has these rules"):
        generation_of(Rules(MAINLINE.core, MAINLINE.types))


@pytest.mark.parametrize(("generation", "script"), SCRIPTS, ids=lambda one: getattr(one, "name", ""))
def test_every_property_holds_of_its_scripts_by_the_canonical_schedule(generation: Generation, script: Script) -> None:
    trace, broken = monitored(script.steps, generation.rules)
    assert broken is None
    assert len(trace) >= len(script.steps)
