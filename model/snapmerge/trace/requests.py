"""Requests: the I/O that an implementation has sent to its disks and that has not been answered.

Only an implementation whose disks are under control shows them (``specs/control.md``).
"""

import re
from typing import Final, Literal, get_args

from snapmerge.errors import TraceError
from snapmerge.messages import shown
from snapmerge.records import dataclass
from snapmerge.trace.payload import Seen
from snapmerge.trace.runs import parse_run, print_runs
from snapmerge.trace.words import SECTORS_MAX, Word, number_of, split_words
from snapmerge.units import Sector, Sectors

__all__ = ["Request", "RequestKind", "Requests", "parse_request", "parse_requests", "print_request", "print_requests"]

RequestKind = Literal["read", "write", "fua", "flush", "discard"]
"""``fua``: a write that has ended only when it is durable."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request to a disk, of ``count`` sectors from ``sector`` on; a flush has none.

    ``payload``: what a write carries, one entry a sector.
    """

    disk: str
    kind: RequestKind
    sector: Sector = Sector(0)
    count: Sectors = Sectors(0)
    payload: tuple[Seen, ...] = ()

    @property
    def place(self) -> "Request":
        """The request without its payload, by which it is answered."""
        return Request(self.disk, self.kind, self.sector, self.count)


_FORM: Final = re.compile(r"([A-Za-z][A-Za-z0-9_.-]*):([a-z]+)(?::(\d{1,18})\+(\d{1,7}))?(?::([#~].*))?\Z", re.ASCII)
_USAGE: Final = "a request is written DISK:flush, or DISK:KIND:SECTOR+COUNT with KIND read, write, fua or discard"


def parse_request(word: Word) -> Request:
    """The request that a word writes.  Raises TraceError."""
    match = _FORM.match(word)
    for kind in get_args(RequestKind):
        if match is not None and match[2] == kind and (kind == "flush") == (match[3] is None):
            return _request(word, match, kind)
    raise word.refused(f"not a request: {shown(word)}; {_USAGE}")


def _request(word: Word, match: re.Match[str], kind: RequestKind) -> Request:
    count = int(match[4] or 0)
    if count == 0 and kind != "flush":
        raise word.refused("a request of no sectors")
    if count > SECTORS_MAX:
        raise word.refused(f"a request of {count} sectors is too long; at most {SECTORS_MAX}")
    payload: list[Seen] = []
    for text in (match[5] or "").split(",") if match[5] else ():
        run = Word(text)
        run.column = word.column
        payload += parse_run(run)
        if len(payload) > count:
            raise word.refused(f"a payload of more than the {count} sectors of the request")
    if payload and len(payload) != count:
        raise word.refused(f"a payload of {len(payload)} sectors in a request of {count}")
    return Request(match[1], kind, Sector(int(match[3] or 0)), Sectors(count), tuple(payload))


def print_request(request: Request) -> str:
    """The word of a request: ``cow:fua:1+1:#7``; parse(print(x)) == x."""
    if request.kind == "flush":
        return f"{request.disk}:flush"
    payload = ",".join(print_runs(request.payload))
    return f"{request.disk}:{request.kind}:{request.sector}+{request.count}" + (f":{payload}" if payload else "")


@dataclass(frozen=True, slots=True)
class Requests:
    """The requests that wait to be answered, in the order in which they came.

    ``ended``: the keys of started operations that have ended and were not finished, in ascending order.
    """

    requests: tuple[Request, ...] = ()
    ended: tuple[int, ...] = ()


_ENDED: Final = "ended:"


def parse_requests(text: str) -> Requests:
    """What ``print_requests`` has written.  Raises TraceError."""
    words = split_words(text)
    ends = [word for word in words if word.startswith(_ENDED)]
    begin = words[: len(words) - len(ends)]
    if not begin:
        raise TraceError("no requests; write idle where none is pending")
    for word in begin:
        if word in ends or (word == "idle" and len(begin) > 1):
            raise word.refused("the requests, or idle alone, come first, then ended:KEY ...")
    ended = tuple(number_of(word, len(_ENDED)) for word in ends)
    if list(ended) != sorted(set(ended)):
        raise ends[0].refused("the keys after ended: are in ascending order")
    return Requests(() if begin == ["idle"] else tuple(map(parse_request, begin)), ended)


def print_requests(seen: Requests) -> str:
    """``cow:flush base:read:0+1 ended:2``, or ``idle`` for no request; parse(print(x)) == x."""
    words = [*map(print_request, seen.requests)] or ["idle"]
    return " ".join([*words, *(f"{_ENDED}{key}" for key in seen.ended)])
