"""A user's requests to devices: create, load, clear, suspend, resume, remove, message.

Some requests take time.  They stay in the stack, and ``progress`` takes them a step further whenever possible.
Requests of one device are served one at a time, in their order (``suspend_lock``, DEV-19).  Loads are not among
them, and are served one at a time beside them (``type_lock``); only a removal waits for both.  A clear ends at once.

Suspend: ask the targets to stop what they do by themselves (``presuspend``) and wait until they have (``at_rest``);
hold back new I/O; wait until no bio is in the device; tell the targets (``postsuspend``).

Resume (``ResumeStage``, with the table ``RESUME``): take the inactive table away, so that whatever is loaded or cleared
from now on is another; suspend the device if it is not; make that table live; ask each target whether it can be resumed
(``preresume``) before resuming any; resume them one after the other; let I/O flow; destroy the old table.  If a target
refuses, the new table is live and the device stays suspended.  The old table goes last, when I/O flows again, since a
target of it may have to finish exceptions for which bios of other devices wait (DEV-15).

Clear: destroy the inactive table.

Remove: free the name; destroy the inactive table; suspend; take the live table out; destroy it.

Source: dm-ioctl.c, ``dm_suspend``, ``dm_resume``, ``dm_swap_table``, ``__dm_destroy`` in dm.c,
``dm_table_resume_targets`` in dm-table.c (specs/devices.md).
"""

from collections.abc import Iterator
from typing import Final, assert_never

from snapmerge.errors import MachineError, OperationError
from snapmerge.machine.core import bios, tables
from snapmerge.machine.core.draft import Draft, Progress
from snapmerge.machine.core.events import ClearTable, LoadTable, RemoveDevice, ResumeDevice, SendMessage, SuspendDevice
from snapmerge.machine.core.state import SUBMITTER, Device, DeviceBio, Load, Removing, ResumeStage, Resuming, Suspending
from snapmerge.machine.core.suspend_lock import has_turn
from snapmerge.machine.core.table_line import parse_table
from snapmerge.machine.core.transitions import Named, Transitions
from snapmerge.records import replace

__all__ = ["RESUME", "ResumeTrigger", "clear", "create", "load", "message", "progress", "remove", "resume", "suspend"]

_UNKNOWN = "ENXIO"
"""The error of a request to a device that does not exist (DEV-12)."""


class ResumeTrigger(Named):
    """What takes a device's resume from one stage to the next: the function that makes it, and what has happened."""

    TURN_CAME = "_take_turn: the device is suspended, or not, as it was when the resume began (DEV-19)"
    OVERTAKEN = "_take_turn: a request before it has suspended or resumed the device (DEV-27)"
    TOO_LARGE = "_swap: the new table reaches beyond a lower device, and is destroyed (DEV-13)"
    SWAPPED = "_swap: the device is suspended, and the new table is live (DEV-26)"
    TARGET_REFUSED = "_swap: a target of the new table can't be resumed (MERGE-25)"
    TARGET_RESUMED = "_resume_next: one target is resumed"
    ALL_RESUMED = "_let_io_flow: no target is left, and bios that were held back are let in (DEV-2)"
    OLD_DESTROYED = "_destroy_old: no target of the table before is left (DEV-15)"


_S, _T = ResumeStage, ResumeTrigger

RESUME: Final = Transitions(
    "the resume of a device",
    _S.WAITING,
    _S.ENDED,
    {
        (_S.WAITING, _T.TURN_CAME): _S.SUSPENDING,
        (_S.WAITING, _T.OVERTAKEN): _S.ENDED,
        (_S.SUSPENDING, _T.TOO_LARGE): _S.ENDED,
        (_S.SUSPENDING, _T.SWAPPED): _S.RESUMING,
        (_S.SUSPENDING, _T.TARGET_REFUSED): _S.REFUSED,
        (_S.RESUMING, _T.TARGET_RESUMED): _S.RESUMING,
        (_S.RESUMING, _T.ALL_RESUMED): _S.CLEARING,
        (_S.REFUSED, _T.OLD_DESTROYED): _S.ENDED,
        (_S.CLEARING, _T.OLD_DESTROYED): _S.ENDED,
    },
)
"""The stages of a resume."""


def create(d: Draft, token: int, name: str) -> None:
    """Makes a device without a table (DEV-6), unless the name is taken (DEV-12).  It is not suspended."""
    if name in d.devices:
        d.reply(token, "EBUSY")
        return
    d.add_device(Device(name))
    d.reply(token)


def load(d: Draft, event: LoadTable) -> None:
    """Begins to construct an inactive table (DEV-7).  A loop of devices is refused (DEV-18)."""
    lines = parse_table(event.table)
    if event.device not in d.devices:
        d.reply(event.token, _UNKNOWN)
        return
    names = {word for line in lines for word in line.args} - {event.device}
    if any(tables.is_above(d, name, event.device) for name in names):
        raise OperationError(f"{event.device} would be below itself")
    d.requests = (*d.requests, Load(event.token, event.device, lines))


def suspend(d: Draft, event: SuspendDevice) -> None:
    """Begins to suspend a device."""
    if event.device not in d.devices:
        d.reply(event.token, _UNKNOWN)
    elif d.device(event.device).suspended:
        d.reply(event.token)
    else:
        d.requests = (*d.requests, Suspending(event.token, event.device))


def resume(d: Draft, event: ResumeDevice) -> None:
    """Begins to resume a device, with the inactive table if there is one; there may be nothing to resume (DEV-8).

    Source: ``do_resume``.
    """
    device = d.devices.get(event.device)
    if device is None:
        d.reply(event.token, _UNKNOWN)
    elif not device.inactive and not device.suspended:
        d.reply(event.token)
    elif not device.inactive and not device.live:
        d.reply(event.token, "EINVAL")
    else:
        d.put_device(replace(device, inactive=()), over=device)
        request = Resuming(event.token, event.device, device.inactive, suspends=not device.suspended)
        d.requests = (*d.requests, request)


def clear(d: Draft, event: ClearTable) -> None:
    """Destroys the inactive table, if there is one, whatever else is under way (DEV-24).  Source: ``table_clear``."""
    if event.device not in d.devices:
        d.reply(event.token, _UNKNOWN)
    else:
        _drop_inactive(d, event.device)
        d.reply(event.token)


def _drop_inactive(d: Draft, name: str) -> None:
    device = d.device(name)
    d.put_device(replace(device, inactive=()), over=device)
    tables.destroy_unused(d, device.inactive)


def remove(d: Draft, event: RemoveDevice) -> None:
    """Begins to remove a device, unless it is open (DEV-9, DEV-20)."""
    if event.device not in d.devices:
        d.reply(event.token, _UNKNOWN)
    elif _in_use(d, event.device):
        d.reply(event.token, "EBUSY")
    else:
        _drop_inactive(d, event.device)
        nameless = _take_name(d, event.device, event.token)
        d.requests = (*d.requests, Removing(event.token, nameless))


def _take_name(d: Draft, name: str, token: int) -> str:
    """Frees the name at once, however long the removal takes (DEV-23).  Source: ``__hash_remove``.

    The device and its requests get a name that no user can write.
    """
    nameless = f"{name} {token}"
    d.devices = d.devices.delete(name).set(nameless, replace(d.device(name), name=nameless))
    for target in d.targets.values():
        if target.device == name:
            d.put(replace(target, device=nameless), over=target)
    for request in d.requests:
        renamed = replace(request, device=nameless) if request.device == name else request
        if isinstance(renamed, Resuming) and renamed.state is not None:
            renamed = replace(renamed, state=renamed.state.renamed(name, nameless))
        d.change_request(renamed, over=request)
    return nameless


def _in_use(d: Draft, name: str) -> bool:
    """Whether a table refers to the device, or a user's bio is in it (DEV-9, DEV-20)."""
    below = {n for t in d.targets.values() for n in tables.lower_names(d, t)}
    user_bios = (w for w in d.work.values() if isinstance(w, DeviceBio))
    return name in below or any(w.parent == SUBMITTER and w.bio.where == name for w in user_bios)


def message(d: Draft, event: SendMessage) -> None:
    """Gives a message to the first target of the live table; a device without one takes none."""
    device = d.devices.get(event.device)
    if device is None:
        d.reply(event.token, _UNKNOWN)
    elif not device.live:
        d.reply(event.token, "EINVAL")
    else:
        first = d.targets[device.live[0]]
        d.reply(event.token, d.type_of(first).message(d, first, event.text))


# --- requests that take time -------------------------------------------------------------------------------------


def progress(d: Draft) -> bool:
    """Takes one step of the first request that does not have to wait; False: all of them wait."""
    return any(_advance(d, token) for token in [r.token for r in d.requests])


def _advance(d: Draft, token: int) -> bool:
    """Takes one step of a request; False: it has ended, or must wait."""
    request = next((r for r in d.requests if r.token == token), None)
    if isinstance(request, Load):
        return _begin_load(d, request)
    if request is None or not has_turn(d, request):
        return False
    match request:
        case Suspending():
            return _advance_suspending(d, request)
        case Resuming():
            return _advance_resuming(d, request)
        case Removing():
            return _advance_removing(d, request)
        case _:
            assert_never(request)


def _begin_load(d: Draft, request: Load) -> bool:
    """Begins to construct a table, when earlier loads of the device have ended (DEV-19).  ``dm_lock_md_type``."""
    begun = request.built or request.loading is not None
    if begun or next(_loads(d, request.device)) is not request:
        return False
    tables.advance_load(d, request)
    return True


def _loads(d: Draft, device: str) -> Iterator[Load]:
    return (request for request in d.requests if isinstance(request, Load) and request.device == device)


# --- suspend -----------------------------------------------------------------------------------------------------


def _advance_suspending(d: Draft, request: Suspending) -> bool:
    """A suspension whose turn comes when another has suspended the device already fails.  Source: ``dm_suspend``."""
    if not d.device(request.device).suspended:
        d.change_request(replace(request, begun=True), over=request)
        return _come_to_rest(d, request.device)
    d.end_request(request, None if request.begun else "EINVAL")
    return True


def _come_to_rest(d: Draft, name: str) -> bool:
    """Takes one step towards suspension; False: it must wait.  The last is when no bio is in the device (DEV-3)."""
    device = d.device(name)
    if not device.resting:
        if not _stopped(d, device.live):
            return False
        device = d.device(name)
        d.put_device(replace(device, resting=True, held=device.held + 1), over=device)
        return True
    if device.busy:
        return False
    d.put_device(replace(device, suspended=True, resting=False), over=device)
    for id in device.live:
        target = d.targets[id]
        d.type_of(target).postsuspend(d, target)
    return True


def _stopped(d: Draft, ids: tuple[int, ...]) -> bool:
    """Asks the targets to stop what they do by themselves; whether all have.  Source: ``dm_table_presuspend``."""
    for id in ids:
        d.type_of(d.targets[id]).presuspend(d, d.targets[id])
    if not all(d.type_of(d.targets[id]).at_rest(d, d.targets[id]) for id in ids):
        return False
    for id in ids:
        d.type_of(d.targets[id]).presuspended(d, d.targets[id])
    return True


# --- resume ------------------------------------------------------------------------------------------------------


def _resume_after(request: Resuming, trigger: ResumeTrigger) -> Resuming:
    return replace(request, stage=RESUME.after(request.stage, trigger))


def _advance_resuming(d: Draft, request: Resuming) -> bool:
    """Takes one step of a resume, which suspends the device first (DEV-8)."""
    match request.stage:
        case ResumeStage.WAITING:
            return _take_turn(d, request)
        case ResumeStage.SUSPENDING if d.device(request.device).suspended:
            return _swap(d, request)
        case ResumeStage.SUSPENDING:
            return _come_to_rest(d, request.device)
        case ResumeStage.RESUMING if request.left:
            return _resume_next(d, request)
        case ResumeStage.RESUMING:
            return _let_io_flow(d, request)
        case ResumeStage.REFUSED | ResumeStage.CLEARING:
            return _destroy_old(d, request)
        case ResumeStage.ENDED:
            raise MachineError(f"a resume that has ended is still among the requests: {request}")
        case _:
            assert_never(request.stage)


def _take_turn(d: Draft, request: Resuming) -> bool:
    """Begins a resume after the requests before it have ended.

    A resume that would suspend the device, and finds it suspended, restores its table unless another was loaded.
    Source: the checks of ``do_resume``, ``dm_swap_table`` and ``dm_resume``.
    """
    device = d.device(request.device)
    if device.suspended is not request.suspends:
        d.change_request(_resume_after(request, ResumeTrigger.TURN_CAME), over=request)
        return True
    _resume_after(request, ResumeTrigger.OVERTAKEN)
    if request.suspends and not device.inactive:
        d.put_device(replace(device, inactive=request.new), over=device)
    else:
        tables.destroy_unused(d, request.new)
    d.end_request(request, _UNKNOWN if request.suspends and device.inactive else "EINVAL")
    return True


def _swap(d: Draft, request: Resuming) -> bool:
    """Makes the new table live, if there is one and it fits (DEV-13), and asks its targets to be resumed (DEV-7)."""
    device = d.device(request.device)
    old: tuple[int, ...] = ()
    problem = tables.too_small(d, request.new)
    if problem is not None:
        _resume_after(request, ResumeTrigger.TOO_LARGE)
        tables.destroy_unused(d, request.new)
        d.end_request(request, "EINVAL", problem)
        return True
    if request.new:
        old = device.live
        d.put_device(replace(device, live=request.new), over=device)
        tables.set_limits(d, request.device)
        device = d.device(request.device)
    targets = [d.targets[id] for id in device.live]
    problem = next(filter(None, (d.type_of(target).preresume(d, target) for target in targets)), None)
    if problem is not None:
        refused = _resume_after(request, ResumeTrigger.TARGET_REFUSED)
        d.change_request(replace(refused, new=(), old=old, refused=problem), over=request)
        return True
    swapped = _resume_after(request, ResumeTrigger.SWAPPED)
    d.change_request(replace(swapped, new=(), old=old, left=device.live), over=request)
    for target in targets:
        d.type_of(target).resuming(d, target)
    return True


def _resume_next(d: Draft, request: Resuming) -> bool:
    """Takes the resume of the next target a step further."""
    target = d.targets[request.left[0]]
    came = d.type_of(target).resume(d, request, target)
    if came is Progress.DONE:
        newest = next(r for r in d.requests if isinstance(r, Resuming) and r.token == request.token)
        resumed = _resume_after(newest, ResumeTrigger.TARGET_RESUMED)
        d.change_request(replace(resumed, left=newest.left[1:], state=None), over=newest)
    return came is not Progress.WAITS


def _let_io_flow(d: Draft, request: Resuming) -> bool:
    """All targets are resumed: the device is no longer suspended, and bios that were held back are let in (DEV-2)."""
    device = d.device(request.device)
    d.change_request(_resume_after(request, ResumeTrigger.ALL_RESUMED), over=request)
    d.put_device(replace(device, suspended=False, held=device.held - 1), over=device)
    bios.release_deferred(d, request.device)
    return True


# --- the end -----------------------------------------------------------------------------------------------------


def _destroy_old(d: Draft, request: Resuming | Removing) -> bool:
    """Destroys the targets of the old table (DEV-7); the request ends when all are gone (DEV-15)."""
    left = tuple(id for id in request.old if not tables.destroy(d, id))
    if left:
        d.change_request(replace(request, old=left), over=request)
        return False
    if isinstance(request, Removing):
        d.devices = d.devices.delete(request.device)
    refused = None
    if isinstance(request, Resuming):
        refused = _resume_after(request, ResumeTrigger.OLD_DESTROYED).refused
    d.end_request(request, None if refused is None else "EINVAL", refused)
    return True


def _advance_removing(d: Draft, request: Removing) -> bool:
    device = d.device(request.device)
    if not device.suspended:
        return _come_to_rest(d, request.device)
    if any(_loads(d, request.device)):  # ``__dm_destroy`` waits for every user of the device
        return False
    if device.live:
        d.change_request(replace(request, old=device.live), over=request)
        d.put_device(replace(device, live=()), over=device)
        return True
    return _destroy_old(d, request)
