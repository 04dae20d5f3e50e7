"""The answers of a target that does nothing by itself, for records that need no others."""

from snapmerge.errors import MachineError
from snapmerge.format.store import Store
from snapmerge.machine.core import bios
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft, Progress, Rules
from snapmerge.machine.core.state import Piece, Resuming, Stack, Target

__all__ = [
    "at_rest",
    "data_only",
    "destroy",
    "end_io",
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
    """The piece ends as its I/O has."""
    bios.piece_ended(d, id, error)


def no_retry(_d: Draft, id: WorkId, target: Target, _piece: Piece) -> None:
    """No piece of such a target ever waits for an exception."""
    raise MachineError(f"piece {id} of target {target.id} waited for an exception")


def at_rest(_d: Draft, _target: Target) -> bool:
    """It is always at rest."""
    return True


def preresume(_d: Draft, _target: Target) -> str | None:
    """It can always be resumed."""
    return None


def resume(_d: Draft, _request: Resuming, _target: Target) -> Progress:
    """It is resumed at once."""
    return Progress.DONE


def message(_d: Draft, _target: Target, _text: str) -> str | None:
    """It takes no messages (DEV-10)."""
    return "EINVAL"


def status(_stack: Stack, _rules: Rules, _target: Target) -> tuple[str, ...]:
    """Its status line has no words of its own."""
    return ()


def max_io_len(_d: Draft, _target: Target, bio: Bio) -> int:
    """It takes any bio whole."""
    return bio.count


def no_discards(_target: Target, bio: Bio) -> int:
    """It takes every bio but discards, once (ORIGIN-8)."""
    return 0 if bio.op is Op.DISCARD else 1


def data_only(_target: Target, bio: Bio) -> int:
    """It takes reads and writes; a flush is done at once, as it asks for none."""
    return 1 if bio.op in (Op.READ, Op.WRITE, Op.ZERO) else 0


def no_store(_target: Target) -> tuple[str, Store] | None:
    """It keeps no exceptions."""
    return None


def works(_target: Target) -> bool:
    """It does nothing by itself."""
    return False


def settled(_target: Target) -> bool:
    """So it is done with that."""
    return True
