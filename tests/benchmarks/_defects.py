"""How long random scenarios take to meet each seeded defect, in memory, under schedules that are drawn.

Seconds are the processor's for this process: they are to say how much must be searched, not how busy the machine is.
"""

import statistics
import time
from collections.abc import Iterator
from functools import partial
from typing import Final

from tests.benchmarks._figures import Figure, Sizes

from snapmerge import MAINLINE, Budget, Died, MachineError, Operation, Oracle, Outcome, Rules, counted
from snapmerge_adapters import Memory
from snapmerge_specs import DEFECTS, check

__all__ = ["defects"]

_STEPS: Final = 10
"""Moves of a scenario: many short ones meet more than a few long ones, whose histories are dear to search."""

_BUDGET: Final = Budget(work=2_000)
"""Worlds for the oracle, which is undecided then: the next scenario costs less than a longer search.

A write that races with a merge needs some thousand.
"""

_FEW: Final = 5


class _Mortal(Memory):
    """The model with a defect, which may break down altogether: it has died then, as a kernel would."""

    def apply(self, operation: Operation) -> Outcome:
        try:
            return super().apply(operation)
        except (KeyError, AssertionError, MachineError) as error:
            return Died(f"{type(error).__name__}: {error}")


def _scenario(rules: Rules, seed: int) -> tuple[int, bool]:
    """How many operations it had, and whether it left the model; a known finding counts, for some defects are one."""
    report = check(
        lambda: _Mortal(seed=seed, rules=rules),
        runs=1,
        steps=_STEPS,
        seed=seed,
        shrink_tries=0,
        make_oracle=partial(Oracle, budget=_BUDGET),
    )
    return report.operations, report.found is not None or bool(report.known)


def _without() -> float:
    """Seconds for one scenario of the model as it is."""
    began = time.process_time()
    for seed in range(_FEW):
        _scenario(MAINLINE, seed)
    return (time.process_time() - began) / _FEW


def defects(sizes: Sizes) -> Iterator[Figure]:
    """A row for each defect, and their median; what is not met within the time that is aimed at has no value."""
    taken, once = list[float](), 0.0
    for defect in DEFECTS[: sizes.defects]:
        once = _without()
        began, scenarios, operations, met = time.process_time(), 0, 0, False
        while not met and (scenarios == 0 or time.process_time() - began < sizes.defect_seconds):
            seed = sizes.seed + scenarios
            more, met = _scenario(defect.rules, seed)
            met = met and not _scenario(MAINLINE, seed)[1]  # or it is not the defect that was met
            scenarios, operations = scenarios + 1, operations + more
        spent = time.process_time() - began
        what = f"{defect.name}: met after {counted(scenarios, 'scenario')}, {counted(operations, 'operation')}"
        missed = (
            ""
            if met
            else f"not met in {spent:.0f} s, {counted(scenarios, 'scenario')}, {counted(operations, 'operation')}"
        )
        taken += [spent] * met
        yield _figure(defect.name if missed else what, spent, once, "< 60 s", missed)
    missed = "" if taken else "none was met"
    yield _figure("the median of those met", statistics.median(taken or [0]), once, "< 5 s", missed)


def _figure(what: str, spent: float, once: float, aim: str, missed: str) -> Figure:
    if missed:
        return Figure("defects", what, None, "s", aim=aim, skipped=missed)
    return Figure("defects", what, spent, "s", spent / once, "a scenario without a defect", aim)
