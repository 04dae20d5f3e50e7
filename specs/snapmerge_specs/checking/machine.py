"""The stateful machine: Hypothesis chooses a user's moves, and an implementation follows the oracle in lockstep."""

from collections.abc import Callable
from typing import ClassVar, Final

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from snapmerge import Died, Divergence, Implementation, Step, print_operation
from snapmerge_specs.checking.replay import again, explained, shrunk
from snapmerge_specs.lockstep.lockstep import Lockstep, VerdictError
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
"""The machine shrinks and tells by itself, which Hypothesis would do for minutes and in its own words."""


class LockstepMachine(RuleBasedStateMachine):
    """Subclass it, give ``implementation``, and run it: ``TestMine = Mine.TestCase``, or ``run_state_machine_as_test``.

    ``implementation`` is called once a scenario and may give the same object each time: a scenario begins with
    ``reset``.  What diverges is shrunk as by ``check``; the message of the DivergenceError is the report.
    Known findings end a scenario, and so does what can't be decided; neither is an error.

    With settings of your own, derive them: ``settings(Mine.TestCase.settings, max_examples=500)``.
    """

    implementation: ClassVar[Callable[[], Implementation]]
    _told: ClassVar[dict[tuple[str, ...], DivergenceReport]] = {}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._told = {}
        cls.TestCase.settings = _SETTINGS

    def __init__(self) -> None:
        super().__init__()
        self._implementation = type(self).implementation()
        self.scenario = Scenario(Lockstep(self._implementation), self._disagreed)
        self._found: DivergenceReport | None = None
        self._drawn = False

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Makes the disks, and the origin on one of them."""
        self.scenario.begin(_drawing(data))
        self._tell()

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """Does what a user might do next."""
        if not self.scenario.over:
            self.scenario.move(_drawing(data))
        self._tell()

    def teardown(self) -> None:
        """Compares everything once more."""
        self.scenario.end()
        self._tell()

    def _tell(self) -> None:
        """Raises what was found, here, where a traceback has nothing else in it."""
        __tracebackhide__ = True
        if (found := self._found) is not None:
            self._found = None
            raise DivergenceError(found, ("replay", self._replay(found)))

    def _disagreed(self, disagreement: VerdictError) -> None:
        trace, verdict = disagreement.trace, disagreement.verdict
        if isinstance(trace[-1].outcome, Died):
            self._renew()
        if not isinstance(verdict, Divergence) or explained(trace, self.scenario.lockstep.rules) is not None:
            return
        self._drawn = any(choices_of(step) for step in trace)
        key = tuple(print_operation(step.operation) for step in trace)
        if key not in self._told:  # Hypothesis plays what fails a second time
            self._told[key] = shrunk(trace, verdict, self._again)
        self._found = self._told[key]

    def _again(self, steps: tuple[Step, ...]) -> VerdictError | None:
        follow(self._implementation, steps)
        try:
            lockstep = Lockstep(self._implementation, self.scenario.lockstep.rules)
        except VerdictError:
            self._renew()
            return None
        finally:
            follow(self._implementation, None)  # from the next scenario on
        return again(steps, lockstep, self._renew)

    def _renew(self) -> None:
        self._implementation.close()
        self._implementation = type(self).implementation()

    def _replay(self, found: DivergenceReport) -> str:
        operations = "\n".join(print_operation(step.operation) for step in found.trace)
        arguments = f"{operations!r}, {type(self).__name__}.implementation()"
        if self._drawn:
            arguments += f", schedule={[choices_of(step) for step in found.trace]}"
        return f"snapmerge_specs.assert_agrees({arguments})"


def _drawing(data: st.DataObject) -> Callable[[int, int], int]:
    return lambda least, most: data.draw(st.integers(least, most))
