"""The ``zero`` target: reads give zeroes, writes are dropped.  Source: dm-zero.c."""

from typing import Final

from snapmerge.machine.core import plain
from snapmerge.machine.core.bio import Op, WorkId
from snapmerge.machine.core.draft import Draft, TargetType
from snapmerge.machine.core.state import Load, Piece, Target
from snapmerge.machine.core.table_line import BadTable, TableLine
from snapmerge.records import dataclass

__all__ = ["ZERO", "ZeroTarget"]


@dataclass(frozen=True, slots=True)
class ZeroTarget(Target):
    """A target that reads as zeroes."""


def _construct(d: Draft, id: int, request: Load, line: TableLine) -> bool:
    if line.args:
        raise BadTable("No arguments required")
    d.add(ZeroTarget(id, request.device, line))
    return False


def _map(d: Draft, id: WorkId, _target: ZeroTarget, piece: Piece) -> None:
    if piece.bio.op is Op.READ:
        d.zero(piece.bio)
    d.end_later(id, None)


ZERO: Final[TargetType[ZeroTarget]] = TargetType(
    target=ZeroTarget,
    names={"zero": (1, 1, 0)},
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
