"""Scenarios for a merge of 2009: random moves of a user, drawn by the predicted world.

They have an origin, a snapshot to merge, another that must not change, and events that disturb a merge: suspended
devices, failing disks, other writers, another merge, power cuts.
"""

from collections.abc import Sequence

import snapmerge as sm
from snapmerge import Sector, Sectors
from snapmerge_specs.generations.generation import Draw
from snapmerge_specs.scenarios.driver import Predicted, pick

__all__ = ["ConceptScenario"]


class ConceptScenario(Predicted):
    """The moves of a scenario.  Each draws its choices with ``draw``."""

    def begin(self, draw: Draw) -> None:
        """Creates the disks, the origin and its snapshots."""
        self.chunk_size = chunk = 1 + draw(0, 1)
        self.size = size = chunk * draw(1, 4) + draw(0, chunk - 1)
        self.kind = pick(draw, ("P", "P", "P", "P", "PO", "N"))
        room = pick(draw, (1, 12, 12, 12))
        whole = size + draw(0, 1) * chunk
        self.do(sm.Disk("base", Sectors(whole)))
        self.do(sm.Disk("cow", Sectors((2 + room) * chunk)))
        self.do(sm.Disk("other", Sectors(20 * chunk)))
        self.do(sm.Write("base", Sector(0), Sectors(whole), self.tags(whole)))
        self.do(sm.Create("origin", f"0 {size} snapshot-origin base"))
        self.do(sm.Create("snap", f"0 {size} snapshot base cow {self.kind} {chunk}"))
        self.do(sm.Create("beside", f"0 {size} snapshot base other P {chunk}"))
        if draw(0, 1) == 0:
            self.do(sm.Disk("copy", Sectors(size)))
            self.do(sm.Create("window", f"0 {size} linear copy 0"))
        self.do(sm.Suspend("origin"))
        self.do(sm.Resume("origin"))
        for _ in range(draw(0, 5)):
            self.write(draw, ["snap", "origin"])
        self.do(sm.Flush("snap"))
        if whole > size and draw(0, 1):
            self.do(sm.Write("base", Sector(size), Sectors(whole - size), self.tags(whole - size)))

    def move(self, draw: Draw) -> None:
        """Makes any move."""
        moves = [self.merge] * 3 + [self.io] * 4 + [self.hold, self.let_go, self.let_go, self.stop, self.go_on]
        moves += [self.wait, self.look, self.again, self.crash, self.fail, self.end_merge, self.second, self.shrink]
        moves += [self.message, self.interrupt, self.interrupt, self.interrupt]
        pick(draw, moves)(draw)

    def write(self, draw: Draw, devices: Sequence[str]) -> None:
        """Writes up to two chunks' worth of sectors."""
        sector = draw(0, self.size - 1)
        count = min(draw(1, 2 * self.chunk_size), self.size - sector)
        self.do(sm.Write(pick(draw, devices), Sector(sector), Sectors(count), self.tags(count)))

    def io(self, draw: Draw) -> None:
        """Writes, reads or flushes a device."""
        device = pick(draw, ("merge", "merge", "snap", "origin", "beside"))
        if device not in self.devices:
            device = "origin"
        match draw(0, 4):
            case 0:
                self.do(sm.Read(device, Sector(0), Sectors(self.size)))
            case 1:
                self.do(sm.Flush(device))
            case _:
                self.write(draw, [device])

    def merge(self, draw: Draw) -> None:
        """Creates the merge; mostly suspends the snapshot before, which is the proper way."""
        if "merge" in self.devices:
            return
        if draw(0, 4) == 0:
            self.fail(draw)
        if draw(0, 5):
            self.do(sm.Suspend("snap"))
        self.do(sm.Create("merge", self._merge_table(draw, "cow", self._destination(draw))))

    def interrupt(self, draw: Draw) -> None:
        """Suspends the destination while the merge begins, makes another move, and resumes both."""
        if "merge" in self.devices:
            return
        destination = "window" if "window" in self.devices else "origin"
        self.do(sm.Suspend("snap"))
        self.do(sm.Suspend(destination))
        self.do(sm.Create("merge", self._merge_table(draw, "cow", destination)))
        moves = [self.stop, self.again, self.end_merge, self.io, self.crash]
        pick(draw, [*moves, *[self.shrink] * 5 * (destination == "window")])(draw)
        self.do(sm.Resume(destination))
        self.go_on(draw)

    def _destination(self, draw: Draw) -> str:
        return pick(draw, ["origin", "origin", "origin", "base", *["window"] * 2 * ("window" in self.devices)])

    def _merge_table(self, draw: Draw, cow: str, destination: str) -> str:
        chunk = self.chunk_size if draw(0, 4) else pick(draw, (1, 2))
        args = f"{destination} {cow} {self.kind} {chunk}"
        start = draw(1, self.size)
        if draw(0, 3) or start == self.size or destination == "base":
            return f"0 {self.size} snapshot-merge {args}"
        return f"0 {start} linear {destination} 0; {start} {self.size - start} snapshot-merge {args}"

    def second(self, draw: Draw) -> None:
        """Creates a merge of the other snapshot as well."""
        if "merge2" not in self.devices:
            self.do(sm.Suspend("beside"))
            self.do(
                sm.Create("merge2", self._merge_table(draw, "other", self._destination(draw)).replace(" N ", " P "))
            )

    def hold(self, draw: Draw) -> None:
        """Suspends a device, which then holds back the merge's I/O to it."""
        self.do(sm.Suspend(pick(draw, ("origin", "origin", "window", "snap"))))

    def let_go(self, draw: Draw) -> None:
        """Resumes such a device."""
        self.do(sm.Resume(pick(draw, ("origin", "origin", "window", "snap"))))

    def stop(self, _draw: Draw) -> None:
        """Suspends the merge."""
        self.do(sm.Suspend("merge"))

    def go_on(self, _draw: Draw) -> None:
        """Resumes the merge."""
        self.do(sm.Resume("merge"))

    def again(self, _draw: Draw) -> None:
        """Reloads the merge's table."""
        if "merge" in self.live:
            table = self.table_of("merge")
            self.do(sm.Suspend("merge"))
            self.do(sm.Load("merge", table))
            self.do(sm.Resume("merge"))

    def end_merge(self, _draw: Draw) -> None:
        """Removes the merge."""
        self.do(sm.Settle("merge"))
        self.do(sm.Remove("merge"))

    def wait(self, draw: Draw) -> None:
        """Waits for the end of the merge, or of an operation that was started."""
        if self.pending_keys and draw(0, 1):
            self._do(sm.Finish(pick(draw, self.pending_keys)))
        else:
            self.do(sm.Settle("merge"))

    def look(self, draw: Draw) -> None:
        """Reads a device's status, table and events."""
        device = pick(draw, ("merge", "merge", "origin", "snap"))
        for operation in (sm.Status(device), sm.Table(device), sm.Events(device)):
            self.do(operation)

    def message(self, draw: Draw) -> None:
        """Sends a message that asks for an exception, or an unknown one."""
        text = pick(draw, ("lookup 0", "lookup 1", "lookup x", "hello"))
        self.do(sm.Message(pick(draw, ("snap", "merge", "origin")), text))

    def crash(self, _draw: Draw) -> None:
        """Cuts the power during a merge, and recreates the devices."""
        if "merge" not in self.live:
            return
        tables = {name: self.table_of(name) for name in ("origin", "window", "merge") if name in self.live}
        self.do(sm.Crash())
        for name, table in tables.items():
            self.do(sm.Create(name, table))

    def fail(self, draw: Draw) -> None:
        """Sets a fault of a disk, or heals it."""
        disk = pick(draw, ("base", "cow"))
        if draw(0, 2) == 0:
            self.do(sm.Heal(disk))
            return
        used = self.size if disk == "base" else min(6 * self.chunk_size, self.world.disks[disk].size)
        kinds: tuple[sm.FaultKind, ...] = ("read", "write", "flush")
        self.do(sm.Fault(disk, pick(draw, kinds), Sector(draw(0, used - 1)), Sectors(1)))

    def shrink(self, _draw: Draw) -> None:
        """Shortens the device ``window``, which may be a merge's destination."""
        if "window" in self.devices:
            self.do(sm.Suspend("window"))
            self.do(sm.Load("window", "0 1 linear copy 0"))
            self.do(sm.Resume("window"))

    def end(self) -> None:
        """Resumes every device, finishes everything that was started, and reads every device."""
        for device in ("window", "origin", "merge", "merge2", "snap", "beside"):
            self.do(sm.Resume(device))
        for key in self.pending_keys:
            self._do(sm.Finish(key))
        for device in ("merge", "merge2"):
            if device in self.devices:
                self.do(sm.Settle(device))
                self.do(sm.Status(device))
                self.do(sm.Events(device))
        for device in self.devices:
            self.do(sm.Read(device, Sector(0), Sectors(self.size)))
        self.do(sm.Metadata("cow"))
