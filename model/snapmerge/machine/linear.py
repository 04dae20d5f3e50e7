"""The ``linear`` target: a slice of a lower device.  Source: dm-linear.c."""

from typing import Final

from snapmerge.machine.core import bios, plain, tables
from snapmerge.machine.core.bio import Bio, Op, WorkId
from snapmerge.machine.core.draft import Draft, TargetType
from snapmerge.machine.core.state import Load, Piece, Target
from snapmerge.machine.core.table_line import BadTable, TableLine
from snapmerge.records import dataclass, replace

__all__ = ["LINEAR", "LinearTarget"]


@dataclass(frozen=True, slots=True)
class LinearTarget(Target):
    """A slice of the device ``lower``, from its sector ``offset`` on.

    ``discards``: it takes them, as its lower device did when the table became live.
    """

    lower: str
    offset: int
    discards: bool = False


def _construct(d: Draft, id: int, request: Load, line: TableLine) -> bool:
    """Makes a ``linear`` (CTOR-4).  Raises BadTable."""
    if len(line.args) != 2:
        raise BadTable("Invalid argument count")
    offset = line.args[1]
    if not (offset.isascii() and offset.isdecimal()) or len(offset) > 18:
        raise BadTable("Invalid device sector")
    lower = tables.open_lower(d, request.device, line.args[0], "Device lookup failed")
    d.add(LinearTarget(id, request.device, line, lower, int(offset)))
    return False


def _map(d: Draft, id: WorkId, target: LinearTarget, piece: Piece) -> None:
    bios.send(d, id, piece.bio.to(target.lower, piece.bio.sector - target.line.start + target.offset))


def _set_limits(d: Draft, target: LinearTarget) -> None:
    d.put(replace(target, discards=tables.takes_discards(d, target.lower)), over=target)


def _clones(target: LinearTarget, bio: Bio) -> int:
    return 1 if target.discards or bio.op is not Op.DISCARD else 0


LINEAR: Final[TargetType[LinearTarget]] = TargetType(
    target=LinearTarget,
    names={"linear": (1, 4, 0)},
    devices=(0,),
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
    table=lambda target: (target.lower, str(target.offset)),
    lower=lambda target: (target.lower,),
    extent=lambda _d, target: (target.lower, target.offset),
    set_limits=_set_limits,
    max_io_len=plain.max_io_len,
    clones=_clones,
    store=plain.no_store,
    works=plain.works,
    settled=plain.settled,
    locked=plain.locked,
    busy=plain.busy,
    claims=None,
)
