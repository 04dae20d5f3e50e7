"""Whatever is done while something is under way, by drawn schedules: nothing breaks."""

from random import Random

import pytest
from tests.specs.scenarios._played import played

import snapmerge as sm
from snapmerge import Rules
from snapmerge_specs import DEFECTS, FINDINGS, INVARIANTS, Generation, generations

LIVENESS = [one for one in INVARIANTS if one.name in ("one at a time", "merges progress", "no lost bio")]
"""What holds whatever is written to disks directly, and whatever fails."""


@pytest.mark.spec("DEV-5")
@pytest.mark.spec("MERGE-30")
@pytest.mark.parametrize("generation", generations(), ids=lambda one: one.part.__name__)
def test_nothing_breaks_whatever_is_done_while_something_is_under_way(generation: Generation) -> None:
    for number in range(1500 if generation.in_kernels else 500):
        session = sm.settled(played(Random(number), generation.rules))
        assert not session.world.flights
        assert [problem for one in LIVENESS if (problem := one.holds(session.world))] == []


@pytest.mark.parametrize(
    "rules",
    [one.rules for one in DEFECTS] + [one.rules for one in FINDINGS],
    ids=[one.name for one in DEFECTS] + [one.name for one in FINDINGS],
)
def test_a_defect_does_something_wrong_and_never_fails_itself(rules: Rules) -> None:
    for number in range(30):
        sm.settled(played(Random(number), rules))
