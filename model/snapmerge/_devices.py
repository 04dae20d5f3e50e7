"""What a user asks of devices: create, load, suspend, resume, remove, message.

Some of it takes time: such a request stays in the stack, and ``progress`` lets it go on as soon as it can.
Source: dm-ioctl.c, ``dm_suspend``, ``dm_resume``, ``dm_swap_table``, ``snapshot_preresume``, ``snapshot_resume``,
``snapshot_merge_resume``, ``snapshot_dtr`` (specs/devices.md, specs/merge.md).
"""

from typing import assert_never

from . import _bios, _concept_rest, _concept_table, _construct, _handover, _merge, _origin
from ._concept_state import ConceptMerge, Generation
from ._draft import Draft
from ._errors import OperationError
from ._events import LoadTable, RemoveDevice, ResumeDevice, SendMessage, SuspendDevice
from ._replace import replace
from ._state import (
    SUBMITTER,
    Device,
    DeviceBio,
    Load,
    OriginTarget,
    Phase,
    Removing,
    Resuming,
    SnapshotTarget,
    Suspending,
)
from ._table import parse_table

__all__ = [
    "create",
    "destroy",
    "load",
    "message",
    "progress",
    "remove",
    "resume",
    "suspend",
    "table_loaded",
]

_UNKNOWN = "ENXIO"


def create(d: Draft, token: int, name: str) -> None:
    """A new device has no table, and holds no I/O back, for there is nowhere that it could go."""
    if name in d.devices:
        d.reply(token, "EBUSY")
        return
    d.add_device(Device(name))
    d.reply(token)


def load(d: Draft, event: LoadTable) -> None:
    """Begins to construct an inactive table.  A loop of devices is refused: a kernel takes it, and hangs or dies."""
    lines = parse_table(event.table)
    if event.device not in d.devices:
        d.reply(event.token, _UNKNOWN)
        return
    names = {word for line in lines for word in line.args} - {event.device}
    if any(_construct.is_above(d, name, event.device) for name in names):
        raise OperationError(f"{event.device} would be below itself")
    request = Load(event.token, event.device, lines)
    d.requests = (*d.requests, request)
    _construct.advance_load(d, request)


def table_loaded(d: Draft, request: Load) -> None:
    """A table is constructed: it is the inactive one now, in place of another."""
    device = d.device(request.device)
    d.put_device(replace(device, inactive=request.built), over=device)
    for id in device.inactive:
        destroy(d, id)
    d.end_request(request)


def suspend(d: Draft, event: SuspendDevice) -> None:
    """Begins to suspend a device."""
    if event.device not in d.devices:
        d.reply(event.token, _UNKNOWN)
    elif d.device(event.device).suspended:
        d.reply(event.token)
    else:
        d.requests = (*d.requests, Suspending(event.token, event.device))


def resume(d: Draft, event: ResumeDevice) -> None:
    """Begins to resume a device, with the inactive table if there is one."""
    device = d.devices.get(event.device)
    if device is None:
        d.reply(event.token, _UNKNOWN)
    elif not device.inactive and not device.suspended:
        d.reply(event.token)
    elif not device.inactive and not device.live:
        d.reply(event.token, "EINVAL")
    else:
        d.requests = (*d.requests, Resuming(event.token, event.device))


def remove(d: Draft, event: RemoveDevice) -> None:
    """Begins to remove a device, unless somebody has it open."""
    if event.device not in d.devices:
        d.reply(event.token, _UNKNOWN)
    elif _in_use(d, event.device):
        d.reply(event.token, "EBUSY")
    else:
        nameless = _take_name(d, event.device, event.token)
        d.requests = (*d.requests, Removing(event.token, nameless))


def _take_name(d: Draft, name: str, token: int) -> str:
    """The name is free from now on, however long the removal takes.  What is left of the device, and requests that it
    has, go by a name that no user can write.  Source: ``__hash_remove``.
    """
    nameless = f"{name} {token}"
    d.devices = d.devices.delete(name).set(nameless, replace(d.device(name), name=nameless))
    for target in d.targets.values():
        if target.device == name:
            d.put(replace(target, device=nameless), over=target)
    for request in d.requests:
        renamed = replace(request, device=nameless) if request.device == name else request
        if isinstance(renamed, Resuming) and renamed.quiet == name:
            renamed = replace(renamed, quiet=nameless)
        d.change_request(renamed, over=request)
    return nameless


def _in_use(d: Draft, name: str) -> bool:
    """Whether a table refers to the device, or a bio of a user's is in it."""
    below = {n for t in d.targets.values() for n in _construct.lower_names(t)}
    bios = (w for w in d.work.values() if isinstance(w, DeviceBio))
    return name in below or any(w.parent == SUBMITTER and w.bio.where == name for w in bios)


def message(d: Draft, event: SendMessage) -> None:
    """Linux has no target here that takes messages; a device without a table has nobody who could."""
    if event.device not in d.devices:
        d.reply(event.token, _UNKNOWN)
    elif d.generation is Generation.CONCEPT and d.device(event.device).live:
        first = d.targets[d.device(event.device).live[0]]
        d.reply(event.token, _concept_table.message(d, first, event.text))
    else:
        d.reply(event.token, "EINVAL")


# --- requests that take time -------------------------------------------------------------------------------------


def progress(d: Draft) -> bool:
    """Lets the first request that can take a step take it; False: none can."""
    return any(_advance(d, token) for token in [r.token for r in d.requests])


def _advance(d: Draft, token: int) -> bool:
    """Takes one step of a request; False: it has ended, or must wait."""
    request = next((r for r in d.requests if r.token == token), None)
    if request is None or isinstance(request, Load) or _first(d, request.device) != token:
        return False
    if request.device not in d.devices:
        d.end_request(request, _UNKNOWN)
        return True
    match request:
        case Suspending():
            return _advance_suspending(d, request)
        case Resuming():
            return _advance_resuming(d, request)
        case Removing():
            return _advance_removing(d, request)
        case _:
            assert_never(request)


def _first(d: Draft, device: str) -> int | None:
    """The oldest request of a device, which others wait for.  Source: ``suspend_lock``."""
    return next((r.token for r in d.requests if r.device == device and not isinstance(r, Load)), None)


def _advance_suspending(d: Draft, request: Suspending) -> bool:
    """Its turn has come: whoever finds the device suspended by another is told so.  Source: ``dm_suspend``."""
    if not d.device(request.device).suspended:
        d.change_request(replace(request, begun=True), over=request)
        return _come_to_rest(d, request.device)
    d.end_request(request, None if request.begun else "EINVAL")
    return True


def _come_to_rest(d: Draft, name: str) -> bool:
    """One step towards suspension: merges stop, and are idle, then I/O is held back, then none is in flight."""
    device = d.device(name)
    if not device.resting:
        _stop_merges(d, name)
        if not _merges_idle(d, device.live):
            return False
        d.put_device(replace(device, resting=True, held=device.held + 1), over=device)
        return True
    if device.busy:
        return False
    d.put_device(replace(device, suspended=True, resting=False), over=device)
    for id in device.live:
        target = d.targets[id]
        if isinstance(target, OriginTarget):
            d.put(replace(target, acting=False), over=target)
    return True


def _stop_merges(d: Draft, name: str) -> None:
    for id in d.device(name).live:
        target = d.targets[id]
        if isinstance(target, SnapshotTarget) and target.merge is not None and not target.merge.stopping:
            d.rules.stop_merge(d, id)
        elif isinstance(target, ConceptMerge) and not target.stopping:
            d.rules.concept.stop(d, target)


def _merges_idle(d: Draft, ids: tuple[int, ...]) -> bool:
    """Whether the merges among these targets have stopped; the wish to stop is fulfilled then."""
    merges = [t for id in ids if isinstance(t := d.targets[id], SnapshotTarget) and t.merge is not None]
    if any(_merge.merge_of(t).phase is not Phase.IDLE for t in merges):
        return False
    for target in merges:
        d.put(replace(target, merge=replace(_merge.merge_of(target), stopping=False)), over=target)
    return all(_concept_rest.comes_to_rest(d, id) for id in ids)


def _advance_resuming(d: Draft, request: Resuming) -> bool:
    device = d.device(request.device)
    if not request.swapped:
        if not device.suspended:
            return _come_to_rest(d, request.device)
        return _swap(d, request)
    if request.waiting is not None:
        phase = _merge.merge_of(d.snapshot(request.waiting)).phase
        if phase in (Phase.READING, Phase.PROTECTING, Phase.DRAINING):
            return False
        d.change_request(replace(request, waiting=None), over=request)
        return True
    if request.left:
        return _resume_target(d, request)
    if device.suspended and request.refused is None:
        d.put_device(replace(device, suspended=False, held=device.held - 1), over=device)
        _bios.release_deferred(d, request.device)
        return True
    return _destroy_old(d, request)


def _swap(d: Draft, request: Resuming) -> bool:
    """Makes the inactive table live, and asks its targets whether they can be resumed."""
    device = d.device(request.device)
    old: tuple[int, ...] = ()
    problem = _construct.too_small(d, device.inactive)
    if problem is not None:
        d.put_device(replace(device, inactive=()), over=device)
        for id in device.inactive:
            destroy(d, id)
        d.end_request(request, "EINVAL", problem)
        return True
    if device.inactive:
        old = device.live
        device = d.put_device(replace(device, live=device.inactive, inactive=()), over=device)
        _construct.set_limits(d, device.live)
    request = d.change_request(replace(request, swapped=True, old=old, left=device.live), over=request)
    problem = next(filter(None, (_handover.preresume(d, d.targets[id]) for id in device.live)), None)
    if problem is not None:
        d.change_request(replace(request, left=(), refused=f"snapshots: {problem}"), over=request)
    for id in device.live if problem is None else ():
        _concept_rest.claim(d, id)
    return True


def _resume_target(d: Draft, request: Resuming) -> bool:
    """Resumes the next target.  A snapshot needs the device that acts as its origin to be quiet for a moment."""
    target = d.targets[request.left[0]]
    if isinstance(target, OriginTarget):
        d.put(replace(target, acting=True, boundary=_origin.minimum_chunk_size(d, target.lower)), over=target)
    elif isinstance(target, SnapshotTarget):
        return _resume_snapshot(d, request, target)
    elif isinstance(target, ConceptMerge) and not _concept_rest.resume(d, target):
        return False
    d.change_request(replace(request, left=request.left[1:]), over=request)
    return True


def _resume_snapshot(d: Draft, request: Resuming, target: SnapshotTarget) -> bool:
    if request.quiet is None and (quiet := _handover.acting_origin(d, target)) is not None:
        _hold(d, request, quiet)
        return True
    if request.quiet is not None and (d.device(request.quiet).busy or not _is_idle(d, request.restart)):
        return False
    source, destination, _ = _construct.sharing_cow(d, target)
    if source is not None and destination is not None:
        d.rules.hand_over(d, source, destination)
    request = _let_go(d, request)
    target = d.snapshot(target.id)
    _origin.register(d, target)
    merges = target.merge is not None
    io_max = _origin.minimum_chunk_size(d, target.origin) if merges else target.io_max
    d.put(replace(target, active=True, io_max=io_max), over=target)
    _concept_rest.new_sibling(d, target.origin)
    if merges:
        _merge.start_merge(d, target.id)
    d.change_request(replace(request, left=request.left[1:], waiting=target.id if merges else None), over=request)
    return True


def _hold(d: Draft, request: Resuming, quiet: str) -> None:
    """Holds back the I/O of the origin's device, and stops its merge if one runs.  ``dm_internal_suspend_fast``."""
    device = d.device(quiet)
    d.put_device(replace(device, held=device.held + 1), over=device)
    merging = [t for id in device.live if isinstance(t := d.targets[id], SnapshotTarget) and t.merge is not None]
    running = next((t.id for t in merging if _merge.merge_of(t).phase is not Phase.IDLE), None)
    if running is not None:
        d.rules.stop_merge(d, running)
    d.change_request(replace(request, quiet=quiet, restart=running), over=request)


def _is_idle(d: Draft, id: int | None) -> bool:
    return id is None or _merges_idle(d, (id,))


def _let_go(d: Draft, request: Resuming) -> Resuming:
    """The device that was held goes on, and so does its merge."""
    if request.quiet is None:
        return request
    if request.restart is not None:
        _merge.start_merge(d, request.restart)
    device = d.device(request.quiet)
    d.put_device(replace(device, held=device.held - 1), over=device)
    _bios.release_deferred(d, request.quiet)
    return d.change_request(replace(request, quiet=None, restart=None), over=request)


# --- the end of targets and devices ------------------------------------------------------------------------------


def destroy(d: Draft, id: int) -> bool:
    """Destroys a target; False: it must be asked again, for something of it is still under way (4.10)."""
    target = d.targets.get(id)
    if target is None:
        return True
    if isinstance(target, SnapshotTarget):
        source, destination, _ = _construct.sharing_cow(d, target)
        if destination is not None and source is not None and source.id == id and id in d.registered_ids(target.origin):
            d.put(replace(destination, valid=False), over=destination)
            d.log("snapshots: Cancelling snapshot handover.")
        if not _is_idle(d, id if target.merge is not None else None):
            return False
        _origin.unregister(d, target)
        if target.pending or target.dropping:
            return False
    if isinstance(target, ConceptMerge) and not _concept_rest.destroyed(d, target):
        return False
    d.targets = d.targets.delete(id)
    return True


def _destroy_old(d: Draft, request: Resuming | Removing) -> bool:
    """Destroys the targets that the request leaves behind; then it has ended."""
    left = tuple(id for id in request.old if not destroy(d, id))
    if not left:
        if isinstance(request, Removing):
            d.devices = d.devices.delete(request.device)
        refused = request.refused if isinstance(request, Resuming) else None
        d.end_request(request, None if refused is None else "EINVAL", refused)
        return True
    d.change_request(replace(request, old=left), over=request)
    return False


def _advance_removing(d: Draft, request: Removing) -> bool:
    device = d.device(request.device)
    if device.inactive:
        for id in device.inactive:
            destroy(d, id)
        d.put_device(replace(device, inactive=()), over=device)
        return True
    if not device.suspended:
        return _come_to_rest(d, request.device)
    if device.live:
        d.change_request(replace(request, old=device.live), over=request)
        d.put_device(replace(device, live=()), over=device)
        return True
    return _destroy_old(d, request)
