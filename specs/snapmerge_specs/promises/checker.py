"""The promises to a user, checked in a trace; they do not depend on the implementation, or on how targets work.

The oracle asks whether an implementation does what Linux does.  This asks the other question: it knows nothing of
the machine, only what operations mean to their user (specs/promises.md).  It continues after a divergence, where the
oracle has to stop, and makes no claim about what a user can't rely on.
"""

from collections import Counter
from collections.abc import Iterable

import snapmerge as sm
from snapmerge import Operation, Outcome, Seen, Step, print_operation, print_outcome
from snapmerge_specs.promises import looks, tables
from snapmerge_specs.promises.held import May, Volume, either
from snapmerge_specs.promises.refusals import flush_must_succeed, is_refused, must_succeed
from snapmerge_specs.promises.shadow import Place, Shadow
from snapmerge_specs.promises.state import Device, Disk, Task, parse_lines
from snapmerge_specs.promises.words import (
    NOT_COMPARED,
    BrokenPromise,
    compared,
    is_fault,
    misread,
    subject,
    what_is_broken,
)

__all__ = ["BrokenPromise", "Promises", "broken_promise"]

Control = sm.Create | sm.Load | sm.Clear | sm.Resume | sm.Suspend | sm.Remove
Io = sm.Write | sm.Read | sm.Discard | sm.Flush


class Promises:
    """Judges the steps of a trace, one after another.

    ``compared`` counts reads, by what they could show.  It never raises: an invalid step has no effect.
    """

    def __init__(self) -> None:
        self._shadow = Shadow()
        self._tasks: dict[int, Task] = {}
        self._steps = -1
        self._broken: BrokenPromise | None = None
        self.compared: Counter[str] = Counter()

    @property
    def given_up(self) -> dict[str, str]:
        """The places about which nothing is promised any more, with the reasons."""
        return self._shadow.given_up

    def observe(self, operation: Operation, outcome: Outcome | None) -> BrokenPromise | None:
        """Takes one more step, and returns the first promise that it breaks; an outcome of None was not recorded."""
        self._steps += 1
        self._shadow.time += 1
        self._broken = None
        tables.watch_faults(self._shadow)
        if isinstance(outcome, sm.Died):
            self._break("PROMISE-6", f"{print_operation(operation)} -> {print_outcome(outcome)}")
            return self._broken
        if outcome is not None and not self._can_have(operation, outcome):
            self._break("PROMISE-10", f"{print_operation(operation)} -> {print_outcome(outcome)}")
            return self._broken
        match operation:
            case sm.Start(key, inner):
                if isinstance(outcome, sm.Done | None):
                    self._begin(key, inner)
            case sm.Finish(key):
                self._finish(key, outcome)
            case _:
                self._end(Task(operation, self._shadow.time, self._changed(operation)), outcome)
        self._under_way()
        return self._broken

    def would_block(self, operation: Operation) -> bool:
        """Whether an operation may have to wait until a device is resumed, so that it must be begun with ``start``."""
        return self._shadow.may_wait(operation)

    def _break(self, statement: str, text: str) -> None:
        if self._broken is None:
            self._broken = BrokenPromise(statement, text, self._steps)

    def _can_have(self, operation: Operation, outcome: Outcome) -> bool:
        """Whether the operation can have such an outcome, in any state."""
        if not isinstance(operation, sm.Finish):
            return sm.possible(operation, outcome)
        task = self._tasks.get(operation.key)
        return task is None or isinstance(outcome, sm.Blocked) or sm.possible(task.operation, outcome)

    # --- operations under way ---

    def _changed(self, operation: sm.Plain) -> int:
        device = self._shadow.devices.get(subject(operation))
        return 0 if device is None else device.changed

    def _begin(self, key: int, operation: sm.Plain) -> None:
        device = self._shadow.devices.get(subject(operation))
        if isinstance(operation, sm.Suspend) and device is not None:
            device.suspended = None
        elif isinstance(operation, sm.Create | sm.Load) or (isinstance(operation, Control) and device is not None):
            self._control(operation, None)
        self._tasks[key] = task = Task(operation, self._shadow.time, self._changed(operation))
        self._compete(task)

    def _finish(self, key: int, outcome: Outcome | None) -> None:
        if (task := self._tasks.get(key)) is None:
            return
        if isinstance(outcome, sm.Blocked):
            self._blocked(task)
        elif outcome is None:
            task.alone, task.may = False, None
        else:
            del self._tasks[key]
            if not isinstance(task.operation, Control):
                self._end(task, outcome)
            elif (device := self._shadow.devices.get(task.operation.device)) is not None:
                device.suspended = None
                if not isinstance(task.operation, sm.Suspend):
                    tables.doubt(
                        self._shadow, device, f"{print_operation(task.operation)} was begun beside other operations"
                    )

    def _blocked(self, task: Task) -> None:
        """Judges an operation that is blocked, which is allowed while a device is suspended or is being changed."""
        devices = self._shadow.devices.values()
        held = any(device.suspended is not False or not device.certain for device in devices)
        busy = any(isinstance(other.operation, Control) for other in self._tasks.values())
        if isinstance(task.operation, Io) and not held and not busy and self._places(task.operation) is not None:
            self._break("DEV-5", f"{print_operation(task.operation)} -> blocked")

    def _compete(self, task: Task) -> None:
        """Notes which writes are under way together, since any of them may be the last."""
        if not isinstance(task.operation, sm.Write | sm.Discard):
            return
        mine = self._places(task.operation)
        for other in self._tasks.values():
            if other is task or not isinstance(other.operation, sm.Write | sm.Discard):
                continue
            theirs = self._places(other.operation)
            if mine is None or theirs is None or any(a.meets(b) for a in mine for b in theirs):
                task.alone = other.alone = False

    def _under_way(self) -> None:
        """Allows the effects of operations under way, and the present contents as results of reads under way."""
        for task in self._tasks.values():
            match task.operation:
                case sm.Write(where, sector, count, tag):
                    self._write(where, sector, count, tag, sure=False)
                case sm.Discard():
                    self._discard(task.operation)
                case sm.Read():
                    self._look(task)
                case _:
                    pass

    def _look(self, task: Task) -> None:
        read = task.operation
        places = self._places(read) if isinstance(read, sm.Read) else None
        if places is None or task.may is None:
            task.may = None
            return
        now = [self._may(place, sector) for place in places for sector in place.sectors]
        task.may = [either(*pair) for pair in zip(task.may, now, strict=True)] if task.may else now

    def _places(self, io: sm.Plain) -> list[Place] | None:
        if isinstance(io, sm.Flush):
            device = self._shadow.devices.get(io.where)
            return [] if io.where in self._shadow.disks or (device is not None and device.certain) else None
        if isinstance(io, sm.Write | sm.Read | sm.Discard):
            return self._shadow.places(io.where, io.sector, io.count)
        return None

    def _end(self, task: Task, outcome: Outcome | None) -> None:
        operation = task.operation
        if is_refused(operation, outcome) and not self._tasks and must_succeed(self._shadow, operation):
            self._break("PROMISE-11", f"{print_operation(operation)} -> {print_outcome(outcome or sm.Done())}")
        match operation:
            case sm.Disk(name, size):
                self._shadow.disks.setdefault(name, Disk(name, size))
            case sm.Create() | sm.Load() | sm.Clear() | sm.Resume() | sm.Suspend() | sm.Remove():
                self._control(operation, outcome)
            case sm.Write() | sm.Read() | sm.Discard() | sm.Flush():
                self._io(task, operation, outcome)
            case sm.Status() | sm.Settle() | sm.Metadata():
                for statement in looks.looked(self._shadow, operation, outcome, quiet=not self._tasks):
                    self._break(statement, f"{print_operation(operation)} -> {print_outcome(outcome or sm.Done())}")
            case sm.Fault(name) | sm.Heal(name) if (disk := self._shadow.disks.get(name)) is not None:
                disk.faults = disk.faults if isinstance(operation, sm.Heal) and outcome is None else is_fault(operation)
                tables.watch_faults(self._shadow)
            case sm.Crash():
                self._tasks.clear()
                tables.crashed(self._shadow)
            case sm.Reset():
                self._tasks.clear()
                self._shadow.__init__()  # type: ignore[misc]  # everything is forgotten
            case _:
                pass

    def _control(self, operation: Control, outcome: Outcome | None) -> None:
        shadow, done = self._shadow, isinstance(outcome, sm.Done)
        device = shadow.devices.get(operation.device)
        if outcome is None or (done and self._is_being_changed(operation.device)):
            self._may_have_come(operation)
            return
        match operation:
            case sm.Create(name, table):
                self._created(name, table, outcome)
            case sm.Load(_, table) if not done or device is None:
                tables.load_failed(shadow, parse_lines(table), _errno(outcome))
            case sm.Load(_, table) if device is not None:
                tables.loaded(shadow, device, parse_lines(table))
            case sm.Clear() if device is not None and done:
                tables.cleared(device)
            case sm.Resume() if device is not None and done:
                tables.resumed(shadow, device)
            case sm.Resume() if device is not None and device.inactive is not None:
                tables.doubt(shadow, device, "a resume was refused")
            case sm.Suspend() if device is not None:
                device.suspended = done or None
            case sm.Remove() if device is not None and done:
                tables.removed(shadow, device)
            case _:
                pass

    def _is_being_changed(self, name: str) -> bool:
        """Whether a request for the device is under way, which may come before or after this one."""
        tasks = (task.operation for task in self._tasks.values())
        return any(isinstance(one, Control) and one.device == name for one in tasks)

    def _may_have_come(self, operation: Control) -> None:
        """Records an operation whose outcome, or whose order among others, is not known."""
        shadow = self._shadow
        if isinstance(operation, sm.Suspend):
            if (known := shadow.devices.get(operation.device)) is not None:
                known.suspended = None
            return
        device = shadow.devices.setdefault(operation.device, Device(operation.device))
        table = operation.table if isinstance(operation, sm.Create | sm.Load) else None
        tables.may_be_loaded(shadow, device, parse_lines(table or ""))
        tables.doubt(shadow, device, f"what came of {print_operation(operation)} is not known")

    def _created(self, name: str, table: str | None, outcome: Outcome) -> None:
        if not isinstance(outcome, sm.Done):
            tables.load_failed(self._shadow, parse_lines(table or ""), _errno(outcome))
            return
        device = self._shadow.devices[name] = Device(name)
        if table is not None:
            tables.loaded(self._shadow, device, parse_lines(table))
            tables.resumed(self._shadow, device)

    # --- I/O ---

    def _io(self, task: Task, io: Io, outcome: Outcome | None) -> None:
        same = self._changed(io) == task.changed
        if isinstance(outcome, sm.Failed) and same:
            self._failed(task, io, outcome)
        sure = isinstance(outcome, sm.Done) and task.alone and same
        match io:
            case sm.Write(where, sector, count, tag):
                self._compete(task)
                self._write(where, sector, count, tag, sure=sure and task.alone)
            case sm.Discard():
                self._compete(task)
                self._discard(io)
            case sm.Flush(where) if isinstance(outcome, sm.Done) and same:
                self._shadow.flush(where, task.began)
            case sm.Read() if isinstance(outcome, sm.Data) and len(outcome.sectors) == io.count:
                self._read(task, io, outcome.sectors)
            case _:
                pass

    def _write(self, where: str, sector: int, count: int, tag: int, *, sure: bool) -> None:
        places = self._shadow.places(where, sector, count)
        if places is None:
            for disk in list(self._shadow.reach(where)):
                self._shadow.distrust(disk, f"{where} was written while nobody knew what it is")
            return
        for place in places:
            self._shadow.write(place, tag, sure=sure)
            tag += place.count

    def _discard(self, io: sm.Discard) -> None:
        places = self._places(io)
        for disk in list(self._shadow.reach(io.where)) if places is None else ():
            self._shadow.distrust(disk, f"{io.where} was discarded while nobody knew what it is")
        for place in places or ():
            self._shadow.discard(place)

    def _read(self, task: Task, read: sm.Read, seen: tuple[Seen, ...]) -> None:
        self._look(task)
        places = self._places(read)
        if places is None or task.may is None or self._changed(read) != task.changed:
            self.compared[NOT_COMPARED] += 1
            return
        self.compared[compared(places, task.may)] += 1
        sectors = [(place, sector) for place in places for sector in place.sectors]
        for k, (place, sector) in enumerate(sectors):
            may, content = task.may[k], seen[k]
            if may is not None and content not in may:
                self._break(what_is_broken(self._shadow, place, sector, content), misread(read, k, content, may))
        if task.began == self._shadow.time:
            for (place, sector), content in zip(sectors, seen, strict=True):
                self._learn(place, sector, content)

    def _may(self, place: Place, sector: int) -> May:
        if place.kind == "nothing" or not place.disk.trusted:
            return None
        store = place.store
        if store is None:
            return None if place.disk.cow else place.disk.volume.now[sector]
        if not store.counts or (store.may_be_invalid and self._tasks):  # which it may become before a read ends
            return None
        may = store.volume.now[sector]
        return either(may, place.disk.volume.now[sector]) if store.is_merge and store.may_be_invalid else may

    def _learn(self, place: Place, sector: int, content: Seen) -> None:
        """Fixes the contents that were read, unless an operation under way may change them."""
        volume = self._readable(place)
        if volume is None or self._is_being_written(place.disk, sector):
            return
        volume.learn(sector, content)
        if place.store is not None and place.store.is_merging:
            place.disk.volume.may_be(sector, frozenset({content}), self._shadow.time)

    def _readable(self, place: Place) -> Volume | None:
        store = place.store
        if place.kind == "nothing" or not place.disk.trusted:
            return None
        if store is not None:
            return store.volume if store.counts and not (store.is_merge and store.may_be_invalid) else None
        return None if place.disk.cow or self._shadow.is_moving(place.disk) else place.disk.volume

    def _is_being_written(self, disk: Disk, sector: int) -> bool:
        for task in self._tasks.values():
            if isinstance(task.operation, sm.Write | sm.Discard):
                places = self._places(task.operation)
                if places is None or any(place.disk is disk and sector in place.sectors for place in places):
                    return True
        return False

    def _failed(self, task: Task, io: Io, outcome: sm.Failed) -> None:
        """Judges failed I/O, which a failed disk or an invalid snapshot justifies."""
        if isinstance(io, sm.Flush) and flush_must_succeed(self._shadow, io.where, task.began):
            self._break("PROMISE-5", f"{print_operation(io)} -> {print_outcome(outcome)}")
        if isinstance(io, sm.Discard | sm.Flush) or (places := self._places(io)) is None:
            return
        if isinstance(io, sm.Write):
            self._write(io.where, io.sector, io.count, io.tag, sure=False)
        for place in places:
            store = place.store
            disks = [place.disk] if store is None else [place.disk, self._shadow.disks[store.cow]]
            excused = any(disk.failed >= task.began or not disk.trusted for disk in disks)
            excused = excused or (store is not None and (store.invalid or store.may_be_invalid))
            dead = store is None and place.device is not None and any(line.is_merge for line in place.device.live)
            if place.kind == "nothing" or excused or dead:
                return
        origin = isinstance(io, sm.Write) and any(place.kind == "origin" for place in places)
        statement = "ORIGIN-2" if origin else "PROMISE-5"
        self._break(statement, f"{print_operation(io)} -> {print_outcome(outcome)}")


def _errno(outcome: Outcome) -> str:
    return outcome.errno if isinstance(outcome, sm.Failed) else ""


def broken_promise(trace: Iterable[Step]) -> BrokenPromise | None:
    """The first promise that a recorded trace breaks."""
    promises = Promises()
    found = (promises.observe(step.operation, step.outcome) for step in trace)
    return next((broken for broken in found if broken is not None), None)
