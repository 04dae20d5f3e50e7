"""How snapshots, merges and origins are suspended, resumed and destroyed.

The problem.  The resume of a snapshot does a handover if one is due (``handover``), and from then on writes to the
origin have to ask the snapshot for a copy.  Both must happen while no write to the origin is under way: an exception
that is pending would stay with the old target, and a write that has asked the snapshots already would not ask the new
one.  But writes to the origin come through another device, which is not suspended, and which may be merging.

So the resume of a snapshot has stages (``SnapshotResumeStage``); ``SNAPSHOT_RESUME`` is the table of all transitions:

*   BEGUN: ``resume_snapshot`` looks for the device that acts as the origin (``acting_origin``).  If there is one,
    ``_hold`` takes its ``suspend_lock``, holds back new I/O of it, and asks its merge to stop (MERGE-27).  While a
    user's request has that lock, the resume waits for it (DEV-30).
*   QUIETING: the resume waits until that device has no bio in flight, and its merge is idle.  A user who asks for its
    suspension, resume or removal meanwhile waits for the lock.
*   ``_take_over`` does the rest in one step: it hands over, releases the held device and restarts its merge, registers
    the snapshot among those of the origin by its chunk size, and makes it ``active``, so that writes to the origin ask
    it.  A plain snapshot is resumed now (ACTIVE).
*   MERGING: a merge has started its loop.  The thread that resumes runs it up to the first copy, so the resume ends
    only when the loop copies, or has ended.

The handover comes before the held device is released, since from then on exceptions may be pending again.  But the
release comes before the snapshot is active, as in the kernel: a merge that restarts takes its next run without asking
the new snapshot, and so changes what that shows of the run's chunks.  Nothing is promised of a snapshot that is made
during a merge (PROMISE-8).

A merge has work of its own, its loop: ``presuspend`` asks the loop to stop, and the suspension waits until it is
``at_rest``, which is after the run in hand (MERGE-20).

A snapshot can be destroyed only when no exception of it is pending, since bios of other devices wait for those
(DEV-15).

Source: ``snapshot_resume``, ``snapshot_merge_resume``, ``snapshot_merge_presuspend``, ``origin_resume``,
``origin_postsuspend``, ``snapshot_dtr``, ``snapshot_io_hints`` in dm-snap.c, ``dm_internal_suspend_fast`` in dm.c.
"""

from typing import Final, assert_never

from snapmerge.errors import MachineError
from snapmerge.machine.core.bios import release_deferred
from snapmerge.machine.core.draft import Draft, Progress
from snapmerge.machine.core.state import Resuming
from snapmerge.machine.core.suspend_lock import is_locked
from snapmerge.machine.core.tables import takes_discards
from snapmerge.machine.core.transitions import Named, Transitions
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


class SnapshotResumeTrigger(Named):
    """The causes of stage changes: the function that makes the transition, and what has happened."""

    ORIGIN_HELD = "_hold: another device acts as the origin; its I/O is held back, its merge stops (MERGE-27)"
    TAKEN_OVER = "_take_over: a handover that was due is done, and the target is active (MERGE-24)"
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
    """Makes its device act as the origin; the smallest chunk size of its snapshots limits its writes (ORIGIN-7).

    Source: ``origin_resume``.
    """
    d.put(replace(target, acting=True, boundary=minimum_chunk_size(d, target.lower)), over=target)
    return Progress.DONE


def postsuspend_origin(d: Draft, target: OriginTarget) -> None:
    """A suspended device does not act as the origin.  Source: ``origin_postsuspend``."""
    d.put(replace(target, acting=False), over=target)


# --- suspending a merge ------------------------------------------------------------------------------------------


def presuspend(d: Draft, snap: SnapshotTarget) -> None:
    """Asks a merge to stop after the run in hand (MERGE-20).  Source: ``snapshot_merge_presuspend``."""
    if snap.merge is not None and not snap.merge.stopping:
        rules_of(d).stop_merge(d, snap.id)


def at_rest(_d: Draft, snap: SnapshotTarget) -> bool:
    """Whether its merge, if it is one, is idle."""
    return merge_of(snap).phase is Phase.IDLE


def presuspended(d: Draft, snap: SnapshotTarget) -> None:
    """Clears ``stopping``: the merge has stopped."""
    if snap.merge is not None:
        d.put(replace(snap, merge=replace(snap.merge, stopping=False)), over=snap)


# --- resuming a snapshot -----------------------------------------------------------------------------------------


def set_limits(d: Draft, snap: SnapshotTarget) -> None:
    """Decides whether its device takes discards (SNAP-19).

    It does if its features zero what is discarded, both devices below take discards, and the chunk size is known: its
    own, or that of the handover's source.  Source: ``snapshot_io_hints``, ``snapshot_iterate_devices``.
    """
    source, destination, _ = sharing_cow(d, snap)
    store = source.store if source is not None and destination is not None else snap.store
    below = all(takes_discards(d, name) for name in (snap.origin, snap.cow))
    d.put(replace(snap, discards=snap.features.zeroes and store.chunk_size > 0 and below), over=snap)


def resume_snapshot(d: Draft, request: Resuming, snap: SnapshotTarget) -> Progress:
    """Takes the resume of a snapshot or merge a step further.  Source: ``snapshot_resume``."""
    state = request.state if isinstance(request.state, SnapshotResume) else SnapshotResume()
    match state.stage:
        case SnapshotResumeStage.BEGUN if (quiet := acting_origin(d, snap)) is not None:
            if is_locked(d, quiet):
                return Progress.WAITS
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
    """Holds back new I/O of the device that acts as the origin, and stops its merge if one runs (MERGE-27).

    Source: ``dm_internal_suspend_fast``.
    """
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
    """Hands over if a handover is due (MERGE-24); then the target is active (SNAP-3), and its merge begins (MERGE-28).

    A merge's bios are split at the smallest chunk size of the origin's snapshots, since its writes ask them.
    """
    source, destination, _ = sharing_cow(d, snap)
    if source is not None and destination is not None:
        rules_of(d).hand_over(d, source, destination)
    _release(d, state)
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
    """A merge is resumed when its first copy has begun or it is idle: until then the resuming thread runs the loop."""
    if merge_of(snap).phase in (Phase.READING, Phase.PROTECTING, Phase.DRAINING):
        return Progress.WAITS
    _resume_after(state, SnapshotResumeTrigger.MERGE_COPIES)
    return Progress.DONE


def _release(d: Draft, state: SnapshotResume) -> None:
    """Releases the device that was held, and restarts its merge (MERGE-27)."""
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
    """Destroys the target; False: it waits for its merge to stop, or for its pending exceptions (DEV-15).

    If a handover from it was due, the target that was to take over becomes invalid (MERGE-26).

    Source: ``snapshot_dtr``.
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
