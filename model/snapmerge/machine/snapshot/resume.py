"""How snapshots, merges and origins are suspended, resumed and destroyed.

The resume of a snapshot is the moment of a handover, and of its first registration with effect.  No exception may be
in the making then, so the device through which the origin is written (``acting_origin``) is kept quiet: its I/O is
held back, its merge is stopped, and both continue afterwards (MERGE-27).  So a resume comes in steps
(``SnapshotResume``):

1.  If another device acts as the origin: hold back its I/O, ask its merge to stop.
2.  When it is quiet: hand over, let it continue, become active, and start the merge, if it is one.
3.  A ``snapshot-merge`` is resumed when its merge has come to its first copy, or has ended: ``start_merge`` runs on the
    thread that resumes.

Source: ``snapshot_resume``, ``snapshot_merge_resume``, ``snapshot_merge_presuspend``, ``origin_resume``,
``snapshot_dtr`` in dm-snap.c, ``dm_internal_suspend_fast`` in dm.c (specs/devices.md, specs/merge.md).
"""

from enum import Enum
from typing import Final, assert_never

from snapmerge.errors import MachineError
from snapmerge.machine.core.bios import release_deferred
from snapmerge.machine.core.draft import Draft, Progress
from snapmerge.machine.core.state import Resuming
from snapmerge.machine.core.transitions import Transitions
from snapmerge.machine.snapshot.handover import acting_origin
from snapmerge.machine.snapshot.merge import merge_of, start_merge
from snapmerge.machine.snapshot.registry import (
    minimum_chunk_size,
    register,
    registered_ids,
    sharing_cow,
    snapshot,
    unregister,
)
from snapmerge.machine.snapshot.rules import rules_of
from snapmerge.machine.snapshot.state import OriginTarget, Phase, SnapshotResume, SnapshotResumeStage, SnapshotTarget
from snapmerge.records import replace

__all__ = [
    "SNAPSHOT_RESUME",
    "SnapshotResumeTrigger",
    "at_rest",
    "destroy_snapshot",
    "postsuspend_origin",
    "presuspend",
    "presuspended",
    "resume_origin",
    "resume_snapshot",
    "set_limits",
]


class SnapshotResumeTrigger(Enum):
    """What takes the resume of a snapshot from one stage to the next: the function that does, and what has happened."""

    ORIGIN_HELD = "_hold: another device acts as the origin's; its I/O is held back, its merge stops (MERGE-27)"
    TAKEN_OVER = "_take_over: the target has taken over what it should, and is active (MERGE-24)"
    MERGE_STARTED = "_take_over: the same, and its merge has begun (MERGE-24, MERGE-28)"
    MERGE_COPIES = "_first_copy: the merge copies its first run, or has nothing to merge, or has failed"


_S, _T = SnapshotResumeStage, SnapshotResumeTrigger

SNAPSHOT_RESUME: Final = Transitions(
    "the resume of a snapshot",
    _S.BEGUN,
    _S.ACTIVE,
    {
        (_S.BEGUN, _T.ORIGIN_HELD): _S.QUIETING,
        (_S.BEGUN, _T.TAKEN_OVER): _S.ACTIVE,
        (_S.BEGUN, _T.MERGE_STARTED): _S.MERGING,
        (_S.QUIETING, _T.TAKEN_OVER): _S.ACTIVE,
        (_S.QUIETING, _T.MERGE_STARTED): _S.MERGING,
        (_S.MERGING, _T.MERGE_COPIES): _S.ACTIVE,
    },
)
"""The stages of the resume of a snapshot or a merge."""


# --- origins -----------------------------------------------------------------------------------------------------


def resume_origin(d: Draft, _request: Resuming, target: OriginTarget) -> Progress:
    """Makes it the origin's acting device.  Source: ``origin_resume``."""
    d.put(replace(target, acting=True, boundary=minimum_chunk_size(d, target.lower)), over=target)
    return Progress.DONE


def postsuspend_origin(d: Draft, target: OriginTarget) -> None:
    """A suspended device acts as no origin.  Source: ``origin_postsuspend``."""
    d.put(replace(target, acting=False), over=target)


# --- suspending a merge ------------------------------------------------------------------------------------------


def presuspend(d: Draft, snap: SnapshotTarget) -> None:
    """Asks a merge to stop after the run in hand.  Source: ``snapshot_merge_presuspend``."""
    if snap.merge is not None and not snap.merge.stopping:
        rules_of(d).stop_merge(d, snap.id)


def at_rest(_d: Draft, snap: SnapshotTarget) -> bool:
    """Whether no merge is under way."""
    return merge_of(snap).phase is Phase.IDLE


def presuspended(d: Draft, snap: SnapshotTarget) -> None:
    """The merge has stopped, as was asked."""
    if snap.merge is not None:
        d.put(replace(snap, merge=replace(snap.merge, stopping=False)), over=snap)


# --- resuming a snapshot -----------------------------------------------------------------------------------------


def set_limits(d: Draft, snap: SnapshotTarget) -> None:
    """Decides whether its device takes discards: if the chunk size is known, its own or that of the handover's source.

    Source: ``snapshot_io_hints``.
    """
    source, destination, _ = sharing_cow(d, snap)
    store = source.store if source is not None and destination is not None else snap.store
    d.put(replace(snap, discards=snap.features.zeroes and store.chunk_size > 0), over=snap)


def resume_snapshot(d: Draft, request: Resuming, snap: SnapshotTarget) -> Progress:
    """Takes the resume of a snapshot or merge a step further.  Source: ``snapshot_resume``."""
    state = request.state if isinstance(request.state, SnapshotResume) else SnapshotResume()
    match state.stage:
        case SnapshotResumeStage.BEGUN if (quiet := acting_origin(d, snap)) is not None:
            d.change_request(replace(request, state=_hold(d, state, quiet)), over=request)
            return Progress.STEP
        case SnapshotResumeStage.BEGUN:
            return _take_over(d, request, snap, state)
        case SnapshotResumeStage.QUIETING:
            return _take_over(d, request, snap, state) if _is_quiet(d, state) else Progress.WAITS
        case SnapshotResumeStage.MERGING:
            return _first_copy(snap, state)
        case SnapshotResumeStage.ACTIVE:
            raise MachineError(f"the resume of target {snap.id} has ended already")
        case _:
            assert_never(state.stage)


def _resume_after(state: SnapshotResume, trigger: SnapshotResumeTrigger) -> SnapshotResume:
    return replace(state, stage=SNAPSHOT_RESUME.after(state.stage, trigger))


def _hold(d: Draft, state: SnapshotResume, quiet: str) -> SnapshotResume:
    """Holds back the I/O of the origin's device, and stops its merge if one runs.  ``dm_internal_suspend_fast``."""
    device = d.device(quiet)
    d.put_device(replace(device, held=device.held + 1), over=device)
    merging = [t for id in device.live if isinstance(t := d.targets[id], SnapshotTarget) and t.merge is not None]
    running = next((t.id for t in merging if merge_of(t).phase is not Phase.IDLE), None)
    if running is not None:
        rules_of(d).stop_merge(d, running)
    return replace(_resume_after(state, SnapshotResumeTrigger.ORIGIN_HELD), quiet=quiet, restart=running)


def _is_quiet(d: Draft, state: SnapshotResume) -> bool:
    busy = state.quiet is not None and d.device(state.quiet).busy
    return not busy and (state.restart is None or at_rest(d, snapshot(d, state.restart)))


def _take_over(d: Draft, request: Resuming, snap: SnapshotTarget, state: SnapshotResume) -> Progress:
    """Hands over if a handover is due (MERGE-24); then the target is active, and its merge begins."""
    source, destination, _ = sharing_cow(d, snap)
    if source is not None and destination is not None:
        rules_of(d).hand_over(d, source, destination)
    _let_go(d, state)
    snap = snapshot(d, snap.id)
    register(d, snap)
    io_max = snap.io_max if snap.merge is None else minimum_chunk_size(d, snap.origin)
    d.put(replace(snap, active=True, io_max=io_max), over=snap)
    for listener in rules_of(d).sibling_resumed:
        listener(d, snap.origin)
    if snap.merge is None:
        _resume_after(state, SnapshotResumeTrigger.TAKEN_OVER)
        return Progress.DONE
    start_merge(d, snap.id)
    merging = _resume_after(state, SnapshotResumeTrigger.MERGE_STARTED)
    d.change_request(replace(request, state=replace(merging, quiet=None, restart=None)), over=request)
    return Progress.STEP


def _first_copy(snap: SnapshotTarget, state: SnapshotResume) -> Progress:
    """A merge is resumed when its first copy has begun, or it is idle: it runs on the thread that resumes till then."""
    if merge_of(snap).phase in (Phase.READING, Phase.PROTECTING, Phase.DRAINING):
        return Progress.WAITS
    _resume_after(state, SnapshotResumeTrigger.MERGE_COPIES)
    return Progress.DONE


def _let_go(d: Draft, state: SnapshotResume) -> None:
    """The device that was held continues, and so does its merge."""
    if state.quiet is None:
        return
    if state.restart is not None:
        presuspended(d, snapshot(d, state.restart))
        start_merge(d, state.restart)
    device = d.device(state.quiet)
    d.put_device(replace(device, held=device.held - 1), over=device)
    release_deferred(d, state.quiet)


# --- destroying --------------------------------------------------------------------------------------------------


def destroy_snapshot(d: Draft, snap: SnapshotTarget) -> bool:
    """Whether the target may go: not while a merge of it runs, or an exception of it is in the making.

    The target that was to take over from it is invalid then.  Source: ``snapshot_dtr``.
    """
    source, destination, _ = sharing_cow(d, snap)
    registered = snap.id in registered_ids(d, snap.origin)
    if destination is not None and source is not None and source.id == snap.id and registered:
        d.put(replace(destination, valid=False), over=destination)
        d.log("snapshots: Cancelling snapshot handover.")
    if not at_rest(d, snap):
        return False
    unregister(d, snap)
    return not snap.pending and not snap.dropping
