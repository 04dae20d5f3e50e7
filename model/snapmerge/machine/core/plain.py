"""Functions for the records of targets without state and work of their own: the defaults of ``TargetType``."""

from snapmerge.errors import MachineError
from snapmerge.format.store import Store
from snapmerge.machine.core import bios
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft, Progress, Rules
from snapmerge.machine.core.state import Piece, Resuming, Stack, Target

__all__ = [
    "at_rest",
    "busy",
    "data_only",
    "destroy",
    "end_io",
    "locked",
    "max_io_len",
    "message",
    "no_discards",
    "no_retry",
    "no_store",
    "nothing",
    "preresume",
    "resume",
    "settled",
    "status",
    "works",
]


def nothing(_d: Draft, _target: Target) -> None:
    """Does nothing."""


def destroy(_d: Draft, _target: Target) -> bool:
    """The target is gone at once."""
    return True


def end_io(d: Draft, id: WorkId, _target: Target, _piece: Piece, error: str | None) -> None:
    """Ends the piece with the result of its I/O."""
    bios.piece_ended(d, id, error)


def no_retry(_d: Draft, id: WorkId, target: Target, _piece: Piece) -> None:
    """Raises MachineError: no piece of such a target ever waits for an exception."""
    raise MachineError(f"piece {id} of target {target.id} waited for an exception")


def at_rest(_d: Draft, _target: Target) -> bool:
    """True: it has no work of its own."""
    return True


def preresume(_d: Draft, _target: Target) -> str | None:
    """None: it can always be resumed."""
    return None


def resume(_d: Draft, _request: Resuming, _target: Target) -> Progress:
    """Resumes it at once."""
    return Progress.DONE


def message(_d: Draft, _target: Target, _text: str) -> str | None:
    """Refuses the message (DEV-10)."""
    return "EINVAL"


def status(_stack: Stack, _rules: Rules, _target: Target) -> tuple[str, ...]:
    """No words: its status line is empty."""
    return ()


def max_io_len(_d: Draft, _target: Target, bio: Bio) -> int:
    """No limit: one piece may have the whole bio."""
    return bio.count


def no_discards(_target: Target, bio: Bio) -> int:
    """One clone of every bio, and none of discards (ORIGIN-8)."""
    return 0 if bio.op is Op.DISCARD else 1


def data_only(_target: Target, bio: Bio) -> int:
    """One clone of reads and writes, and none of flushes and discards."""
    return 1 if bio.op in (Op.READ, Op.WRITE, Op.ZERO) else 0


def no_store(_target: Target) -> tuple[str, Store] | None:
    """None: it has no exception store."""
    return None


def works(_target: Target) -> bool:
    """False: it has no work of its own."""
    return False


def locked(_target: Target) -> bool:
    """False: no lock is held while its status is asked for."""
    return False


def busy(_target: Target) -> bool:
    """False: it makes no copies."""
    return False


def settled(_target: Target) -> bool:
    """True: a user has nothing to wait for."""
    return True
