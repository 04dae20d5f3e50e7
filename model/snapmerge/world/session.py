"""A user's operations, carried out step by step on a world, with the environment's moves in between.

A ``Session`` is a world and the operations under way in it.  ``operate`` follows the canonical schedule, or one that
the caller chooses; ``oracle.schedules`` explores all of them.
"""

from collections.abc import Callable
from typing import Final, assert_never

from immutables import Map

from snapmerge.errors import EventError, OperationError, WouldBlock
from snapmerge.machine.core.bio import Bio, Buffer, Op
from snapmerge.machine.core.draft import Rules
from snapmerge.machine.core.events import (
    ClearTable,
    CreateDevice,
    Event,
    LoadTable,
    RemoveDevice,
    ResumeDevice,
    SendMessage,
    SubmitBio,
    SuspendDevice,
)
from snapmerge.machine.registry import MAINLINE
from snapmerge.records import dataclass, replace
from snapmerge.trace import operations as op
from snapmerge.trace.outcomes import Blocked, Done, Failed, Outcome
from snapmerge.trace.payload import tags_from
from snapmerge.world.disk_operations import Raw, Result, change_disk, disk_io, locked, metadata, query
from snapmerge.world.moves import advance, canonical, finish
from snapmerge.world.power import cut_power
from snapmerge.world.state import World, deliver, start_world

__all__ = [
    "NOW",
    "Choose",
    "Raw",
    "Result",
    "Session",
    "Task",
    "advance_tasks",
    "begin",
    "blocked",
    "operate",
    "perform",
    "poll",
    "settled",
    "submit",
]

NOW: Final = -1
"""The key of an operation that was not begun with ``start``."""


@dataclass(frozen=True, slots=True)
class Task:
    """An operation under way.

    ``stage``: the request that it waits for; ``failed``: its outcome after the device of a failed ``create`` is
    removed; ``result``: its outcome, if it has ended already.
    """

    operation: op.Plain
    token: int
    stage: str = "only"
    failed: Failed | None = None
    result: Result | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """A world and the operations under way in it, by their keys."""

    world: World
    tasks: Map[int, Task] = Map()

    @staticmethod
    def new(rules: Rules = MAINLINE) -> "Session":
        """A session in an empty world."""
        return Session(start_world(rules))


# --- beginning an operation --------------------------------------------------------------------------------------


def begin(session: Session, key: int, operation: op.Plain) -> Session:
    """Begins an operation under a free key.  Raises OperationError if the operation is invalid here."""
    if key in session.tasks:
        raise OperationError(f"the key {key} is in use; finish it first")
    try:
        return _begin(session, key, operation, _token(session, key))
    except EventError as error:
        raise OperationError(str(error)) from None


def _token(session: Session, key: int) -> int:
    """The number by which the machine knows the operation: its key, or a negative number if that token is in use."""
    used = {task.token for task in session.tasks.values()}
    token = key
    while token in used:
        token = min(token, NOW) - 1
    return token


def _begin(session: Session, key: int, operation: op.Plain, token: int) -> Session:
    world = session.world
    match operation:
        case op.Write() | op.Read() | op.Discard() | op.Flush():
            return _begin_io(session, key, operation, token)
        case op.Create(device):
            if device in world.disks:
                raise OperationError(f"{device} is a disk; a device needs another name")
            return _request(session, key, Task(operation, token, "create"), CreateDevice(token, device))
        case op.Load(device, table):
            return _request(session, key, Task(operation, token), LoadTable(token, device, table))
        case op.Clear(device):
            return _request(session, key, Task(operation, token), ClearTable(token, device))
        case op.Resume(device):
            return _request(session, key, Task(operation, token), ResumeDevice(token, device))
        case op.Suspend(device):
            return _request(session, key, Task(operation, token), SuspendDevice(token, device))
        case op.Remove(device) if _is_open(session, device):
            return _end_at_once(session, key, operation, token, world, Failed("EBUSY"))
        case op.Remove(device):
            return _request(session, key, Task(operation, token), RemoveDevice(token, device))
        case op.Message(device, text):
            return _request(session, key, Task(operation, token), SendMessage(token, device, text))
        case op.Settle(device):
            return Session(world, session.tasks.set(key, Task(operation, token, "settle")))
        case op.Crash():
            return Session(cut_power(world), Map({key: Task(operation, token, result=Done())}))
        case op.Reset():
            return Session(start_world(world.rules), Map({key: Task(operation, token, result=Done())}))
        case op.Disk() | op.Fault() | op.Heal():
            return _end_at_once(session, key, operation, token, change_disk(world, operation), Done())
        case op.Status() if locked(world, operation):
            return Session(world, session.tasks.set(key, Task(operation, token, "status")))
        case op.Status() | op.Table() | op.Events():
            return _end_at_once(session, key, operation, token, world, query(world, operation))
        case op.Metadata(name):
            world, found = next(metadata(world, name))  # decides the unknown sectors of the store
            return _end_at_once(session, key, operation, token, world, found)
        case _:
            assert_never(operation)


def _request(session: Session, key: int, task: Task, event: Event) -> Session:
    return Session(deliver(session.world, event), session.tasks.set(key, task))


def _end_at_once(session: Session, key: int, operation: op.Plain, token: int, world: World, result: Result) -> Session:
    return Session(world, session.tasks.set(key, Task(operation, token, result=result)))


def _is_open(session: Session, device: str) -> bool:
    """Whether the device is open: I/O that was begun with ``start`` keeps it open until ``finish`` (DEV-20)."""
    operations = (task.operation for task in session.tasks.values())
    started = any(isinstance(o, op.Read | op.Write | op.Flush | op.Discard) and o.where == device for o in operations)
    return started and device in session.world.stack.devices


# --- I/O ---------------------------------------------------------------------------------------------------------


def _begin_io(session: Session, key: int, io: op.Write | op.Read | op.Discard | op.Flush, token: int) -> Session:
    world = session.world
    if io.where in world.disks:
        world, result = disk_io(world, io)
        return _end_at_once(session, key, io, token, world, result)
    if io.where not in world.stack.devices:
        raise OperationError(f"there is no device or disk {io.where}")
    buffer = Buffer(token)
    if isinstance(io, op.Write):
        world = replace(world, buffers=world.buffers.set(buffer.owner, tuple(tags_from(io.tag, io.count))))
    event = SubmitBio(token, _bio(io, buffer))
    return _request(Session(world, session.tasks), key, Task(io, token, "io"), event)


def _bio(io: op.Write | op.Read | op.Discard | op.Flush, buffer: Buffer) -> Bio:
    match io:
        case op.Flush(where):
            return Bio(Op.FLUSH, where)
        case op.Write(where, sector, count):
            return Bio(Op.WRITE, where, sector, count, buffer)
        case op.Read(where, sector, count):
            return Bio(Op.READ, where, sector, count, buffer)
        case op.Discard(where, sector, count):
            return Bio(Op.DISCARD, where, sector, count)
        case _:
            assert_never(io)


# --- ending an operation -----------------------------------------------------------------------------------------


def poll(session: Session, key: int) -> tuple[Session, Result | None]:
    """The result of the operation under this key, which then leaves the session; None while it is under way."""
    session = advance_tasks(session)
    task = session.tasks[key]
    world, result = _result(session.world, task)
    if result is None:
        return session, None
    return Session(world, session.tasks.delete(key)), result


def _result(world: World, task: Task) -> tuple[World, Result | None]:
    if task.result is not None:
        return world, task.result
    if task.stage == "settle":
        return world, _settled(world, task.operation)
    if task.stage == "status" and isinstance(task.operation, op.Status):
        return world, None if locked(world, task.operation) else query(world, task.operation)
    if task.stage == "io":
        return _io_result(world, task)
    reply = world.replies.get(task.token)
    if reply is None:
        return world, None
    world = replace(world, replies=world.replies.delete(task.token))
    if task.failed is not None:
        return world, task.failed
    return world, Done() if reply.errno is None else Failed(reply.errno, reply.text)


def _io_result(world: World, task: Task) -> tuple[World, Result | None]:
    if task.token not in world.ended:
        return world, None
    error = world.ended[task.token]
    sectors = world.buffers.get(task.token, ())
    buffers = world.buffers.delete(task.token) if task.token in world.buffers else world.buffers
    ended = world.ended.delete(task.token)
    world = World(world.stack, world.disks, world.flights, buffers, ended, world.replies, world.rules)
    if error is not None:
        return world, Failed(error)
    return world, Raw(sectors) if isinstance(task.operation, op.Read) else Done()


def _settled(world: World, operation: op.Plain) -> Outcome | None:
    """The outcome of ``settle``: no merge of the device is running, or the device is gone; None: it runs (WORLD-12)."""
    device = world.stack.devices.get(operation.device) if isinstance(operation, op.Settle) else None
    if device is None:
        return Failed("ENXIO")
    targets = [world.stack.targets[id] for id in device.live]
    return Done() if all(world.rules.by_class[type(target)].settled(target) for target in targets) else None


def advance_tasks(session: Session) -> Session:
    """Takes the next step of operations with several: ``create`` with a table loads, resumes, or removes the device."""
    if not session.world.replies:
        return session
    for key, task in sorted(session.tasks.items()):
        if isinstance(task.operation, op.Create) and task.token in session.world.replies:
            session = _next_stage(session, key, task, task.operation)
    return session


def _next_stage(session: Session, key: int, task: Task, create: op.Create) -> Session:
    reply = session.world.replies[task.token]
    if create.table is None or task.failed is not None or (task.stage == "resume" and reply.errno is None):
        return session
    if task.stage == "create" and reply.errno is not None:
        return session
    world = replace(session.world, replies=session.world.replies.delete(task.token))
    event: Event
    if reply.errno is not None:
        task = replace(task, stage="remove", failed=Failed(reply.errno, reply.text))
        event = RemoveDevice(task.token, create.device)
    elif task.stage == "create":
        task = replace(task, stage="load")
        event = LoadTable(task.token, create.device, create.table)
    else:
        task = replace(task, stage="resume")
        event = ResumeDevice(task.token, create.device)
    return advance_tasks(_request(Session(world, session.tasks), key, task, event))


# --- schedules ---------------------------------------------------------------------------------------------------


Choose = Callable[[int, int], int]
"""``choose(n, canonical)`` returns a number from 0 to n - 1; ``canonical`` is the choice of the canonical schedule."""


def _no_tick() -> None:
    pass


def operate(
    session: Session, operation: op.Operation, choose: Choose | None = None, tick: Callable[[], None] = _no_tick
) -> tuple[Result, Session]:
    """Carries an operation out by the canonical schedule, which first ends everything in flight.

    ``choose`` replaces the canonical schedule.  ``tick`` is called before every move; it may raise to give up.

    Raises:
        OperationError: the operation is invalid here.
        WouldBlock: it would block and was not begun with ``start`` (WORLD-13).
    """
    session = settled(session, tick) if choose is None else _some_moves(session, choose)
    return perform(session, operation, choose, tick)


def perform(
    session: Session, operation: op.Operation, choose: Choose | None = None, tick: Callable[[], None] = _no_tick
) -> tuple[Result, Session]:
    """Carries an operation out while other effects are in flight; moves are made only until it has ended.

    Arguments and exceptions are those of ``operate``.
    """
    key, session = submit(session, operation)
    if key is None:
        return Done(), session
    while True:
        session, result = poll(session, key)
        if result is not None:
            return result, session
        if not session.world.flights:
            return blocked(operation), session
        tick()
        session = Session(_next_world(session.world, choose), session.tasks)


def _next_world(world: World, choose: Choose | None) -> World:
    if choose is None:
        return advance(world)
    flights = world.flights
    return finish(world, flights[choose(len(flights), canonical(world))])


def _some_moves(session: Session, choose: Choose) -> Session:
    """Makes the chosen moves; the choice after the last flight is to make no more."""
    if session.tasks:
        session = advance_tasks(session)
    while flights := session.world.flights:
        chosen = choose(len(flights) + 1, canonical(session.world))
        if chosen == len(flights):
            break
        session = advance_tasks(Session(finish(session.world, flights[chosen]), session.tasks))
    return session


def blocked(operation: op.Operation) -> Blocked:
    """The outcome of an operation that can't end.  Raises WouldBlock unless it is a ``finish`` (WORLD-13)."""
    if not isinstance(operation, op.Finish):
        raise WouldBlock("the operation would block for ever; begin it with start")
    return Blocked()


def settled(session: Session, tick: Callable[[], None] = _no_tick) -> Session:
    """The session after canonical moves until nothing is in flight; ``tick`` is called before every move."""
    if session.tasks:
        session = advance_tasks(session)  # a step that waits for no flight comes before all of them
    while session.world.flights:
        world = session.world
        while world.flights:
            tick()
            world = advance(world)
        session = Session(world, session.tasks)
        if session.tasks:
            session = advance_tasks(session)
    return session


def submit(session: Session, operation: op.Operation) -> tuple[int | None, Session]:
    """Begins the operation; returns the key to poll, or None after a ``start``."""
    match operation:
        case op.Start(_, op.Disk() | op.Fault() | op.Heal() | op.Crash() | op.Reset() as inner):
            raise OperationError(f"{type(inner).__name__.lower()} never blocks: use it without start")
        case op.Start(key, inner):
            return None, begin(session, key, inner)
        case op.Finish(key):
            if key not in session.tasks:
                raise OperationError(f"nothing was started with the key {key}")
            return key, session
        case _:
            return NOW, begin(session, NOW, operation)
