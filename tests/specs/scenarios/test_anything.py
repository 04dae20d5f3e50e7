"""Whatever is done while something is under way, by drawn schedules: nothing breaks."""

from random import Random

import pytest

import snapmerge as sm
from snapmerge import CONCEPT, MAINLINE, Rules, Session, World
from snapmerge_specs import CONCEPT_DEFECTS, DEFECTS, FINDINGS, INVARIANTS
from snapmerge_specs.scenarios.anything import Anything


def flushes_are_behind_nothing_else(world: World) -> bool:
    """Whether all that a flush in flight will make durable is in the disk's cache, the oldest first."""
    return all(
        world.disks[flight.effect.bio.where].cached.get(at, ())[: len(written)] == written
        for flight in world.flights
        if isinstance(flight.effect, sm.Io)
        for at, written in flight.mark.items()
    )


def played(random: Random, rules: Rules) -> Session:
    """A session in which a drawn scenario has been played, by a drawn schedule."""
    session = Session.new(rules)
    for operation in Anything(random).operations(40):
        try:
            _, session = sm.operate(session, operation, random.randrange)
        except sm.OperationError:
            continue
        if isinstance(operation, sm.Crash):
            session = Session(sm.decide(session.world, random.randrange))
        assert flushes_are_behind_nothing_else(session.world)
    return session


LIVENESS = [one for one in INVARIANTS if one.name in ("one at a time", "merges go on", "nobody forgotten")]
"""What holds whatever is written to disks directly, and whatever fails."""


@pytest.mark.spec("DEV-5")
@pytest.mark.spec("MERGE-30")
@pytest.mark.parametrize(("rules", "scenarios"), [(MAINLINE, 1500), (CONCEPT, 500)], ids=["mainline", "concept"])
def test_nothing_breaks_whatever_is_done_while_something_is_under_way(rules: Rules, scenarios: int) -> None:
    for number in range(scenarios):
        session = sm.settled(played(Random(number), rules))
        assert not session.world.flights
        assert [problem for one in LIVENESS if (problem := one.holds(session.world))] == []


@pytest.mark.parametrize(
    "rules",
    [one.rules for one in DEFECTS] + [one.rules for one in CONCEPT_DEFECTS] + [one.rules for one in FINDINGS],
    ids=[one.name for one in DEFECTS] + [one.id for one in CONCEPT_DEFECTS] + [one.name for one in FINDINGS],
)
def test_a_defect_does_something_wrong_and_never_fails_itself(rules: Rules) -> None:
    for number in range(30):
        sm.settled(played(Random(number), rules))
