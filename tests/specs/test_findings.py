"""What real kernels do otherwise: each has a trace, which the model plays as it should be and its rules as it is."""

from pathlib import Path

import pytest

from snapmerge import Died, Divergence, Implementation, Oracle, Step, parse_trace
from snapmerge_adapters import Guest, Memory
from snapmerge_specs import FINDINGS, KnownFinding, check, explanation, replay

TRANSITIONS = [finding for finding in FINDINGS if not finding.death]
FOLDER = Path(__file__).parents[2] / "specs" / "findings"


def _trace(finding: KnownFinding) -> tuple[Step, ...]:
    return parse_trace((FOLDER / f"{finding.name}.trace").read_text())


def _plays_as_recorded(implementation: Implementation, steps: tuple[Step, ...]) -> bool:
    return all(
        step.outcome is None or seen.outcome == step.outcome
        for step, (seen, _) in zip(steps, replay(steps, implementation), strict=False)
    )


def test_each_finding_has_its_trace_and_each_trace_its_finding() -> None:
    assert {path.stem for path in FOLDER.glob("*.trace")} == {finding.name for finding in FINDINGS}


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.name)
def test_the_model_plays_the_trace_as_it_should_be(finding: KnownFinding) -> None:
    assert _plays_as_recorded(Memory(), _trace(finding))


@pytest.mark.parametrize("finding", TRANSITIONS, ids=lambda finding: finding.name)
def test_an_implementation_that_does_so_diverges_and_is_recognised(finding: KnownFinding) -> None:
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


def test_a_check_finds_one_without_being_told_where() -> None:
    finding = next(finding for finding in FINDINGS if finding.name == "merge-repeats-cleared-records")
    report = check(lambda: Memory(rules=finding.rules), runs=150, seed=0)
    assert finding.name in [known.name for known in report.known]
    assert report.found is None


def test_a_kernel_that_dies_of_a_finding_is_recognised_by_its_last_words() -> None:
    finding = next(finding for finding in FINDINGS if finding.death)
    steps = _trace(finding)[:3]
    assert explanation([*steps[:2], Step(steps[2].operation, Died(f"panic at {finding.death}+0x474"))]) == finding
    assert explanation([*steps[:2], Step(steps[2].operation, Died("panic elsewhere"))]) is None


@pytest.mark.kernel
@pytest.mark.parametrize("finding", [f for f in FINDINGS if f.name != "invalidation-is-volatile"], ids=lambda f: f.name)
def test_the_kernel_still_does_it(finding: KnownFinding, guest: Guest) -> None:
    release = guest.capabilities.about.split()[1].rstrip(",")
    as_recorded = _plays_as_recorded(guest, _trace(finding))
    assert as_recorded == (release not in finding.releases)
