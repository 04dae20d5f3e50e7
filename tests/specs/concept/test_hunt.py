"""The hunt finds every defect of the patch of 2009 without being told where; in the intended design, nothing."""

from functools import cache

import pytest

import snapmerge as sm
from snapmerge import CONCEPT
from snapmerge_specs import monitored
from snapmerge_specs.concept import (
    AS_POSTED,
    CONCEPT_DEFECTS,
    CONCEPT_INVARIANTS,
    CONCEPT_STEPS,
    ConceptDefect,
    ViolationTrace,
    hunt,
)

TWICE = """
disk base 4
disk cow 16
create origin "0 4 snapshot-origin base"
create snap "0 4 snapshot base cow P 1"
write origin 1 1 #21
suspend origin
create merge "0 4 snapshot-merge origin cow P 1"
suspend merge
resume merge
"""


@cache
def caught(id: str) -> ViolationTrace:
    """What the hunt catches of one defect alone."""
    catch = hunt(next(defect for defect in CONCEPT_DEFECTS if defect.id == id).rules)
    assert catch is not None
    return catch


@pytest.mark.parametrize("defect", CONCEPT_DEFECTS, ids=lambda defect: defect.id)
def test_a_defect_alone_is_found_and_shrunk(defect: ConceptDefect) -> None:
    catch = caught(defect.id)
    # What a device shows after a power cut is a statement of its own, which any wrong content may break, too.
    assert catch.statement == defect.statement or {catch.statement, defect.statement} == {"CONCEPT-1", "CONCEPT-3"}
    assert len(catch.operations) < 20
    _, broken = monitored(catch.operations, defect.rules)
    assert broken is not None
    assert broken.property == catch.property
    assert monitored(catch.operations, CONCEPT)[1] is None


def test_every_property_of_such_a_merge_is_broken_by_some_defect() -> None:
    properties = {caught(defect.id).property for defect in CONCEPT_DEFECTS}
    assert properties >= {one.name for one in (*CONCEPT_INVARIANTS, *CONCEPT_STEPS)} - {"one copy"}


@pytest.mark.spec("CONCEPT-6")
def test_two_copies_at_once_are_seen_for_what_they_are() -> None:
    # A defect that leads to them breaks "rests" first.
    session = sm.Session.new(AS_POSTED)
    for step in sm.parse_trace(TWICE):
        _, session = sm.operate(session, step.operation)
    holds = next(one.holds for one in CONCEPT_INVARIANTS if one.name == "one copy")
    assert holds(sm.settle(session.world)) == "merge copies the chunks (1, 1) at once"


@pytest.mark.spec(
    "CONCEPT-1", "CONCEPT-2", "CONCEPT-3", "CONCEPT-4", "CONCEPT-5", "CONCEPT-6", "CONCEPT-7", "CONCEPT-8",
    "CONCEPT-9", "CONCEPT-10", "CONCEPT-11", "CONCEPT-12", "CONCEPT-14",
)  # fmt: skip
@pytest.mark.parametrize("seed", range(1000, 1006))
def test_the_design_as_it_was_meant_holds(seed: int) -> None:
    # The same scenarios each time; hunt(CONCEPT, runs=..., seed=...) searches on.
    assert hunt(CONCEPT, runs=60, seed=seed) is None
