"""The check: many random scenarios on an implementation, in lockstep with the oracle."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from snapmerge import (
    MAINLINE,
    Died,
    Implementation,
    Operation,
    OperationError,
    Oracle,
    Rules,
    Step,
    Undecided,
    counted,
    operation_word,
)
from snapmerge_specs.checking.replay import explained, shrunk, shrunk_broken, unexplained, witnessed
from snapmerge_specs.checking.shrink import shrink
from snapmerge_specs.checking.supply import Supply
from snapmerge_specs.generations.generation import ScenarioMoves, generation_of
from snapmerge_specs.lockstep.capabilities import left_out
from snapmerge_specs.lockstep.lockstep import Lockstep, VerdictError
from snapmerge_specs.lockstep.report import DivergenceReport, FindingMet, Kept, PromiseReport, Report
from snapmerge_specs.lockstep.witness import Witness
from snapmerge_specs.mistakes.findings import FINDINGS, Explanation, Finding
from snapmerge_specs.promises.checker import broken_promise
from snapmerge_specs.scenarios.layout import SECTORS_LEAST

__all__ = ["SHRINK_TRIES", "check"]

SHRINK_TRIES: Final = 1000
"""The most replays to shrink a trace."""

Steps = tuple[Step, ...]


def check(
    make: Callable[[], Implementation],
    *,
    runs: int = 200,
    steps: int = 30,
    seed: int = 0,
    rules: Rules = MAINLINE,
    progress: Callable[[int, int], None] | None = None,
    shrinking: Callable[[int, int], None] | None = None,
    shrink_tries: int = SHRINK_TRIES,
    shrink_seconds: float = 60,
    clock: Callable[[], float] = time.monotonic,
    make_oracle: Callable[[Rules], Oracle] = Oracle,
    deadly_once_in: int = 20,
    promises: bool = False,
) -> Report:
    """Compares an implementation with the model in ``runs`` scenarios of up to ``steps`` moves of a user.

    ``make`` makes the implementation; it is called again after it has died, and for each scenario without ``reset``.
    ``progress`` is called after every scenario, with the numbers of finished and of all scenarios.  Equal seeds give
    equal scenarios.  ``rules``: those of the oracle; their generation determines the scenarios.  ``make_oracle`` may
    give the oracle another budget.

    A divergence is shrunk in up to ``shrink_tries`` replays, none of which begins after ``shrink_seconds`` by the
    ``clock``; ``shrinking`` is called after each, with the numbers of tries and of remaining operations.

    ``promises``: every run is also judged by the promises to users.  Then a broken promise ends the check, and a
    divergence does not.

    An operation of which the kernel is known to die is tried once in ``deadly_once_in`` times, and otherwise avoided.

    Raises:
        OperationError: the implementation's disks are too small for any scenario, or it refuses an operation.
    """
    effort = _Effort(shrink_tries, shrink_seconds, clock, shrinking)
    checking = _Check(
        make, rules, runs, progress, effort, make_oracle, deadly_once_in=deadly_once_in, promises=promises
    )
    try:
        checking.run(steps, seed)
        return checking.report(seed)
    finally:
        checking.close()


@dataclass(frozen=True, slots=True)
class _Effort:
    """The bounds of shrinking a trace, and the function that is told about its progress."""

    tries: int
    seconds: float
    clock: Callable[[], float]
    progress: Callable[[int, int], None] | None

    def shrink(self, trace: Steps, still_fails: Callable[[Steps], Steps | None]) -> Steps:
        """The smallest trace found within the bounds."""
        end = self.clock() + self.seconds
        return shrink(trace, still_fails, tries=self.tries, over=lambda: self.clock() >= end, progress=self.progress)


class _Check:
    """One check under way."""

    def __init__(
        self,
        make: Callable[[], Implementation],
        rules: Rules,
        runs: int,
        progress: Callable[[int, int], None] | None,
        effort: _Effort,
        make_oracle: Callable[[Rules], Oracle],
        *,
        deadly_once_in: int,
        promises: bool,
    ) -> None:
        self._deadly_once_in = deadly_once_in
        self._make_oracle = make_oracle
        self._effort = effort
        self._make = make
        self._rules = rules
        self._runs = runs
        self._progress = progress
        self._promises = promises
        self._witness: Witness | None = None
        self._supply = Supply(self._made, lambda made: Lockstep(made, rules, make_oracle))
        self._started = time.monotonic()
        self._done = 0
        self._kinds: Counter[str] = Counter()
        self._reached: Counter[str] = Counter()
        self._known: Counter[str] = Counter()
        self._avoided: Counter[str] = Counter()
        self._undecided: list[Undecided] = []
        self._last: Steps = ()
        self._diverged: DivergenceReport | None = None
        self._found: DivergenceReport | None = None
        self._broken: PromiseReport | None = None
        self._compared: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._refusal: tuple[Operation, str] | None = None

    def _made(self) -> Implementation:
        """A new implementation, with a witness if promises are judged."""
        made = self._make()
        if not self._promises:
            return made
        self._witness = Witness(made)
        return self._witness

    def run(self, steps: int, number: int) -> None:
        """Runs the scenarios; the first unexplained divergence ends the check, or the first broken promise."""
        if (most := self._supply.implementation.capabilities.sectors_max) < SECTORS_LEAST:
            raise OperationError(
                f"its disks have at most {counted(most, 'sector')} together; a check needs {SECTORS_LEAST}"
            )
        for run in range(self._runs):
            draw = Random(f"{number} {run}").randint
            if (lockstep := self._lockstep()) is None:
                return
            scenario, witness = self._scenario(lockstep, Random(f"{number} {run} avoid")), self._witness
            scenario.begin(draw)
            for _ in range(steps):
                if scenario.over:
                    break
                scenario.move(draw)
            scenario.end()
            self._ended(scenario, lockstep, witness)
            if self._is_over:
                return

    @property
    def _is_over(self) -> bool:
        return self._broken is not None or (self._found is not None and not self._promises)

    def _scenario(self, lockstep: Lockstep, random: Random) -> ScenarioMoves:
        """A new scenario; after a divergence without the oracle, whose search without an explanation takes long."""
        make = generation_of(self._rules).scenario
        scenario = make(lockstep, self._disagreed, lambda operation: self._avoids(operation, random), self._witness)
        scenario.apart = self._diverged is not None
        return scenario

    def _avoids(self, operation: Operation, random: Random) -> bool:
        """Whether to leave an operation out of which this kernel is known to die; most of them are, and counted."""
        about = self._supply.implementation.capabilities.about
        deadly = next((f for f in FINDINGS if f.death and f.may_die(operation) and f.concerns(about)), None)
        if deadly is None or random.randrange(self._deadly_once_in) == 0:
            return False
        self._avoided[deadly.name] += 1
        return True

    def _lockstep(self) -> Lockstep | None:
        """A lockstep for the next scenario; None if the implementation can't be reset.

        That is a divergence, too, whose trace ends with the reset.
        """
        try:
            return self._supply.fresh()
        except VerdictError as disagreement:
            witness = self._witness
            self._disagreed(VerdictError((*self._last, *disagreement.trace), disagreement.verdict))
            self._supply.renew()
            self._shrink(witness)
        return self._supply.fresh() if self._found is None and self._broken is None else None

    def _ended(self, scenario: ScenarioMoves, lockstep: Lockstep, witness: Witness | None) -> None:
        """Counts the operations of a scenario, and shrinks the trace that it has found."""
        self._done += 1
        self._refused.update(operation_word(operation) for operation, _ in lockstep.refused)
        self._refusal = self._refusal or next(iter(lockstep.refused), None)
        self._last = tuple(lockstep.steps if witness is None else witness.steps)
        self._kinds.update(operation_word(step.operation) for step in self._last)
        self._reached.update(scenario.reached)
        if self._progress is not None:
            self._progress(self._done, self._runs)
        self._shrink(witness)

    def _disagreed(self, disagreement: VerdictError) -> None:
        trace, verdict = disagreement.trace, disagreement.verdict
        witness = self._witness
        if isinstance(trace[-1].outcome, Died):
            self._supply.renew()
        explains = self._explained(trace)
        if isinstance(explains, Finding):
            self._known[explains.name] += 1
            if witness is not None:
                witness.broken, witness.over = None, True  # what follows, follows from that
        elif isinstance(verdict, Undecided):
            self._undecided.append(verdict)
        else:
            self._diverged = unexplained(disagreement, explains)

    def _explained(self, trace: Steps) -> Explanation:
        return explained(trace, self._rules, self._make_oracle(self._rules).budget)

    def _shrink(self, witness: Witness | None) -> None:
        """Makes the trace of what a scenario has found small: of a broken promise, or else of a divergence."""
        if witness is not None:
            self._compared += witness.promises.compared
        if witness is not None and witness.broken is not None:
            if isinstance(known := self._explained(witness.trace), Finding):
                self._known[known.name] += 1
            else:
                self._broken = shrunk_broken(witness.trace, witness.broken, self._witnessed, self._effort.shrink)
        elif self._diverged is not None and self._found is None:
            self._found = shrunk(self._diverged, self._supply.again, self._effort.shrink)
            self._look_again(self._found)

    def _look_again(self, found: DivergenceReport) -> None:
        """The shrunk trace may break a promise that the scenario did not show; then that is what was found."""
        if self._promises and (broken := broken_promise(found.trace)) is not None:
            trace = found.trace[: broken.index + 1]
            self._broken = shrunk_broken(trace, broken, self._witnessed, self._effort.shrink)
            self._found = None

    def _witnessed(self, steps: Steps) -> PromiseReport | None:
        try:
            self._supply.fresh(steps)
        except VerdictError:  # as in Supply.again
            self._supply.renew()
            return None
        found = None if self._witness is None else witnessed(steps, self._witness, self._rules)
        if found is not None and isinstance(found.trace[-1].outcome, Died):
            self._supply.renew()
        return found

    def report(self, number: int) -> Report:
        """The report of the check."""
        met = [_met(finding, self._known[finding.name]) for finding in FINDINGS if self._known[finding.name]]
        return Report(
            about=self._supply.implementation.capabilities.about,
            seed=number,
            runs=self._done,
            operations=sum(self._kinds.values()),
            kinds=tuple(sorted(self._kinds.items())),
            reached=tuple(sorted(self._reached.items())),
            seconds=time.monotonic() - self._started,
            found=self._found,
            known=tuple(met),
            avoided=tuple(sorted(self._avoided.items())),
            undecided=tuple(self._undecided),
            refused=tuple(sorted(self._refused.items())),
            refusal=self._refusal,
            left_out=left_out(self._supply.implementation.capabilities),
            kept=self._kept() if self._promises else None,
        )

    def _kept(self) -> Kept:
        return Kept(self._broken, self._diverged is not None, tuple(sorted(self._compared.items())))

    def close(self) -> None:
        """Closes the implementation."""
        self._supply.close()


def _met(finding: Finding, count: int) -> FindingMet:
    return FindingMet(finding.name, finding.summary, count, finding.statement)
