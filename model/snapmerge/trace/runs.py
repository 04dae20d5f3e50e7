"""Sectors as a trace writes them: run-length coded, one word a run."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from snapmerge.trace.payload import TAG_MAX, Digest, Seen
from snapmerge.trace.words import SECTORS_MAX, Word

__all__ = ["parse_run", "print_runs"]


def print_runs(sectors: tuple[Seen, ...]) -> Iterator[str]:
    """Run-length code (TRACE-8): ``#t``, ``#txN`` (N times t), ``#t+N`` (t, t+1, ... N of them), ``~digest[xN]``."""
    at, most = 0, SECTORS_MAX  # a longer run is written as several: parsing refuses it
    while at < len(sectors):
        first = sectors[at]
        equal = ascending = 1
        while equal < most and at + equal < len(sectors) and sectors[at + equal] == first:
            equal += 1
        if isinstance(first, Digest):
            yield f"~{first}" + (f"x{equal}" if equal > 1 else "")
            at += equal
            continue
        while ascending < most and at + ascending < len(sectors) and sectors[at + ascending] == first + ascending:
            ascending += 1
        length = max(equal, ascending)
        yield f"#{first}" + ("" if length == 1 else f"x{equal}" if equal > 1 else f"+{ascending}")
        at += length


_RUN: Final = re.compile(r"(?:#(\d{1,10})|~([0-9a-f]{16}))(?:([x+])([1-9]\d{0,8}))?\Z", re.ASCII)


def parse_run(word: Word) -> Sequence[Seen]:
    """The sectors of one run.  Raises TraceError."""
    match = _RUN.match(word)
    if match is None or (match[2] and match[3] == "+"):
        raise word.refused(f"not a run of sectors: {word.shown()}; write #TAG, #TAGxN, #TAG+N, ~DIGEST or ~DIGESTxN")
    length = int(match[4] or 1)
    if length > SECTORS_MAX:
        raise word.refused(f"a run of {length} sectors is too long; at most {SECTORS_MAX}")
    if match[2]:
        return (Digest(match[2]),) * length
    tag = int(match[1])
    if tag + (length - 1 if match[3] == "+" else 0) > TAG_MAX:
        raise word.refused(f"a tag beyond {TAG_MAX} in {word.shown()}")
    return range(tag, tag + length) if match[3] == "+" else (tag,) * length
