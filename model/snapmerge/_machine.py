"""The machine: ``step(stack, event) -> (stack, effects)``, and the rules that it goes by.

This file only hands events on.  Where the transitions are: ``_bios`` (bios in devices), ``_snapshot``,
``_origin``, ``_merge``, ``_concept`` (targets), ``_copyout`` (exceptions), ``_storeio`` and ``_construct`` (stores),
``_devices`` (what users ask for). Nothing in any of them blocks, reads or writes.
"""

from dataclasses import replace
from typing import Final, assert_never

from . import (
    _bios,
    _concept,
    _concept_rest,
    _concept_table,
    _construct,
    _copyout,
    _devices,
    _handover,
    _merge,
    _origin,
    _snapshot,
    _status,
    _storeio,
)
from ._bio import Op
from ._concept_state import Generation
from ._draft import ConceptRules, Draft, Rules
from ._errors import EventError
from ._events import (
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
from ._state import SUBMITTER, DeviceBio, Stack

__all__ = ["CONCEPT", "MAINLINE", "step"]

_AS_MEANT: Final = ConceptRules(
    takes=_concept_table.takes,
    merges=_concept_table.merges,
    span=_concept_table.span,
    chunks=_concept_table.chunks,
    recount=_concept_table.recount,
    refuse=_concept_table.refuse,
    take_over=_concept_table.take_over,
    load_failed=_concept_table.load_failed,
    invalid=_concept_table.invalid,
    map_merge=_concept.map_merge,
    claims=_concept.claims,
    protects=_concept.protects,
    usable=_concept_table.usable,
    extent=_concept_table.extent,
    not_submitted=_concept.not_submitted,
    copy_failed=_concept.copy_failed,
    stop=_concept_rest.stop,
    copies_settled=_concept_rest.copies_settled,
    work_settled=_concept_rest.work_settled,
    flush=_concept.flush,
    record=_concept.record,
    announce=_concept.announce,
)

MAINLINE: Final = Rules(
    take=_bios.take,
    map_snapshot=_snapshot.map_snapshot,
    map_merge=_merge.map_merge,
    origin_write=_origin.origin_write,
    write_area=_copyout.write_area,
    publish=_copyout.publish,
    invalidate=_copyout.invalidate,
    drop_header=_storeio.drop_header,
    finish_load=_construct.finish_load,
    hand_over=_handover.hand_over,
    stop_merge=_merge.stop_merge,
    next_run=_merge.next_run,
    protect=_merge.protect,
    drain=_merge.drain,
    flush_origin=_merge.flush_origin,
    commit_merge=_merge.commit_merge,
    release_run=_merge.release_run,
    fail_merge=_merge.fail_merge,
    area_read=_merge.area_read,
    commit_done=_merge.commit_done,
    status=_status.snapshot_status,
    concept=_AS_MEANT,
)
"""The rules of Linux."""

CONCEPT: Final = replace(MAINLINE, generation=Generation.CONCEPT)
"""The rules of the design of 2009, as it was meant."""


def step(stack: Stack, event: Event, rules: Rules = MAINLINE) -> tuple[Stack, tuple[Effect, ...]]:
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
    """Does one thing more that the step has given rise to; False: nothing is left to do."""
    if d.ended:
        _bios.complete(d, *d.ended.popleft())
    elif d.exception_done:
        d.exception_done = False
        _merge.retry_protection(d)
    elif not d.requests or not _devices.progress(d):
        return bool(d.ended) or d.exception_done  # a request that must wait may have begun what it waits for
    return True


def _apply(d: Draft, event: Event) -> None:
    match event:
        case Finished(id, error, data):
            if id not in d.work:
                raise EventError(f"nothing is under way with the id {id}")
            _bios.complete(d, id, error, data)
        case SubmitBio():
            _submit(d, event)
        case AddDisk(name, size):
            _add_disk(d, name, size)
        case CreateDevice(token, device):
            if device in d.disks:
                raise EventError(f"{device} is a disk")
            _devices.create(d, token, device)
        case LoadTable():
            _devices.load(d, event)
        case ResumeDevice():
            _devices.resume(d, event)
        case SuspendDevice():
            _devices.suspend(d, event)
        case RemoveDevice():
            _devices.remove(d, event)
        case SendMessage():
            _devices.message(d, event)
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
    _bios.enter(d, DeviceBio(bio, SUBMITTER, event.token))
