"""Target types, the rules that register them, and the draft of one step: three definitions that need each other.

A ``TargetType`` is the kernel's ``struct target_type``: a record of functions.  The core calls a target through its
record and never by name, so adding a target adds a record and changes nothing else.  The fields have no defaults: a
target that forgets to answer a question is a type error.

``Rules`` are the registered target types, and the transitions of their modules that may be replaced one by one (by
seeded defects, and by what a real kernel does otherwise).

The transitions read like the kernel's functions because they change a ``Draft``; the stack itself never changes.  A
draft is discarded when a step raises, so an illegal event changes nothing.  Functions that only ask take a
``View``, which is a stack or a draft.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from enum import Enum
from itertools import count
from typing import Any, Generic, TypeVar

from snapmerge.errors import MachineError
from snapmerge.format.store import Store
from snapmerge.machine.core.bio import Bio, Buffer, WorkId
from snapmerge.machine.core.events import Effect, EndBio, Fetch, Io, Log, Reply, Requeue, Zero
from snapmerge.machine.core.state import (
    CopyJob,
    Device,
    Load,
    Piece,
    Purpose,
    Request,
    Resuming,
    Stack,
    Target,
    Work,
    size_of,
)
from snapmerge.machine.core.table_line import TableLine
from snapmerge.records import replace

__all__ = ["Draft", "Progress", "Rules", "TargetType", "View"]

T = TypeVar("T", bound=Target)
Part = TypeVar("Part")
SomeWork = TypeVar("SomeWork", bound=Work)
SomeRequest = TypeVar("SomeRequest", bound=Request)


class Progress(Enum):
    """The result of a call of ``TargetType.resume``: it waits, has made a step, or is done."""

    WAITS = "waits"
    STEP = "step"
    DONE = "done"


@dataclass(frozen=True, slots=True, eq=False)
class TargetType(Generic[T]):
    """What a target does, as a record of functions.  ``target`` is the class of its targets.

    Attributes:
        names: the words of table lines that make such targets, each with the version that it answers to.
        devices: which arguments of such lines name disks or devices, counted from 0.
        construct: makes a target and adds it to the draft; True: it still reads metadata.  Raises BadTable.  ``ctr``
        destroy: destroys the target; False: it can't be destroyed yet, and the call is repeated later.  ``dtr``
        map: sends a piece to a lower device, ends it, or queues it.
        end_io: ends a piece whose I/O has ended.
        retry: continues a piece that has waited for an exception.
        done: the functions for the ends of the target's own kinds of work.
        copied: the functions for the ends of its copies, by purpose.
        presuspend: asks the target to stop its own work; is repeated until ``at_rest``.
        at_rest: whether its own work has stopped.
        presuspended: called when all targets of the table are at rest; clears the request to stop.
        postsuspend: called when no I/O of the device is in flight.
        preresume: why the target can't be resumed; None: it can.
        resuming: called when all targets of the table can be resumed, before the first of them is.
        resume: takes a step of its resume.
        message: an errno, or None when the message was taken.
        status: the words of the status line, after the target's name.
        table: the arguments of the table line, as the kernel prints them.
        lower: the names of the disks and devices on which it is made.
        extent: the lower device whose size limits the target, and the sector of it at which the target begins.
            None: none does.  ``iterate_devices``
        set_limits: called when its table becomes live; decides what its device supports.  ``io_hints``
        max_io_len: how many sectors from the bio's start one piece may have.
        clones: how many pieces it wants of the same sectors; 0: it does not accept such a bio.  ``num_flush_bios``
        store: the device with its exception store, and the state of that store; None: it has none.
        works: whether it has work of its own, such as a merge.
        settled: whether its status shows that this work has ended, well or badly.
        locked: whether a question for its status has to wait for a lock.
        busy: whether the thread that makes its copies is busy with something else, so that they show late (CONTROL-5).
        claims: whether it forbids writes to a device; the last argument is the device that wants to write.  None: it
            forbids none.
    """

    target: type[T]
    names: Mapping[str, tuple[int, int, int]]
    devices: tuple[int, ...]
    construct: "Callable[[Draft, int, Load, TableLine], bool]"
    destroy: "Callable[[Draft, T], bool]"
    map: "Callable[[Draft, WorkId, T, Piece], None]"
    end_io: "Callable[[Draft, WorkId, T, Piece, str | None], None]"
    retry: "Callable[[Draft, WorkId, T, Piece], None]"
    done: "Mapping[type[Work], Callable[[Draft, WorkId, Any, str | None, bytes], None]]"
    copied: "Mapping[Purpose, Callable[[Draft, CopyJob, str | None], None]]"
    presuspend: "Callable[[Draft, T], None]"
    at_rest: "Callable[[Draft, T], bool]"
    presuspended: "Callable[[Draft, T], None]"
    postsuspend: "Callable[[Draft, T], None]"
    preresume: "Callable[[Draft, T], str | None]"
    resuming: "Callable[[Draft, T], None]"
    resume: "Callable[[Draft, Resuming, T], Progress]"
    message: "Callable[[Draft, T, str], str | None]"
    status: "Callable[[Stack, Rules, T], tuple[str, ...]]"
    table: "Callable[[T], tuple[str, ...]]"
    lower: "Callable[[T], tuple[str, ...]]"
    extent: "Callable[[Draft, T], tuple[str, int] | None]"
    set_limits: "Callable[[Draft, T], None]"
    max_io_len: "Callable[[Draft, T, Bio], int]"
    clones: "Callable[[T, Bio], int]"
    store: "Callable[[T], tuple[str, Store] | None]"
    works: "Callable[[T], bool]"
    settled: "Callable[[T], bool]"
    locked: "Callable[[T], bool]"
    busy: "Callable[[T], bool]"
    claims: "Callable[[Draft, T, str, str | None], bool] | None"


@dataclass(frozen=True, slots=True, eq=False)
class Rules:
    """The registered target types, and the replaceable transitions of their modules.

    ``core``: the functions for the ends of the core's own kinds of work.  ``parts``: one record of replaceable
    transitions for each module that has any.  Two rules are equal only if they are the same object.
    """

    core: "Mapping[type[Work], Callable[[Draft, WorkId, Any, str | None, bytes], None]]"
    types: tuple[TargetType[Any], ...]
    parts: tuple[object, ...] = ()
    by_name: Mapping[str, TargetType[Any]] = field(init=False, repr=False)
    by_class: Mapping[type[Target], TargetType[Any]] = field(init=False, repr=False)
    done: Mapping[type[Work], Callable[["Draft", WorkId, Any, str | None, bytes], None]] = field(init=False, repr=False)
    copied: Mapping[Purpose, Callable[["Draft", CopyJob, str | None], None]] = field(init=False, repr=False)
    claiming: frozenset[type[Target]] = field(init=False, repr=False)
    _parts: Mapping[type[object], Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "by_name", {name: kind for kind in self.types for name in kind.names})
        put(self, "by_class", {kind.target: kind for kind in self.types})
        put(
            self,
            "done",
            dict(self.core) | {work: function for kind in self.types for work, function in kind.done.items()},
        )
        put(self, "copied", {purpose: function for kind in self.types for purpose, function in kind.copied.items()})
        put(self, "claiming", frozenset(kind.target for kind in self.types if kind.claims is not None))
        put(self, "_parts", {type(part): part for part in self.parts})

    def part(self, kind: type[Part]) -> Part:
        """The replaceable transitions of one module.  Raises KeyError if it is not among the rules."""
        part: Part = self._parts[kind]
        return part

    def has(self, kind: type[object]) -> bool:
        """Whether a module is among the rules."""
        return kind in self._parts

    def changed(self, kind: type[object], **changes: object) -> "Rules":
        """The rules with some transitions of one module replaced, by their names."""
        part: Any = self.part(kind)
        changed = replace_fields(part, **changes)
        return Rules(self.core, self.types, tuple(changed if p is part else p for p in self.parts))


class Draft:
    """A stack being changed.  One lives for one step.

    A transition is never called back by a function that it calls.  Work that ends meanwhile is queued in ``ended`` (ids
    with errors), and transitions that must check the state again in ``deferred``, each once.  ``step`` runs both after
    the transition, as a kernel wakes a thread that runs later.

    Transitions hold values, and call others that may change the same thing.  So every change says from which value
    the new one was made (``over``): a value that is not the newest would undo what happened meanwhile, and is a
    MachineError.
    """

    __slots__ = (
        "deferred",
        "devices",
        "disks",
        "effects",
        "ended",
        "requests",
        "rules",
        "shared",
        "targets",
        "work",
    )

    def __init__(self, stack: Stack, rules: Rules) -> None:
        self.disks = stack.disks
        self.devices = stack.devices
        self.targets = stack.targets
        self.shared = stack.shared
        self.work = stack.work
        self.requests = stack.requests
        self.rules = rules
        self.effects: list[Effect] = []
        self.ended: deque[tuple[WorkId, str | None]] = deque()
        self.deferred: dict[Callable[[Draft], None], None] = {}

    def frozen(self) -> Stack:
        """The stack as changed so far."""
        return Stack(self.disks, self.devices, self.targets, self.shared, self.work, self.requests)

    # --- effects ---

    def log(self, text: str) -> None:
        """Writes a line to the kernel's log."""
        self.effects.append(Log(text))

    def reply(self, token: int, errno: str | None = None, text: str | None = None) -> None:
        """Answers a request."""
        self.effects.append(Reply(token, errno, text))

    def fetch(self, id: WorkId) -> None:
        """Asks for the bytes that a metadata read has put into its buffer."""
        self.effects.append(Fetch(id))

    def requeue(self, id: WorkId, *, later: bool = False) -> None:
        """Continues this work later in turn; ``later``: on another thread."""
        self.effects.append(Requeue(id, later))

    def io(self, id: WorkId, bio: Bio) -> None:
        """Sends a bio to a disk."""
        self.effects.append(Io(id, bio))

    def zero(self, bio: Bio) -> None:
        """Zeroes the buffer into which a bio reads."""
        if isinstance(bio.payload, Buffer):
            self.effects.append(Zero(bio.payload, bio.count))

    def end_bio(self, token: int, error: str | None) -> None:
        """Tells the submitter that its bio has ended."""
        self.effects.append(EndBio(token, error))

    # --- after this transition ---

    def end_later(self, id: WorkId, error: str | None) -> None:
        """Queues the end of work: ``bios.complete`` is called with it after the transition."""
        self.ended.append((id, error))

    def defer(self, transition: Callable[["Draft"], None]) -> None:
        """Queues a transition for after the present one; it is made once, however often it is queued."""
        self.deferred[transition] = None

    # --- devices and targets ---

    def device(self, name: str) -> Device:
        """The device of this name, which must exist."""
        return self.devices[name]

    def add_device(self, device: Device) -> None:
        """Enters a new device."""
        self.devices = self.devices.set(device.name, device)

    def put_device(self, device: Device, *, over: Device) -> Device:
        """Puts a changed device in its place, and returns it."""
        _check_newest(over, self.devices.get(device.name))
        self.devices = self.devices.set(device.name, device)
        return device

    def size(self, name: str) -> int:
        """The size in sectors of a disk, or of a device by its live table."""
        return size_of(name, self.disks, self.devices, self.targets)

    def add(self, target: Target) -> None:
        """Enters a new target."""
        self.targets = self.targets.set(target.id, target)

    def put(self, target: T, *, over: Target) -> T:
        """Puts a changed target in its place, and returns it."""
        _check_newest(over, self.targets.get(target.id))
        self.targets = self.targets.set(target.id, target)
        return target

    def type_of(self, target: Target) -> TargetType[Any]:
        """The record of the target's type."""
        return self.rules.by_class[type(target)]

    def new_target(self) -> int:
        """The smallest free target id."""
        return next(id for id in count() if id not in self.targets)

    def raise_event(self, name: str) -> None:
        """Counts an event of a device.  Source: ``dm_table_event``."""
        device = self.devices.get(name)
        if device is not None:
            self.put_device(replace(device, events=device.events + 1), over=device)

    # --- work ---

    def begin(self, work: Work) -> WorkId:
        """Enters work and returns its id: its name, with a number if other work has that name."""
        name = work.name
        id, twin = WorkId(name), 1
        while id in self.work:
            twin += 1
            id = WorkId(f"{name} ({twin})")
        self.work = self.work.set(id, work)
        return id

    def change(self, id: WorkId, work: SomeWork, *, over: Work) -> SomeWork:
        """Replaces the work with this id, and returns it."""
        _check_newest(over, self.work.get(id))
        self.work = self.work.set(id, work)
        return work

    def end(self, id: WorkId) -> Work:
        """Removes work."""
        work = self.work[id]
        self.work = self.work.delete(id)
        return work

    def piece(self, id: WorkId) -> Piece:
        """The piece with this id."""
        work = self.work[id]
        if not isinstance(work, Piece):
            raise MachineError(f"work {id} is no piece: {work}")
        return work

    # --- requests ---

    def change_request(self, request: SomeRequest, *, over: Request) -> SomeRequest:
        """Replaces the request with the same token, and returns it."""
        _check_newest(over, next((r for r in self.requests if r.token == request.token), None))
        self.requests = tuple(request if r is over or r == over else r for r in self.requests)
        return request

    def end_request(self, request: Request, errno: str | None = None, text: str | None = None) -> None:
        """Removes a request, and answers it."""
        self.requests = tuple(r for r in self.requests if r.token != request.token)
        self.reply(request.token, errno, text)


View = Stack | Draft


def _check_newest(value: object, newest: object) -> None:
    if value is not newest and value != newest:
        raise MachineError(f"a stale value was changed: {value}; the newest is {newest}")
