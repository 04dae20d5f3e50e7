"""The stateful machine: Hypothesis chooses a user's moves, and an implementation follows the oracle in lockstep."""

from collections.abc import Callable
from typing import ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

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
        self.scenario = self.make_scenario()

    def make_scenario(self) -> Scenario:
        """A new scenario; called once a run."""
        return Scenario(Lockstep(type(self).implementation()))

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Makes the disks, and the origin on one of them."""
        self.scenario.begin(data.draw)

    @precondition(lambda self: bool(self.scenario.live))
    @rule(data=st.data())
    def io(self, data: st.DataObject) -> None:
        """Writes, reads, flushes or discards on a device."""
        self.scenario.io(data.draw)

    @precondition(lambda self: bool(self.scenario.live))
    @rule(data=st.data())
    def more_io(self, data: st.DataObject) -> None:
        """As ``io``: most of what users do is I/O."""
        self.scenario.io(data.draw)

    @precondition(lambda self: bool(self.scenario.live))
    @rule(data=st.data())
    def much_io(self, data: st.DataObject) -> None:
        """As ``io``: most of what users do is I/O."""
        self.scenario.io(data.draw)

    @precondition(lambda self: bool(self.scenario.free))
    @rule(data=st.data())
    def take(self, data: st.DataObject) -> None:
        """Takes a snapshot, with the origin suspended for it, as one should; or without."""
        self.scenario.take(data.draw)

    @precondition(lambda self: bool(self.scenario.taken))
    @rule(data=st.data())
    def merge(self, data: st.DataObject) -> None:
        """Hands a snapshot over to a merge on the origin's device; now and then a step is left out."""
        self.scenario.merge(data.draw)

    @rule(data=st.data())
    def control(self, data: st.DataObject) -> None:
        """Changes what a device is, or whether it runs."""
        self.scenario.control(data.draw)

    @precondition(lambda self: bool(self.scenario.devices))
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """Compares everything that can be seen of one device."""
        self.scenario.look(data.draw)

    @precondition(lambda self: bool(self.scenario.suspended or self.scenario.pending_keys))
    @rule(data=st.data())
    def wait(self, data: st.DataObject) -> None:
        """Begins I/O that will wait, or asks what has become of it."""
        self.scenario.wait(data.draw)

    @rule(data=st.data())
    def disturb(self, data: st.DataObject) -> None:
        """Does what is rare: nonsense, a reboot, writing behind a device's back, a fault, a power cut."""
        self.scenario.disturb(data.draw)

    def teardown(self) -> None:
        """Compares everything once more."""
        self.scenario.end()
