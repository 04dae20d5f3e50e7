"""One step in the making: the stack as it will be, the effects so far, and the rules in force.

The transitions read like the kernel's functions because they change a ``Draft``; the stack itself never changes.
A draft is thrown away when a step raises, so an illegal event leaves nothing behind.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ._bio import Bio
from ._concept_state import ConceptMerge, Generation
from ._errors import MachineError
from ._events import Effect, EndBio, Fetch, Io, Log, Reply, Requeue
from ._replace import replace
from ._state import Device, Piece, Request, SnapshotTarget, Stack, Target, Work
from ._store import Store
from ._table import TableLine

__all__ = ["ConceptRules", "Draft", "Rules"]


@dataclass(frozen=True, slots=True)
class ConceptRules:
    """Who makes the transitions of the ``snapshot-merge`` that was proposed in 2009."""

    takes: "Callable[[Store], bool]"
    merges: "Callable[[Draft, ConceptMerge], str | None]"
    span: "Callable[[TableLine], tuple[int, int]]"
    chunks: "Callable[[int, int], int]"
    recount: "Callable[[Draft, ConceptMerge], ConceptMerge]"
    refuse: "Callable[[Draft, Target], str | None]"
    take_over: "Callable[[Draft, ConceptMerge], bool]"
    load_failed: "Callable[[Draft, ConceptMerge], None]"
    invalid: "Callable[[Draft, ConceptMerge], bool]"
    map_merge: "Callable[[Draft, int, ConceptMerge, Piece], None]"
    claims: "Callable[[ConceptMerge], bool]"
    protects: "Callable[[Draft, str, int, int | None], bool]"
    usable: "Callable[[Draft, ConceptMerge, int], bool]"
    extent: "Callable[[ConceptMerge, int], tuple[int, int]]"
    not_submitted: "Callable[[Draft, ConceptMerge], None]"
    copy_failed: "Callable[[Draft, ConceptMerge, str], None]"
    stop: "Callable[[Draft, ConceptMerge], None]"
    copies_settled: "Callable[[ConceptMerge], bool]"
    work_settled: "Callable[[ConceptMerge], bool]"
    flush: "Callable[[Draft, ConceptMerge], None]"
    record: "Callable[[Draft, ConceptMerge], None]"
    announce: "Announce"


class Announce(Protocol):
    """A transition with a name for its flag."""

    def __call__(self, d: "Draft", merge: ConceptMerge, *, merged: bool) -> None:
        """Says that the end was reached; ``merged``: something was merged, and this is the first time."""


@dataclass(frozen=True, slots=True)
class Rules:
    """Who makes the transitions that matter.  The machine's own are ``MAINLINE`` and, for stacks of the other
    ``generation``, ``CONCEPT``; a *defect* replaces one of them.
    """

    take: "Callable[[Target, Bio], int]"
    map_snapshot: "Callable[[Draft, int, SnapshotTarget, Piece], None]"
    map_merge: "Callable[[Draft, int, SnapshotTarget, Piece], None]"
    origin_write: "Callable[[Draft, str, int, int | None], bool]"
    write_area: "Callable[[Draft, SnapshotTarget], None]"
    publish: "Callable[[Draft, SnapshotTarget], None]"
    invalidate: "Callable[[Draft, SnapshotTarget, str], None]"
    drop_header: "Callable[[Draft, SnapshotTarget], None]"
    finish_load: "Callable[[Draft, SnapshotTarget], None]"
    hand_over: "Callable[[Draft, SnapshotTarget, SnapshotTarget], None]"
    stop_merge: "Callable[[Draft, int], None]"
    next_run: "Callable[[Draft, int], None]"
    protect: "Callable[[Draft, SnapshotTarget], None]"
    drain: "Callable[[Draft, SnapshotTarget], None]"
    flush_origin: "Callable[[Draft, SnapshotTarget], None]"
    commit_merge: "Callable[[Draft, SnapshotTarget], None]"
    release_run: "Callable[[Draft, SnapshotTarget], None]"
    fail_merge: "Callable[[Draft, SnapshotTarget, str], None]"
    area_read: "Callable[[Draft, SnapshotTarget, str | None, bytes], None]"
    commit_done: "Callable[[Draft, SnapshotTarget, str | None], None]"
    status: "Callable[[SnapshotTarget, int], str]"
    concept: ConceptRules
    generation: Generation = Generation.MAINLINE


_SomeTarget = TypeVar("_SomeTarget", bound=Target)
_SomeWork = TypeVar("_SomeWork", bound=Work)
_SomeRequest = TypeVar("_SomeRequest", bound=Request)


class Draft:
    """A stack being changed.  One lives for one step.

    A transition is never called back by what it calls: ``ended`` has what came to its end meanwhile (ids of work, with
    errors), and ``exception_done`` says that merges which wait for exceptions are to ask again.  ``step`` sees to both
    when the transition is over, as a kernel wakes a thread that runs later.

    Transitions hold values, and call others that may change the same thing.  So whoever changes something says which
    value the new one was made from (``over``): a value that is not the newest would undo what happened meanwhile, and
    is a MachineError.
    """

    __slots__ = (
        "devices",
        "disks",
        "effects",
        "ended",
        "exception_done",
        "generation",
        "registered",
        "requests",
        "rules",
        "targets",
        "work",
    )

    def __init__(self, stack: Stack, rules: Rules) -> None:
        self.disks = stack.disks
        self.devices = stack.devices
        self.targets = stack.targets
        self.registered = stack.registered
        self.work = stack.work
        self.requests = stack.requests
        self.generation = stack.generation
        self.rules = rules
        self.effects: list[Effect] = []
        self.ended: deque[tuple[int, str | None]] = deque()
        self.exception_done = False

    def frozen(self) -> Stack:
        """The stack that came out."""
        return Stack(self.disks, self.devices, self.targets, self.registered, self.work, self.requests, self.generation)

    # --- effects ---

    def log(self, text: str) -> None:
        """Says a line in the kernel's log."""
        self.effects.append(Log(text))

    def reply(self, token: int, errno: str | None = None, text: str | None = None) -> None:
        """Answers a request."""
        self.effects.append(Reply(token, errno, text))

    def fetch(self, id: int) -> None:
        """Asks for the bytes of a metadata read."""
        self.effects.append(Fetch(id))

    # --- devices and targets ---

    def device(self, name: str) -> Device:
        """The device of this name, which must exist."""
        return self.devices[name]

    def add_device(self, device: Device) -> None:
        """Enters a new device."""
        self.devices = self.devices.set(device.name, device)

    def put_device(self, device: Device, *, over: Device) -> Device:
        """Puts a changed device in its place; it is given back."""
        _check_newest(over, self.devices.get(device.name))
        self.devices = self.devices.set(device.name, device)
        return device

    def size(self, name: str) -> int:
        """The size in sectors of a disk, or of a device by its live table."""
        if name in self.disks:
            return self.disks[name]
        live = self.devices[name].live
        if not live:
            return 0
        line = self.targets[live[-1]].line
        return line.start + line.length

    def add(self, target: Target) -> None:
        """Enters a new target."""
        self.targets = self.targets.set(target.id, target)

    def put(self, target: _SomeTarget, *, over: Target) -> _SomeTarget:
        """Puts a changed target in its place; it is given back."""
        _check_newest(over, self.targets.get(target.id))
        self.targets = self.targets.set(target.id, target)
        return target

    def snapshot(self, id: int) -> SnapshotTarget:
        """The ``snapshot`` or ``snapshot-merge`` of this id."""
        target = self.targets[id]
        if not isinstance(target, SnapshotTarget):
            raise MachineError(f"target {id} is no snapshot: {target}")
        return target

    def snapshots_of(self, origin: str) -> list[SnapshotTarget]:
        """The snapshots registered on an origin, largest chunks first."""
        return [self.snapshot(id) for id in self.registered.get(origin, ())]

    def registered_ids(self, origin: str) -> tuple[int, ...]:
        """The ids of the snapshots registered on an origin."""
        return self.registered.get(origin, ())

    def new_target(self) -> int:
        """A free target id."""
        return _free(self.targets)

    def raise_event(self, device: str) -> None:
        """Counts an event of a device.  Source: ``dm_table_event``."""
        there = self.devices.get(device)
        if there is not None:
            self.put_device(replace(there, events=there.events + 1), over=there)

    # --- work ---

    def begin(self, work: Work) -> int:
        """Enters something that is under way; its id."""
        id = _free(self.work)
        self.work = self.work.set(id, work)
        return id

    def change(self, id: int, work: _SomeWork, *, over: Work) -> _SomeWork:
        """Replaces what is under way under this id; it is given back."""
        _check_newest(over, self.work.get(id))
        self.work = self.work.set(id, work)
        return work

    def end(self, id: int) -> Work:
        """Takes out what was under way."""
        work = self.work[id]
        self.work = self.work.delete(id)
        return work

    def piece(self, id: int) -> Piece:
        """The piece of this id."""
        work = self.work[id]
        if not isinstance(work, Piece):
            raise MachineError(f"work {id} is no piece: {work}")
        return work

    def requeue(self, id: int, *, later: bool = False) -> None:
        """Goes on with this when what has been begun before it is done; ``later``: another thread does."""
        self.effects.append(Requeue(id, later))

    def io(self, id: int, bio: Bio) -> None:
        """Sends a bio to a disk."""
        self.effects.append(Io(id, bio))

    def end_bio(self, token: int, error: str | None) -> None:
        """Tells the submitter that its bio has ended."""
        self.effects.append(EndBio(token, error))

    # --- requests ---

    def change_request(self, request: _SomeRequest, *, over: Request) -> _SomeRequest:
        """Replaces the request with the same token; it is given back."""
        _check_newest(over, next((r for r in self.requests if r.token == request.token), None))
        self.requests = tuple(request if r is over or r == over else r for r in self.requests)
        return request

    def end_request(self, request: Request, errno: str | None = None, text: str | None = None) -> None:
        """Takes out a request, and answers it."""
        self.requests = tuple(r for r in self.requests if r.token != request.token)
        self.reply(request.token, errno, text)


def _check_newest(value: object, newest: object) -> None:
    if value is not newest and value != newest:
        raise MachineError(f"a stale value was changed: {value}; meanwhile it is {newest}")


def _free(table: object) -> int:
    """The smallest number that is not a key."""
    id = 0
    while id in table:  # type: ignore[operator]
        id += 1
    return id
