"""The ``error`` target: every read and write fails.  Source: dm-target.c."""

from typing import Final

from snapmerge.machine.core import plain
from snapmerge.machine.core.bio import WorkId
from snapmerge.machine.core.draft import Draft, TargetType
from snapmerge.machine.core.state import Load, Piece, Target
from snapmerge.machine.core.table_line import TableLine
from snapmerge.records import dataclass

__all__ = ["ERROR", "ErrorTarget"]


@dataclass(frozen=True, slots=True)
class ErrorTarget(Target):
    """A target that fails every bio."""


def _construct(d: Draft, id: int, request: Load, line: TableLine) -> bool:
    d.add(ErrorTarget(id, request.device, line))
    return False


def _map(d: Draft, id: WorkId, _target: ErrorTarget, _piece: Piece) -> None:
    d.end_later(id, "EIO")


ERROR: Final[TargetType[ErrorTarget]] = TargetType(
    target=ErrorTarget,
    names={"error": (1, 5, 0)},
    devices=(),
    construct=_construct,
    destroy=plain.destroy,
    map=_map,
    end_io=plain.end_io,
    retry=plain.no_retry,
    done={},
    copied={},
    presuspend=plain.nothing,
    at_rest=plain.at_rest,
    presuspended=plain.nothing,
    postsuspend=plain.nothing,
    preresume=plain.preresume,
    resuming=plain.nothing,
    resume=plain.resume,
    message=plain.message,
    status=plain.status,
    table=lambda _target: (),
    lower=lambda _target: (),
    extent=lambda _d, _target: None,
    set_limits=plain.nothing,
    max_io_len=plain.max_io_len,
    clones=plain.data_only,
    store=plain.no_store,
    works=plain.works,
    settled=plain.settled,
    locked=plain.locked,
    busy=plain.busy,
    claims=None,
)
