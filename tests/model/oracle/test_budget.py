"""What an observation may cost, and what becomes of it when that is used up."""

import functools
import itertools

import pytest
from tests.model._play import THREE_RUNS, setup

import snapmerge as sm


@pytest.mark.spec("ORACLE-6")
def test_a_search_that_is_too_long_is_undecided() -> None:
    oracle = sm.Oracle(budget=sm.Budget(work=3))
    for step in sm.parse_trace(THREE_RUNS):
        outcome = oracle.expect(step.operation)
        assert oracle.observe(step.operation, outcome) is None
    assert oracle.observe(sm.Status("origin"), sm.Line("0 32 snapshot-merge 24/104 16")) is None
    seen = oracle.observe(sm.Status("origin"), sm.Line("0 32 snapshot-merge 40/104 16"))
    assert isinstance(seen, sm.Undecided)
    assert seen.worlds == 3


@pytest.mark.spec("ORACLE-6")
def test_a_search_ends_when_its_time_is_over() -> None:
    times = iter([0.0, *[1.0] * 5, *[9.0] * 1_000])
    oracle = sm.Oracle()
    for step in sm.parse_trace(THREE_RUNS):
        oracle.observe(step.operation, oracle.expect(step.operation))
    oracle.budget = sm.Budget(seconds=5, clock=lambda: next(times))
    assert isinstance(oracle.observe(sm.Status("origin"), sm.Line("0 32 snapshot-merge 17/104 16")), sm.Undecided)


@pytest.mark.spec("ORACLE-6")
def test_what_is_not_found_out_in_time_passes_and_is_undecided() -> None:
    oracle = sm.Oracle()
    for step in sm.parse_trace(THREE_RUNS):
        oracle.observe(step.operation, oracle.expect(step.operation))
    now = itertools.count()
    read, nonsense = sm.parse_operation("read snap 0 1"), sm.parse_operation("read nobody 0 1")
    oracle.budget = sm.Budget(seconds=10, clock=functools.partial(next, now))
    oracle.check(read)
    oracle.check(nonsense)
    assert oracle.expect(nonsense) is None
    assert next(now) < 40
    assert oracle.observe(sm.Remove("snap"), sm.Done()) == sm.Undecided(sm.Step(sm.Remove("snap"), sm.Done()), 0)
    oracle.budget = sm.Budget()
    with pytest.raises(sm.OperationError):
        oracle.check(nonsense)


def test_observations_that_share_a_budget_are_over_within_its_time() -> None:
    now = itertools.count()
    budget = sm.Budget(work=50, seconds=60, clock=functools.partial(next, now)).at_once(70)
    assert (budget.work, budget.at_once(9).work) == (50, 9)
    oracle = sm.Oracle(budget=budget)
    steps = sm.parse_trace(setup() + 40 * "write snap 0 8 #1\n")
    verdicts = [oracle.observe(step.operation, None) for step in steps]
    assert verdicts[0] is None
    assert isinstance(verdicts[-1], sm.Undecided)
    assert next(now) < 60 + 2 * len(steps)


@pytest.mark.spec("ORACLE-6")
def test_a_search_ends_when_too_much_is_remembered() -> None:
    oracle = sm.Oracle(budget=sm.Budget(memory=20))
    for step in sm.parse_trace(setup(cow=32)):
        oracle.observe(step.operation, oracle.expect(step.operation))
    assert oracle.observe(sm.parse_operation("write snap 4 24 #1"), sm.Failed("EIO")) is None
    seen = oracle.observe(sm.parse_operation("read cow 16 8"), sm.Data((7,) * 8))
    assert isinstance(seen, sm.Undecided)
