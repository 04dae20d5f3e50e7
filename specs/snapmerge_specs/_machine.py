"""The stateful machine: Hypothesis chooses a user's moves, and an implementation follows the oracle in lockstep."""

from collections.abc import Callable
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from snapmerge import Implementation

from ._lockstep import Lockstep
from ._scenario import Scenario

__all__ = ["LockstepMachine"]


class LockstepMachine(RuleBasedStateMachine):
    """Subclass it, give ``implementation``, and run it: ``LockstepMachine.TestCase``, or ``run_state_machine_as_test``.

    ``implementation`` is called once a scenario and may give the same object each time: a scenario begins with
    ``reset``.
    """

    implementation: ClassVar[Callable[[], Implementation]]

    def __init__(self) -> None:
        super().__init__()
        self.scenario = Scenario(Lockstep(type(self).implementation()))

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Makes the disks, and the origin on one of them."""
        self.scenario.begin(_drawing(data))

    @rule(data=st.data())
    def move(self, data: st.DataObject) -> None:
        """Does what a user might do next."""
        self.scenario.move(_drawing(data))

    def teardown(self) -> None:
        """Compares everything once more."""
        self.scenario.end()


def _drawing(data: st.DataObject) -> Callable[[int, int], int]:
    return lambda least, most: data.draw(st.integers(least, most))
