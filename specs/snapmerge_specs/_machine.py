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

    ``implementation`` is called once a scenario and may give the same object each time: a scenario begins with ``reset``.
    """

    implementation: ClassVar[Callable[[], Implementation]]

    def __init__(self) -> None:
        super().__init__()
        self.scenario = Scenario(Lockstep(type(self).implementation()))

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

    @precondition(lambda self: bool(self.scenario.free))
    @rule(data=st.data())
    def merge_directly(self, data: st.DataObject) -> None:
        """Loads a merge on the origin's device for a store that no snapshot has, as after a reboot."""
        self.scenario.merge_directly(data.draw)

    @rule(data=st.data())
    def restore(self, data: st.DataObject) -> None:
        """Puts the plain origin back in place of a merge."""
        self.scenario.restore(data.draw)

    @precondition(lambda self: bool(self.scenario.live))
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """Waits for a device's merge."""
        self.scenario.settle(data.draw)

    @precondition(lambda self: bool(self.scenario.devices))
    @rule(data=st.data())
    def switch(self, data: st.DataObject) -> None:
        """Suspends, resumes or removes a device."""
        self.scenario.switch(data.draw)

    @rule(data=st.data())
    def wake(self, data: st.DataObject) -> None:
        """Resumes whatever is suspended, lower devices first."""
        self.scenario.wake(data.draw)

    @precondition(lambda self: bool(self.scenario.devices))
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """Compares everything that can be seen of one device."""
        self.scenario.look(data.draw)

    @rule(data=st.data())
    def around(self, data: st.DataObject) -> None:
        """Reads or writes a disk behind the back of what is mapped on it; looks at a store."""
        self.scenario.around(data.draw)

    @rule(data=st.data())
    def nonsense(self, data: st.DataObject) -> None:
        """Loads a table that is refused, or sends a message that nobody takes."""
        self.scenario.nonsense(data.draw)

    @precondition(lambda self: bool(self.scenario.devices))
    @rule(data=st.data())
    def reboot(self, data: st.DataObject) -> None:
        """Removes every device, those on top first; the disks stay as they are."""
        self.scenario.reboot(data.draw)

    @precondition(lambda self: "crash" in self.scenario.can.operations)
    @rule(data=st.data())
    def crash(self, data: st.DataObject) -> None:
        """Cuts the power, and looks at what is left."""
        self.scenario.crash(data.draw)

    @precondition(lambda self: bool(self.scenario.can.faults))
    @rule(data=st.data())
    def fault(self, data: st.DataObject) -> None:
        """Lets a disk fail somewhere."""
        self.scenario.fault(data.draw)

    @precondition(lambda self: bool(self.scenario.can.faults))
    @rule(data=st.data())
    def heal(self, data: st.DataObject) -> None:
        """Heals every disk."""
        self.scenario.heal(data.draw)

    @precondition(lambda self: bool(self.scenario.suspended))
    @rule(data=st.data())
    def begin_io(self, data: st.DataObject) -> None:
        """Starts a write or a read on a suspended device, where it will wait."""
        self.scenario.begin_io(data.draw)

    @precondition(lambda self: bool(self.scenario.pending_keys))
    @rule(data=st.data())
    def finish(self, data: st.DataObject) -> None:
        """Asks for the outcome of something that was started."""
        self.scenario.finish(data.draw)

    def teardown(self) -> None:
        """Compares everything once more, unless the scenario ended in a disagreement."""
        if self.scenario.agreed:
            self.scenario.end()
