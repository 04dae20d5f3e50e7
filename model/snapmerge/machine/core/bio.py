"""Bios: requests for a range of sectors."""

from enum import Enum
from typing import NewType

from snapmerge.records import dataclass, replace
from snapmerge.units import SECTOR_BYTES

__all__ = ["Bio", "Buffer", "Op", "WorkId"]

WorkId = NewType("WorkId", str)
"""The name of work in flight, made from what the work is (``Work.name``)."""


class Op(Enum):
    """What a bio asks for.  FLUSH has no sectors; ZERO writes zeroes without a payload."""

    READ = "read"
    WRITE = "write"
    FLUSH = "flush"
    DISCARD = "discard"
    ZERO = "zero"


@dataclass(frozen=True, slots=True)
class Buffer:
    """The place of a payload: sector ``offset`` in the memory of the bio's submitter.

    ``owner``: the work that has submitted the bio; a number: the token of a user's operation.  The machine passes
    buffers on, and never sees their contents.
    """

    owner: WorkId | int
    offset: int = 0


@dataclass(frozen=True, slots=True)
class Bio:
    """A request to a disk or device.  ``payload``: a buffer to read into or write from, or the bytes of metadata.

    ``preflush``: the disk is flushed before the write; ``fua``: the write ends when it is durable.
    """

    op: Op
    where: str
    sector: int = 0
    count: int = 0
    payload: Buffer | bytes | None = None
    preflush: bool = False
    fua: bool = False

    @property
    def is_write(self) -> bool:
        """Whether its data direction is "write", as the kernel counts: discards are writes, empty flushes are not."""
        return self.op is Op.WRITE or self.op is Op.DISCARD or self.op is Op.ZERO

    def to(self, where: str, sector: int) -> "Bio":
        """The same request at another place."""
        return Bio(self.op, where, sector, self.count, self.payload, self.preflush, self.fua)

    def first(self, count: int) -> "Bio":
        """The first ``count`` sectors of the request."""
        payload = self.payload
        if isinstance(payload, bytes):
            payload = payload[: count * SECTOR_BYTES]
        return Bio(self.op, self.where, self.sector, count, payload, self.preflush, self.fua)

    def without(self, count: int) -> "Bio":
        """What is left of the request after its first ``count`` sectors."""
        payload = self.payload
        if isinstance(payload, bytes):
            payload = payload[count * SECTOR_BYTES :]
        elif payload is not None:
            payload = Buffer(payload.owner, payload.offset + count)
        return replace(self, sector=self.sector + count, count=self.count - count, payload=payload)
