from collections.abc import Callable
from functools import partial
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import snapmerge as sm
from snapmerge import MAINLINE
from snapmerge_adapters import Memory
from snapmerge_specs.recipes.backup import Backup
from snapmerge_specs.recipes.defects import BACKUP_DEFECTS, ROLLBACK_DEFECTS, IgnoresInvalid
from snapmerge_specs.recipes.operator import Shape
from snapmerge_specs.recipes.properties import Plan, backup_wrong, rollback_wrong
from snapmerge_specs.recipes.rollback import Rollback

Seed = int | None
MakeRollback = Callable[[sm.Implementation, Shape, Callable[[], None], int], Rollback]


@st.composite
def plans(draw: st.DrawFn, *, overflows: bool = False, wait: int = 12) -> Plan:
    """Chunks of one to four sectors, a partial one at the end, writes by others, and up to four power cuts."""
    chunk = draw(st.sampled_from([1, 2, 4]))
    size = chunk * draw(st.integers(1, 6)) + draw(st.integers(0, chunk - 1))
    cow = draw(st.sampled_from([None, None, 4 * chunk, 6 * chunk])) if overflows else None
    # A list of numbers drawn one by one would be short most of the time.
    numbers = Random(draw(st.integers(0, 1 << 32))).choices(
        range(1 << 16), k=draw(st.sampled_from([0, 30, 60, 100, 300]))
    )
    cuts = draw(st.frozensets(st.integers(0, 120), max_size=4))
    rounds = draw(st.sampled_from([1, 2, 3, 4]))
    return Plan(Shape(size, chunk, cow), tuple(numbers), cuts, rounds, draw(st.integers(0, wait)))


def schedules() -> st.SearchStrategy[Seed]:
    """The canonical schedule, or one of many others."""
    return st.none() | st.integers(0, 1 << 32)


def backup(recipe: type[Backup], plan: Plan, seed: Seed) -> str | None:
    return backup_wrong(plan, Memory(seed=seed), lambda made, shape, wait: recipe(made, shape, wait=wait))


def rollback(recipe: type[Rollback], plan: Plan, seed: Seed, rules: sm.Rules = MAINLINE) -> str | None:
    return rollback_wrong(plan, Memory(seed=seed, rules=rules), lambda *made: recipe(*made[:-1], wait=made[-1]))


@pytest.mark.spec("RECIPE-2")
@pytest.mark.spec("RECIPE-4")
@pytest.mark.spec("RECIPE-5")
@pytest.mark.spec("RECIPE-6")
@settings(max_examples=300)
@given(plans(overflows=True), schedules())
def test_after_every_round_the_copy_is_what_the_origin_held(plan: Plan, seed: Seed) -> None:
    assert backup(Backup, plan, seed) is None


@pytest.mark.spec("RECIPE-1")
@pytest.mark.spec("RECIPE-4")
@settings(max_examples=100)
@given(plans(wait=4), schedules())
def test_a_rollback_by_handover_leaves_what_was_before(plan: Plan, seed: Seed) -> None:
    assert rollback(Rollback, plan, seed) is None


# --- what would go wrong -----------------------------------------------------------------------------------------


def some_plan(number: int, *, overflows: bool) -> Plan:
    """One of many plans, with more going on than in what Hypothesis begins with."""
    chance = Random(number)
    chunk = chance.choice([1, 2, 4])
    size = chunk * chance.randint(1, 6) + chance.randrange(chunk)
    cow = chance.choice([None, None, 4 * chunk, 6 * chunk]) if overflows else None
    numbers = chance.choices(range(1 << 16), k=chance.choice([30, 60, 300]))
    cuts = chance.choices(range(120), k=chance.randint(0, 8))
    return Plan(Shape(size, chunk, cow), tuple(numbers), frozenset(cuts), 4, chance.randint(0, 4))


def caught(
    wrong: Callable[[Plan, Seed], str | None], right: Callable[[Plan, Seed], str | None], *, overflows: bool = False
) -> str | None:
    """What is wrong in the first of many plans in which something is; without the mistake, nothing is wrong there."""
    for number in range(2000):
        plan = some_plan(number, overflows=overflows)
        if (found := wrong(plan, number)) is not None:
            assert right(plan, number) is None
            return found
    return None


@pytest.mark.spec("RECIPE-2")
@pytest.mark.spec("RECIPE-8")
@pytest.mark.spec("RECIPE-9")
@pytest.mark.spec("RECIPE-10")
@pytest.mark.spec("RECIPE-11")
@pytest.mark.spec("RECIPE-12")
@pytest.mark.spec("RECIPE-13")
@pytest.mark.parametrize("defect", BACKUP_DEFECTS, ids=lambda one: one.__name__)
def test_every_mistake_in_a_backup_is_caught(defect: type[Backup]) -> None:
    overflows = defect is IgnoresInvalid
    assert caught(partial(backup, defect), partial(backup, Backup), overflows=overflows)


@pytest.mark.parametrize("defect", ROLLBACK_DEFECTS, ids=lambda one: one.__name__)
@pytest.mark.spec("RECIPE-9")
@pytest.mark.spec("RECIPE-14")
def test_every_mistake_in_a_rollback_is_caught(defect: type[Rollback]) -> None:
    assert caught(partial(rollback, defect), partial(rollback, Rollback))
