"""The hunt: runs random scenarios of a merge of 2009, checks every property, and shrinks the first violation."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from snapmerge import CONCEPT, Operation, Rules, Step
from snapmerge_specs.checking.compare import compare_with_look
from snapmerge_specs.checking.shrink import shrink
from snapmerge_specs.concept.scenario import ConceptScenario
from snapmerge_specs.properties.monitor import Monitor, ViolationError, monitored

__all__ = ["ViolationTrace", "hunt"]


@dataclass(frozen=True, slots=True)
class ViolationTrace:
    """A violated property: the operations that show it, shrunk, and the number of its scenario (``run``)."""

    property: str
    statement: str
    problem: str
    operations: tuple[Operation, ...]
    run: int


def hunt(rules: Rules = CONCEPT, *, runs: int = 1000, steps: int = 12, seed: int = 0) -> ViolationTrace | None:
    """The first violation in ``runs`` scenarios, with its operations shrunk; None: all properties hold.

    The scenarios do not depend on the mistake in ``rules``; equal seeds give equal scenarios.  A violation with a wrong
    outcome is preferred to one met up to 100 scenarios earlier that no outcome shows.
    """
    hidden: tuple[int, ViolationError, tuple[Step, ...]] | None = None
    for run in range(runs):
        found, trace = _scenario(rules, Random(f"{seed} {run}").randint, steps)
        if found is not None and compare_with_look(_operations(trace), rules) is not None:
            return _shrunk(rules, trace, found, run, visible=True)
        if found is not None and hidden is None:
            hidden = run, found, trace
        if hidden is not None and run > hidden[0] + _PATIENCE:
            break
    return None if hidden is None else _shrunk(rules, hidden[2], hidden[1], hidden[0], visible=False)


_PATIENCE: Final = 100
"""The number of scenarios to run after a violation that no outcome shows."""


def _scenario(
    rules: Rules, draw: Callable[[int, int], int], steps: int
) -> tuple[ViolationError | None, tuple[Step, ...]]:
    monitor = Monitor(rules)
    scenario = ConceptScenario(monitor)
    try:
        scenario.begin(draw)
        for _ in range(draw(1, steps)):
            scenario.move(draw)
        scenario.end()
        monitor.settle()
    except ViolationError as found:
        return found, monitor.trace
    return None, ()


def _shrunk(rules: Rules, trace: tuple[Step, ...], found: ViolationError, run: int, *, visible: bool) -> ViolationTrace:
    last = found

    def still_fails(steps: tuple[Step, ...]) -> tuple[Step, ...] | None:
        nonlocal last
        seen, broken = monitored(_operations(steps), rules)
        if broken is None or broken.property != found.property:
            return None
        if visible and compare_with_look(_operations(seen), rules) is None:
            return None
        last = broken
        return seen

    trace = shrink(still_fails(trace) or trace, still_fails, tries=1000)
    return ViolationTrace(found.property, last.statement, last.problem, _operations(trace), run)


def _operations(trace: tuple[Step, ...]) -> tuple[Operation, ...]:
    return tuple(step.operation for step in trace)
