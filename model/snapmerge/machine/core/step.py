"""The machine's one function: ``step(stack, event, rules) -> (stack, effects)``.

The problem.  In a kernel many threads run device-mapper's code: those that submit bios, those that finish I/O, kcopyd,
workers, and ioctls.  What can be seen depends on the order in which they meet.  A model must be able to take every such
order, to stop between any two steps, and to go back.  So the machine has no threads and does no I/O.  The whole of
device-mapper is one immutable value, the ``Stack``; ``step`` says what it becomes by one event, and which I/O it asks
for.  When and in which order that I/O ends is decided outside (``snapmerge.world``).

Events are of two kinds.  One begins something: a bio is submitted, a table is loaded, a device is resumed.  The other,
``Finished``, says that an effect has been carried out.  All work in flight is in ``Stack.work``, by id, and an effect
carries the id of the work that waits for it.  Where a thread waits in the kernel, the stack has a value: in ``work``,
in a device's ``deferred``, in a target, or in ``requests``.

A step, in its order:

1.  ``_apply`` makes a ``Draft`` of the stack and gives the event to the function that it is for.  For ``Finished`` that
    is ``bios.complete``, which looks the work up and calls what the rules have for its class.
2.  ``_carry_on`` makes the transitions that follow from the event, until there are none.  First come the ends of work
    that no effect reports (``Draft.ended``): a bio beyond the end of a disk, or one that a lower device has ended.
    Then come transitions that were put off (``Draft.deferred``): merges that wait ask the snapshots again.  Last comes
    a step of a request (``devices.progress``).  Each begins when the one before has returned, as a thread that the
    kernel wakes runs later; so no function is called back by one that it has called.
3.  The draft becomes the new stack, and the effects are returned in the order in which they were asked for.

If the event can't happen, ``step`` raises; only the draft has changed, so the stack has not (DEV-4).

So a step includes everything that follows from its event without waiting: what the kernel does under a lock, or on one
thread without sleeping.  Work that another thread does later is an effect (``Requeue``), although it is no I/O, so that
every other event can come before it.

Each target has its own functions for bios (``draft.TargetType``, the kernel's ``struct target_type``).  ``bios`` splits
bios and ends them with their last piece, ``devices`` and ``tables`` carry out requests to devices, ``kcopyd`` copies.

Source: dm.c (``dm_submit_bio``, ``clone_endio``, ``dm_suspend``, ``dm_resume``), dm-table.c, dm-ioctl.c, dm-kcopyd.c.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final, assert_never

from snapmerge.errors import EventError
from snapmerge.machine.core import bios, devices, kcopyd
from snapmerge.machine.core.bio import Op, WorkId
from snapmerge.machine.core.draft import Draft, Rules
from snapmerge.machine.core.events import (
    AddDisk,
    ClearTable,
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

CORE: Final[Mapping[type[Work], Callable[[Draft, WorkId, Any, str | None, bytes], None]]] = {
    CopyJob: kcopyd.half_done,
    Piece: bios.piece_done,
    Rest: bios.rest_done,
    Wake: bios.wake_done,
}
"""The functions for the ends of the core's own kinds of work.  A ``DeviceBio`` ends with its last piece."""


def step(stack: Stack, event: Event, rules: Rules) -> tuple[Stack, tuple[Effect, ...]]:
    """The stack after the event, and the effects that it asks for, in their order.

    Raises:
        EventError: the event can't happen now; the driver is at fault (DEV-4).
        OperationError: a table line is not in the form START LENGTH TARGET ARGS.
    """
    d = Draft(stack, rules)
    _apply(d, event)
    while _carry_on(d):
        pass
    return d.frozen(), tuple(d.effects)


def _carry_on(d: Draft) -> bool:
    """Makes one more transition that follows from the step; False: none is left."""
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
        case ClearTable():
            devices.clear(d, event)
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
        raise EventError(f"{name} exists already")
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
