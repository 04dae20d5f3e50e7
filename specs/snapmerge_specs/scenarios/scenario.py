"""The moves of a scenario: the strategies of the stateful test.

Each method of ``Scenario`` is one move of a user: one operation, or a few that belong together.  It draws operations
that are valid in the predicted world (``Predicted``), so that few are wasted; the oracle judges their outcomes.
"""

import snapmerge as sm
from snapmerge import Sector, Sectors
from snapmerge_specs.generations.generation import Draw
from snapmerge_specs.lockstep.capabilities import FAULTS
from snapmerge_specs.scenarios.driver import pick
from snapmerge_specs.scenarios.layout import BARE, cow_name, draw_layout, snapshot_name
from snapmerge_specs.scenarios.parking import Parking
from snapmerge_specs.scenarios.shapes import overlap

__all__ = ["Scenario"]


class Scenario(Parking):
    """The moves of a scenario.  Each draws its choices with ``draw``."""

    def move(self, draw: Draw) -> None:
        """Any move that is possible now; most of them are I/O."""
        moves = [self.control, self.disturb]
        moves += [self.io, self.io, self.io] * bool(self.live) + [self.take] * bool(self.free)
        moves += [self.merge, self.merge] * bool(self.taken) + [self.look] * bool(self.devices)
        moves += [self.wait] * bool(self.suspended or self.pending_keys)
        moves += [self.overlap, self.overlap] * bool("start" in self.can.operations and self.running)
        moves += [self.fill, self.fill] * bool(self._fillable) + [self.reuse] * bool(self._kept)
        moves += [self.shuffle] * bool(self.taken)
        moves += [self.park] * bool(self.parkable) + [self.drop] * bool(self.devices)
        pick(draw, moves)(draw)

    def begin(self, draw: Draw) -> None:
        """Draws the layout, creates the disks and the origin, and fills the origin."""
        self.layout = draw_layout(draw, self.can)
        layout = self.layout
        self.do(sm.Disk("base", Sectors(layout.disk)))
        for i, cow in enumerate(layout.cows):
            self.do(sm.Disk(cow_name(i), Sectors(cow.size)))
            if cow.size > cow.chunk_size and draw(0, 3) == 0:  # old contents, without a header
                left = Sectors(cow.size - cow.chunk_size)
                self.do(sm.Write(cow_name(i), Sector(cow.chunk_size), left, self.tags(left)))
        self.do(sm.Write("base", Sector(0), Sectors(layout.disk), self.tags(layout.disk)))
        self._make_under()
        self.do(sm.Create("origin", layout.origin_table))
        for _ in range(draw(0, 2)):
            if self.free:
                self.take(draw)

    def _make_under(self) -> None:
        """Creates the devices below the origin and the snapshots."""
        for name, table in self.layout.under.items():
            self.do(sm.Create(name, table))

    def io(self, draw: Draw) -> None:
        """Writes, reads, flushes or discards on a device."""
        device = pick(draw, self.live)
        kinds = ["write", "write", "write", "read", "read", "flush"] + ["discard"] * 4 * self._discards(device)
        kind = pick(draw, kinds)
        if kind == "flush":
            self.do(sm.Flush(device))
            return
        sector, count = self._range(draw, self.size_of(device))
        match kind:
            case "write":
                self.do(sm.Write(device, sector, count, self.tags(count)))
            case "read":
                self.do(sm.Read(device, sector, count))
            case _:
                self.do(sm.Discard(device, sector, Sectors(min(count, 2 * max(self.layout.chunk_sizes)))))

    def _discards(self, device: str) -> bool:
        """Whether discards are worth trying on the device: it has the feature that snapshots need for them."""
        lines = [self.stack.targets[id].line for id in self.stack.devices[device].live]
        return any("discard_zeroes_cow" in line.args for line in lines)

    def _range(self, draw: Draw, size: int) -> tuple[Sector, Sectors]:
        """Some sectors: often a whole chunk, sometimes many, sometimes anything."""
        chunk = pick(draw, self.layout.chunk_sizes)
        shape = draw(0, 9)
        if shape == 0:
            sector = draw(0, min(size - 1, chunk))
            return Sector(sector), Sectors(size - sector)
        if shape < 6:
            sector = min(chunk * draw(0, max(0, (size - 1) // chunk)), size - 1)
            return Sector(sector), Sectors(min(chunk, size - sector))
        sector = draw(0, size - 1)
        return Sector(sector), Sectors(draw(1, min(size - sector, 3 * chunk, 64)))

    def take(self, draw: Draw) -> None:
        """Takes a snapshot, with the origin suspended for it, as one should; or without."""
        i = pick(draw, self.free)
        proper = "origin" in self.live and draw(0, 4) > 0
        if proper:
            self.do(sm.Suspend("origin"))
        self.do(sm.Create(snapshot_name(i), self.layout.snapshot_table(draw, i)))
        if proper:
            self.do(sm.Resume("origin"))

    def prepare(self, draw: Draw) -> None:
        """Constructs a snapshot, and writes to the origin before it is resumed."""
        name = snapshot_name(i := pick(draw, self.free))
        self.do(sm.Create(name))
        self.do(sm.Load(name, self.layout.snapshot_table(draw, i)))
        for _ in range(draw(1, 3)):
            self.io(draw) if self.live else None
        self.do(sm.Resume(name))

    def merge(self, draw: Draw) -> None:
        """Hands a snapshot over to a merge on the origin's device; now and then a step is left out."""
        i = pick(draw, self.taken)
        if not {"load", "suspend", "resume"} <= self.can.operations:
            self._merge_offline(draw, i)
            return
        careless = draw(0, 9)
        if "origin" not in self.devices:
            self.do(sm.Create("origin"))
        races = self._write_before(draw, i)
        if draw(0, 2) == 0:
            self.take(draw) if self.free and len(self.taken) == 1 else None
            self._crowd(draw, i)
        if careless != 1:
            self.do(sm.Suspend("origin"))
        if careless != 2:
            self.do(sm.Suspend(snapshot_name(i)))
        self.do(sm.Load("origin", self.layout.merge_table(draw, i)))
        parked = bool(self.empty_targets) and draw(0, 2) == 0
        if parked:
            self.do(sm.Load(snapshot_name(i), self._empty_table(draw, snapshot_name(i))))
        if careless == 3:
            self.do(sm.Remove(snapshot_name(i)))
        if careless == 4:
            self.do(sm.Clear("origin"))
        if self.layout.faults:
            self._sabotage(draw, i)
        early = self._begin_in_run(draw, i) if not races and draw(0, 2) == 0 and "origin" in self.live else None
        self._join(draw) if self.free and draw(0, 2) == 0 else self.do(sm.Resume("origin"))
        if parked:
            self.do(sm.Resume(snapshot_name(i)))
        self._hurry(draw, i, early)
        if self.layout.faults:
            self._try_again(draw)

    def park(self, draw: Draw) -> None:
        """Parks a device on ``zero`` or ``error``, with moves in between."""
        self.park_beside(draw, self._beside)

    def drop(self, draw: Draw) -> None:
        """Loads a table that is never used."""
        self.drop_beside(draw, self._beside)

    def _beside(self, draw: Draw) -> None:
        """One move between the steps that change a device's table."""
        moves = [self.switch, self.wake] + [self.look] * bool(self.devices) + [self.io] * 4 * bool(self.live)
        moves += [self.take, self.prepare] * bool(self.free) + [self.merge] * bool(self.taken)
        pick(draw, moves)(draw)

    def _join(self, draw: Draw) -> None:
        """Begins a merge and takes a snapshot before it has ended; sometimes the device below holds the merge back."""
        held = self.layout.gated and draw(0, 3) > 0
        if held:
            self.do(sm.Suspend("lower"))
        self.do(sm.Resume("origin"))
        self.take(draw)
        if held:
            self.do(sm.Resume("lower"))

    def _merge_offline(self, draw: Draw, i: int) -> None:
        """Merges a store that no snapshot uses any more; sometimes again after a power cut."""
        self._close(draw, i)
        if self.layout.faults:
            self._sabotage(draw, i)
        table = self.layout.merge_table(draw, i)
        self.do(sm.Create("origin", table))
        self._hurry(draw, i, None)
        self.heal(draw)
        self._open_again(draw, table)

    def _hurry(self, draw: Draw, i: int, early: int | None) -> None:
        """Uses a merge that has just begun: starts I/O, reads the status, and finishes I/O that was started before."""
        late = self._begin_in_run(draw, i) if early is None and draw(0, 9) and "origin" in self.running else None
        if look := draw(0, 2):
            self.do(sm.Status("origin") if look == 1 else sm.Settle("origin"))
        for key in [key for key in (early, late) if key in self.pending_keys and key is not None]:
            begun = self._predicted.tasks[key].operation
            self.finish_key(key)
            if isinstance(begun, sm.Write):
                self.do(sm.Read("origin", begun.sector, begun.count))
        if self.layout.crashes and draw(0, 1):
            self.crash(draw)

    def _begin_in_run(self, draw: Draw, i: int) -> int | None:
        """Starts a write to a chunk that the merge of snapshot ``i`` may copy late."""
        sector, count = pick(draw, self._scattered(self.size_of("origin"), i)[:2])
        count = Sectors(min(count, *self.layout.chunk_sizes))  # one piece
        return self._started(sm.Write("origin", sector, count, self.tags(count)))

    def overlap(self, draw: Draw) -> None:
        """Starts I/O, and makes another move before its outcome is asked for: mostly I/O to the same sectors."""
        device = pick(draw, self.running)
        sector, count = self._range(draw, self.size_of(device))
        count = Sectors(min(count, *self.layout.chunk_sizes))
        key = self._begin(draw, device, (sector, count))
        others = [name for name in self.running if name != device]
        if others and draw(0, 3):
            self._touch(draw, pick(draw, others), sector, count)
        else:
            pick(draw, [self.settle, self.switch, self.io] + [self.crash] * self.layout.crashes)(draw)
        if key in self.pending_keys:
            self.finish_key(key)

    def _begin(self, draw: Draw, device: str, where: tuple[Sector, Sectors] | None = None) -> int | None:
        """Starts a write or a read; returns its key, or None if it was not started."""
        sector, count = where or self._range(draw, self.size_of(device))
        count = Sectors(min(count, 2 * min(self.layout.chunk_sizes)))  # the fewer its pieces, the fewer their orders
        if draw(0, 1):
            return self._started(sm.Write(device, sector, count, self.tags(count)))
        return self._started(sm.Read(device, sector, count))

    def _started(self, io: sm.Write | sm.Read) -> int | None:
        """Starts the I/O; returns its key, or None if it was not started."""
        if any(overlap(io.sector, io.count, task.operation) for task in self._predicted.tasks.values()):
            return None  # either of two overlapping writes may be the last, which makes the oracle's search long
        before = self.pending_keys
        self.start(io)
        return next(iter(set(self.pending_keys) - set(before)), None)

    def _sabotage(self, draw: Draw, i: int) -> None:
        """Sets a fault that fails a merge of snapshot ``i``: in its copy, its flush, or the store's metadata."""
        cow, name = self.layout.cows[i], cow_name(i)
        area, data = Sector(cow.chunk_size), Sector(2 * cow.chunk_size)
        rest = Sectors(cow.size - data)
        clear = sm.Fault(name, "write", area, Sectors(cow.chunk_size))
        fetch = sm.Fault(name, "read", area, Sectors(cow.chunk_size))
        faults = (
            clear,
            clear,
            fetch,
            fetch,
            sm.Fault("base", "write", Sector(0), Sectors(self.layout.size)),
            sm.Fault(name, "read", data, rest),
            sm.Fault("base", "flush", Sector(0), Sectors(1)),
        )
        fault = pick(draw, faults)
        if fault.kind in self.can.faults:
            self.do(fault)

    def _try_again(self, draw: Draw) -> None:
        """Asks whether the merge has failed, heals the disks, and mostly restarts it."""
        self.do(sm.Settle("origin"))
        self.do(sm.Status("origin"))
        self.heal(draw)
        if draw(0, 3):
            self.do(sm.Suspend("origin"))
            self.do(sm.Resume("origin"))

    def merge_directly(self, draw: Draw) -> None:
        """Loads a merge on the origin's device for a store that no snapshot uses, as after a reboot."""
        i = pick(draw, self.free)
        if "origin" not in self.devices:
            self.do(sm.Create("origin", self.layout.merge_table(draw, i)))
        else:
            self.do(sm.Load("origin", self.layout.merge_table(draw, i)))
            self.do(sm.Resume("origin"))

    def restore(self, draw: Draw) -> None:
        """Replaces a merge by the origin."""
        _ = draw
        if "origin" in self.devices:
            self.do(sm.Load("origin", self.layout.origin_table))
            self.do(sm.Resume("origin"))
        else:
            self.do(sm.Create("origin", self.layout.origin_table))

    def control(self, draw: Draw) -> None:
        """Changes a device's table, or suspends, resumes or removes a device."""
        moves = [self.switch, self.wake, self.settle, self.restore] + [self.prepare] * bool(self.free)
        if self.free:
            moves.append(self.merge_directly)
        pick(draw, moves)(draw)

    def disturb(self, draw: Draw) -> None:
        """Makes a rare move: a refused table, a reboot, I/O around the mapping, a fault, or a power cut."""
        moves = [self.around, self.nonsense, self.reboot]
        moves += [self.crash] * self.layout.crashes + [self.fault, self.fault, self.heal] * self.layout.faults
        pick(draw, moves)(draw)

    def wait(self, draw: Draw) -> None:
        """Starts I/O that will wait, or asks for its outcome."""
        moves = [self.begin_io] * bool(self.suspended) + [self.finish] * bool(self.pending_keys)
        pick(draw, moves)(draw)

    def settle(self, draw: Draw) -> None:
        """Waits for a device's merge."""
        if self.live:
            self.do(sm.Settle(pick(draw, self.live)))

    def switch(self, draw: Draw) -> None:
        """Suspends, resumes or removes a device."""
        device = pick(draw, self.devices or ["origin"])
        match pick(draw, ["suspend", "suspend", "resume", "resume", "remove"]):
            case "suspend":
                self.do(sm.Suspend(device, noflush=bool(draw(0, 1))))
            case "resume":
                self.do(sm.Resume(device))
            case _:
                self.do(sm.Remove(device))

    def wake(self, draw: Draw) -> None:
        """Resumes whatever is suspended, lower devices first."""
        _ = draw
        for device in (*self.layout.under, *self.devices):
            if device in self.devices and self.stack.devices[device].suspended:
                self.do(sm.Resume(device))

    def look(self, draw: Draw) -> None:
        """Compares everything visible of one device."""
        self.see(pick(draw, self.devices))

    def around(self, draw: Draw) -> None:
        """Reads, writes or flushes a disk around the mapping, or reads a store."""
        i = draw(0, len(self.layout.cows))
        name, size = ("base", self.layout.disk) if i == 0 else (cow_name(i - 1), self.layout.cows[i - 1].size)
        sector, count = self._range(draw, size)
        kind = pick(draw, ["read", "read", "write", "metadata", "flush"])
        if kind == "write":
            self.do(sm.Write(name, sector, count, 0 if draw(0, 1) else self.tags(count)))
        elif kind == "flush":
            self.do(sm.Flush(name))
        elif kind == "metadata" and i:
            self.do(sm.Metadata(name))
        else:
            self.do(sm.Read(name, sector, count))

    def nonsense(self, draw: Draw) -> None:
        """Loads a table that is refused, or sends a message that no target accepts."""
        device = pick(draw, [name for name in self.devices if name != BARE] or ["origin"])
        if draw(0, 5) == 0:
            self.do(sm.Message(device, "lookup 0"))
            return
        table = self.layout.bad_table(draw)
        if BARE in table.split() and draw(0, 3):
            self.do(sm.Create(BARE))  # without that device the table is refused with another errno
        self.do(sm.Load(device, table))

    def reboot(self, draw: Draw) -> None:
        """Removes every device, the upper ones first; the disks keep their contents."""
        _ = draw
        self.wake(draw)
        for device in [*self.devices, *self.devices]:
            self.do(sm.Remove(device))
        self._make_under()

    def crash(self, draw: Draw) -> None:
        """Cuts the power, sometimes right after a write to the whole origin, and compares the disks."""
        if "origin" in self.running and draw(0, 2) == 0:
            size = Sectors(self.size_of("origin"))
            self.do(sm.Write("origin", Sector(0), size, self.tags(size)))
        self.do(sm.Crash())
        self.see_disks()
        self._make_under()
        self.take(draw)

    def fault(self, draw: Draw) -> None:
        """Sets a fault of a disk."""
        i = draw(0, len(self.layout.cows))
        name, size = ("base", self.layout.disk) if i == 0 else (cow_name(i - 1), self.layout.cows[i - 1].size)
        kind = pick(draw, sorted(FAULTS & self.can.faults))
        sector, count = self._range(draw, size)
        self.do(sm.Fault(name, "read" if kind == "read" else "write" if kind == "write" else "flush", sector, count))

    def begin_io(self, draw: Draw) -> None:
        """Starts a write or a read on a suspended device, where it will wait."""
        self._begin(draw, pick(draw, self.suspended))

    def finish(self, draw: Draw) -> None:
        """Asks for the outcome of an operation that was started."""
        self.finish_key(pick(draw, self.pending_keys))

    def finish_key(self, key: int) -> None:
        """Asks for the outcome of the operation that was started under this key."""
        self._do(sm.Finish(key))

    def end(self) -> None:
        """Finishes everything that was started and compares all devices and disks, unless the scenario is over."""
        if self.over:
            return
        for key in self.pending_keys:
            self.finish_key(key)
        for device in self.devices:
            self.see(device)
        self.see_disks()
