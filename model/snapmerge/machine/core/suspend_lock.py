"""A device's ``suspend_lock``, under which the device is suspended, resumed and removed.

Requests of one device have it one at a time, in their order (DEV-19).  The resume of a snapshot takes the lock of
another device as well, the one that acts as the origin (DEV-30).  Source: ``dm_internal_suspend_fast`` in dm.c.
"""

from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Load, Removing, ResumeStage, Resuming, Suspending

__all__ = ["has_turn", "is_locked"]

_UNLOCKED = (ResumeStage.REFUSED, ResumeStage.CLEARING)
"""In these stages a resume only destroys the old table."""


def _first(d: Draft, device: str) -> Suspending | Resuming | Removing | None:
    """The oldest request of a device, loads left aside."""
    return next((r for r in d.requests if r.device == device and not isinstance(r, Load)), None)


def has_turn(d: Draft, request: Suspending | Resuming | Removing) -> bool:
    """Whether a request has its device's lock, or can take it (DEV-19, DEV-30)."""
    resumes = (r for r in d.requests if isinstance(r, Resuming) and r is not request)
    locked = any(r.state is not None and r.state.locks == request.device for r in resumes)
    return _first(d, request.device) is request and not locked


def is_locked(d: Draft, device: str) -> bool:
    """Whether one of the device's own requests has its lock, or is the next to have it (DEV-30)."""
    first = _first(d, device)
    return first is not None and not (isinstance(first, Resuming) and first.stage in _UNLOCKED)
