"""The machine's one function: ``step(stack, event, rules) -> (stack, effects)``.

Everything that changes a stack goes through here.  ``step`` makes a ``Draft`` of the stack, applies the event to it,
makes the transitions that this has given rise to (work that ended at once, merges that ask again, requests that can
come further), and returns what the draft has become, with the effects that were asked for, in their order.  If the
event can't happen it raises, and nothing has changed.

The event is one of two kinds.  A user's or the environment's wish (``SubmitBio``, ``LoadTable``, ``SuspendDevice``,
...) begins something.  ``Finished`` says that an effect has been carried out; ``bios.complete`` finds the work that
waits for it by the effect's id, and calls the function that the rules have for that class of work.  All in between is
``map`` functions of targets, and what they keep until an exception or a copy is done.

Nothing here blocks, reads or writes.  The order in which effects finish is the environment's (``snapmerge`` 's world).
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from snapmerge.errors import EventError
from snapmerge.machine.core import bios, devices, kcopyd
from snapmerge.machine.core.bio import Op
from snapmerge.machine.core.draft import Draft, Rules
from snapmerge.machine.core.events import (
    AddDisk,
    CreateDevice,
    Effect,
    Event,
    Finished,
    LoadTable,
    RemoveDevice,
    ResumeDevice,
    SendMessage,
    SubmitBio,
    SuspendDevice,
)
from snapmerge.machine.core.state import SUBMITTER, CopyJob, DeviceBio, Piece, Rest, Stack, Wake, Work

__all__ = ["CORE", "step"]

CORE: Final[Mapping[type[Work], Callable[[Draft, int, Any, str | None, bytes], None]]] = {
    CopyJob: kcopyd.half_done,
    Piece: bios.piece_done,
    Rest: bios.rest_done,
    Wake: bios.wake_done,
}
"""What the end of the core's own kinds of work does.  A ``DeviceBio`` ends when its pieces have."""


def step(stack: Stack, event: Event, rules: Rules) -> tuple[Stack, tuple[Effect, ...]]:
    """What the stack becomes when this happens, and what it asks for and says, in this order.

    Raises:
        EventError: the event can't happen now; the driver is at fault.
        OperationError: a table line is not in the form START LENGTH TARGET ARGS.
    """
    d = Draft(stack, rules)
    _apply(d, event)
    while _carry_on(d):
        pass
    return d.frozen(), tuple(d.effects)


def _carry_on(d: Draft) -> bool:
    """Makes one more transition that the step has given rise to; False: none is left."""
    if d.ended:
        bios.complete(d, *d.ended.popleft())
    elif d.deferred:
        transition = next(iter(d.deferred))
        del d.deferred[transition]
        transition(d)
    elif not d.requests or not devices.progress(d):
        return bool(d.ended or d.deferred)  # a request that must wait may have begun what it waits for
    return True


def _apply(d: Draft, event: Event) -> None:
    match event:
        case Finished(id, error, data):
            if id not in d.work or isinstance(d.work[id], DeviceBio):
                raise EventError(f"no effect with the id {id} is in flight")
            bios.complete(d, id, error, data)
        case SubmitBio():
            _submit(d, event)
        case AddDisk(name, size):
            _add_disk(d, name, size)
        case CreateDevice(token, device):
            if device in d.disks:
                raise EventError(f"{device} is a disk")
            devices.create(d, token, device)
        case LoadTable():
            devices.load(d, event)
        case ResumeDevice():
            devices.resume(d, event)
        case SuspendDevice():
            devices.suspend(d, event)
        case RemoveDevice():
            devices.remove(d, event)
        case SendMessage():
            devices.message(d, event)
        case _:
            assert_never(event)


def _add_disk(d: Draft, name: str, size: int) -> None:
    if name in d.disks or name in d.devices:
        raise EventError(f"{name} is there already")
    if size < 1:
        raise EventError(f"a disk has at least one sector, not {size}")
    d.disks = d.disks.set(name, size)


def _submit(d: Draft, event: SubmitBio) -> None:
    bio = event.bio
    if bio.where not in d.devices:
        raise EventError(f"{bio.where} is no device")
    inside = bio.sector >= 0 and bio.count > 0 and bio.sector + bio.count <= d.size(bio.where)
    if bio.op is not Op.FLUSH and not inside:
        end = bio.sector + bio.count
        raise EventError(f"sectors {bio.sector} to {end} are not inside {bio.where}, which has {d.size(bio.where)}")
    bios.enter(d, DeviceBio(bio, SUBMITTER, event.token))
