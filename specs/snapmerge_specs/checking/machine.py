"""The stateful machine: Hypothesis chooses a user's moves, and an implementation follows the oracle in lockstep."""

import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import ClassVar, Final

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from snapmerge import MAINLINE, Died, Disk, Divergence, Implementation, Step, counted, print_operation, shortened
from snapmerge_specs.checking.replay import explained, shrunk, unexplained
from snapmerge_specs.checking.shrink import shrink
from snapmerge_specs.checking.supply import Supply
from snapmerge_specs.lockstep.lockstep import VerdictError
from snapmerge_specs.lockstep.report import DivergenceReport
from snapmerge_specs.lockstep.schedule import choices_of, follow
from snapmerge_specs.lockstep.texts import DivergenceError
from snapmerge_specs.scenarios.scenario import Scenario

__all__ = ["LockstepMachine"]

_SETTINGS: Final = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
    verbosity=Verbosity.quiet,
    print_blob=False,
)
"""The machine shrinks and reports by itself: Hypothesis would take minutes, and its report is no trace."""

_SHRINK_SECONDS: Final = 60


class LockstepMachine(RuleBasedStateMachine):
    """Subclass it, give ``implementation``, and run it: ``TestMine = Mine.TestCase``, or ``run_state_machine_as_test``.

    ``implementation`` makes one: it is called when there is none yet, when one has died, and for each scenario if it
    has no ``reset``.  It may give the same object again if that has a ``reset`` that works after ``close``, as that of
    ``Process`` does.  What it made is closed with the test case.  What diverges is shrunk as by ``check``; the message
    of the DivergenceError is the report.
    Known findings end a scenario, and so does what can't be decided; neither is an error.
    A test case that has checked nothing fails, as when the implementation refuses everything.

    With settings of your own, derive them: ``settings(Mine.TestCase.settings, max_examples=500)``.
    """

    implementation: ClassVar[Callable[[], Implementation]]
    _supply: ClassVar[Supply | None] = None
    _told: ClassVar[dict[tuple[str, ...], DivergenceReport]] = {}
    _counts: ClassVar[Counter[str]] = Counter()
    _refusal: ClassVar[str] = ""

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._told, cls._counts, cls._refusal = {}, Counter(), ""
        cls.TestCase.settings = _SETTINGS
        cls.TestCase.tearDown = lambda _case: cls._must_have_checked()  # type: ignore[method-assign, assignment]

    @classmethod
    def _supplied(cls) -> Supply:
        if cls._supply is None:
            cls._supply = _supply(cls.implementation)
            cls.TestCase.addClassCleanup(cls._close)
        return cls._supply

    @classmethod
    def _close(cls) -> None:
        """Closes the implementation; the next run makes another."""
        supply, cls._supply = cls._supply, None
        cls._told.clear()
        if supply is not None:
            supply.close()

    @classmethod
    def _must_have_checked(cls) -> None:
        """Raises AssertionError if all scenarios together have tested nothing, and nothing else has failed."""
        counts, cls._counts = cls._counts, Counter()
        if cls._told or not counts["scenarios"] or counts["checked"]:
            return
        if not counts["refused"]:
            raise AssertionError("nothing was checked: the capabilities of the implementation name too little")
        refused = counted(counts["refused"], "operation")
        raise AssertionError(f"nothing was checked: {refused} refused; the first: {cls._refusal}")

    def _count(self) -> None:
        kind, lockstep = type(self), self._lockstep
        kind._counts["scenarios"] += 1
        kind._counts["checked"] += sum(not isinstance(step.operation, Disk) for step in lockstep.steps)
        kind._counts["refused"] += len(lockstep.refused)
        for operation, reason in lockstep.refused[:1]:
            kind._refusal = kind._refusal or shortened(f"{print_operation(operation)}: {reason}")

    def __init__(self) -> None:
        super().__init__()
        self._made = self._supplied()
        self._found: DivergenceReport | None = None
        self._has_told = False
        self._drawn = False
        try:
            self._lockstep = self._made.fresh()
            self.scenario = Scenario(self._lockstep, self._disagreed)
        except VerdictError as disagreement:
            self._disagreed(disagreement)

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Creates the disks, and the origin on one of them."""
        if self._found is None:
            self.scenario.begin(_drawing(data))
        self._tell()

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """Makes a random move of a user."""
        if not self.scenario.over:
            self.scenario.move(_drawing(data))
        self._tell()

    def teardown(self) -> None:
        """Compares everything once more, and resets: a failed reset counts for this scenario."""
        if not hasattr(self, "scenario"):
            return
        self.scenario.end()
        self._count()
        if not self.scenario.over and self._found is None:
            self._reset()
        self._tell()

    def _reset(self) -> None:
        if not self._made.can_reset:
            return
        try:
            self._made.fresh()
        except VerdictError as disagreement:
            trace = (*self.scenario.lockstep.steps, *disagreement.trace)
            self._disagreed(VerdictError(trace, disagreement.verdict))

    def _tell(self) -> None:
        """Raises the divergence that was found; it is raised here, so that the traceback shows nothing else.

        A divergence is raised again when Hypothesis repeats the same operations, even if it does not occur this time.
        """
        __tracebackhide__ = True
        found, self._found = self._found or self._told_before(), None
        if found is not None and not self._has_told:
            self._has_told = True
            raise DivergenceError(found, ("replay", self._replay(found)))

    def _told_before(self) -> DivergenceReport | None:
        if not self._told:
            return None
        played = _operations(self.scenario.lockstep.steps)
        return next((found for key, found in self._told.items() if played[: len(key)] == key), None)

    def _disagreed(self, disagreement: VerdictError) -> None:
        trace, verdict = disagreement.trace, disagreement.verdict
        if isinstance(trace[-1].outcome, Died):
            self._made.renew()
        if not isinstance(verdict, Divergence):
            return
        if (found := unexplained(disagreement, explained(trace, MAINLINE))) is None:
            return
        self._drawn = any(choices_of(step) for step in trace)
        key = _operations(trace)
        if key not in self._told:  # Hypothesis plays what fails a second time
            end = time.monotonic() + _SHRINK_SECONDS
            smaller = partial(shrink, over=lambda: time.monotonic() >= end)
            self._told[key] = shrunk(found, self._made.again, smaller)
        follow(self._made.implementation, None)  # from the next scenario on
        self._found = self._told[key]

    def _replay(self, found: DivergenceReport) -> str:
        operations = "\n".join(_operations(found.trace))
        arguments = f"{operations!r}, {type(self).__name__}.implementation"
        if self._drawn:
            arguments += f", schedule={[choices_of(step) for step in found.trace]}"
        return f"snapmerge_specs.assert_agrees({arguments})"


def _operations(trace: Iterable[Step]) -> tuple[str, ...]:
    return tuple(print_operation(step.operation) for step in trace)


def _supply(make: Callable[[], Implementation]) -> Supply:
    """A supply of implementations.  Raises TypeError if ``make`` returns the same object again, without ``reset``."""
    supply = Supply(make)
    if not supply.can_reset:
        first = supply.implementation
        supply.renew()
        if supply.implementation is first:
            raise TypeError("an implementation without reset is made anew for each scenario, not given again")
    return supply


def _drawing(data: st.DataObject) -> Callable[[int, int], int]:
    return lambda least, most: data.draw(st.integers(least, most))
