"""What real kernels do otherwise: each has a trace, which the model plays as it should be and its rules as it is."""

import functools
import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from snapmerge import (
    Budget,
    Capabilities,
    Count,
    Data,
    Died,
    Discard,
    Divergence,
    Implementation,
    Operation,
    Oracle,
    Outcome,
    Read,
    Reset,
    Step,
    parse_trace,
)
from snapmerge_adapters import Guest, Memory
from snapmerge_specs import FINDINGS, CutOff, DivergenceError, DivergenceReport, Finding, check, explanation, replay

TRANSITIONS = [finding for finding in FINDINGS if not finding.death]
FOLDER = Path(__file__).parents[3] / "specs" / "findings"


def _trace(finding: Finding) -> tuple[Step, ...]:
    return parse_trace((FOLDER / f"{finding.name}.trace").read_text())


def _plays_as_recorded(implementation: Implementation, steps: tuple[Step, ...]) -> bool:
    return all(
        step.outcome is None or seen.outcome == step.outcome
        for step, (seen, _) in zip(steps, replay(steps, implementation), strict=False)
    )


def test_each_finding_has_its_trace_and_each_trace_its_finding() -> None:
    assert {path.stem for path in FOLDER.glob("*.trace")} == {finding.name for finding in FINDINGS}


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.name)
def test_the_model_plays_the_trace_as_it_should_be(finding: Finding) -> None:
    assert _plays_as_recorded(Memory(), _trace(finding))


@pytest.mark.parametrize("finding", TRANSITIONS, ids=lambda finding: finding.name)
def test_an_implementation_that_does_so_diverges_and_is_recognised(finding: Finding) -> None:
    for seed in range(20):
        implementation, oracle, seen = Memory(rules=finding.rules, seed=seed), Oracle(), []
        for step in _trace(finding):
            outcome = implementation.apply(step.operation)
            seen.append(Step(step.operation, outcome))
            verdict = oracle.observe(step.operation, outcome)
            if verdict is not None:
                assert isinstance(verdict, Divergence)
                assert explanation(seen) == finding
                return
    pytest.fail("the oracle has not noticed")


def _as_kernels_do(finding: Finding) -> tuple[Step, ...]:
    memory = Memory(rules=finding.rules)
    return tuple(Step(step.operation, memory.apply(step.operation)) for step in _trace(finding))


def test_whether_a_finding_explains_it_is_open_when_the_time_is_over() -> None:
    steps, now = _as_kernels_do(FINDINGS[0]), itertools.count()
    clock = functools.partial(next, now)
    assert explanation(steps, Budget(seconds=3, clock=clock)) == CutOff((FINDINGS[0].name,))
    assert next(now) < 10 * len(FINDINGS)
    assert explanation(steps, Budget(seconds=10_000, clock=clock)) == explanation(steps) == FINDINGS[0]


def test_whether_a_finding_explains_it_is_open_when_a_search_is_given_up() -> None:
    """By no schedule a read gives this, which a search finds out; what no search is needed for is not open."""
    *steps, last = _as_kernels_do(FINDINGS[0])
    assert isinstance(last.operation, Read)
    wrong = (*steps, Step(last.operation, Data(tuple(range(1, 17)))))
    assert explanation(wrong, Budget(work=2)) == CutOff((FINDINGS[0].name,))
    assert explanation(wrong) is None
    assert explanation((*steps, Step(last.operation, Count(3))), Budget(work=2)) is None


def test_only_findings_that_the_operations_may_show_are_tried() -> None:
    """What has no discard, no merge and no failure costs no step of the model."""
    now = itertools.count()
    steps = parse_trace("disk base 8 -> ok\nwrite base 0 8 #1 -> ok\nread base 0 1 -> #2\n")
    assert explanation(steps, Budget(seconds=9, clock=functools.partial(next, now))) is None
    assert next(now) < 4


def test_a_check_says_that_a_finding_may_explain_what_it_has_found() -> None:
    """The oracle needs no search to tell a wrong kind of outcome; all steps again take more than the time of one."""

    class Wrong(Memory):
        asked = 0

        def apply(self, operation: Operation) -> Outcome:
            self.asked = 0 if isinstance(operation, Reset) else self.asked + 1
            outcome = super().apply(operation)
            return Count(3) if isinstance(operation, Discard) and self.asked > 15 else outcome

    def found(seconds: float) -> DivergenceReport | None:
        clock = functools.partial(next, itertools.count())
        budget = Budget(seconds=seconds, clock=clock)
        return check(Wrong, shrink_tries=0, make_oracle=lambda rules: Oracle(rules, budget=budget)).found

    cut_off, decided = found(40), found(100_000)
    assert cut_off is not None
    assert decided is not None
    assert cut_off.trace == decided.trace
    assert "misaligned-discard" in cut_off.cut_off
    assert decided.cut_off == ()
    assert "before it was known whether this is misaligned-discard" in str(DivergenceError(cut_off))
    assert "misaligned-discard" not in str(DivergenceError(decided))


def test_a_check_finds_one_without_being_told_where() -> None:
    finding = next(finding for finding in FINDINGS if finding.name == "merge-repeats-cleared-records")
    report = check(lambda: Memory(rules=finding.rules), runs=120, seed=0)
    assert finding.name in [known.name for known in report.known]
    assert report.found is None


def test_what_ends_a_scenario_is_avoided_where_it_is_known_and_counted() -> None:
    """A kernel that dies of every table that can kill it gets through nearly all scenarios."""
    deadly = [finding for finding in FINDINGS if finding.death]

    class Mortal(Memory):
        @property
        def capabilities(self) -> Capabilities:
            return replace(super().capabilities, about="Linux 7.2.99, snapshot 1.16.0")

        def apply(self, operation: Operation) -> Outcome:
            for finding in deadly:
                if finding.may_die(operation):
                    return Died(f"panic in {finding.death}+0x47")
            return super().apply(operation)

    report = check(Mortal, runs=60, seed=2)
    assert report.found is None
    assert {name for name, _ in report.avoided} == {finding.name for finding in deadly}
    assert 0 < sum(finding.met for finding in report.known) < 20


def test_nothing_is_avoided_where_it_is_not_known() -> None:
    assert check(Memory, runs=30, seed=2).avoided == ()
    assert not any(f.concerns("Linux 7.25.1") or f.concerns("Linux 17.2.7") for f in FINDINGS)
    assert all(any(f.concerns(f"Linux {release}, snapshot 1.16.0") for release in f.releases) for f in FINDINGS)


def test_a_kernel_that_dies_of_a_finding_is_recognised_by_its_last_words() -> None:
    finding = next(finding for finding in FINDINGS if finding.death)
    steps = _trace(finding)[:3]
    assert explanation([*steps[:2], Step(steps[2].operation, Died(f"panic at {finding.death}+0x474"))]) == finding
    cut_short = Died(f"Kernel panic - not syncing: {finding.cause}")
    assert explanation([*steps[:2], Step(steps[2].operation, cut_short)]) == finding
    assert explanation([*steps[:1], Step(steps[1].operation, cut_short)]) is None
    assert explanation([*steps[:2], Step(steps[2].operation, Died("panic elsewhere"))]) is None


@pytest.mark.kernel
@pytest.mark.parametrize("finding", [f for f in FINDINGS if f.name != "invalidation-is-volatile"], ids=lambda f: f.name)
def test_the_kernel_still_does_it(finding: Finding, guest: Guest) -> None:
    release = guest.capabilities.about.split()[1].rstrip(",")
    mortal = Guest() if finding.death else guest  # what a kernel may die of has a kernel of its own
    as_recorded = _plays_as_recorded(mortal, _trace(finding))
    if mortal is not guest:
        mortal.close()
    assert as_recorded == (release not in finding.releases)
