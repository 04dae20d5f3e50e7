"""Traces: operations and outcomes as lines of text, both ways.

The grammar is ``specs/trace.md``.  A line is ``OPERATION`` or ``OPERATION -> OUTCOME``; ``parse(print(x)) == x`` for
every operation and outcome, and printing is canonical.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Final, TypeVar, assert_never, get_args

from snapmerge.errors import TraceError
from snapmerge.messages import shown
from snapmerge.records import dataclass
from snapmerge.trace import operations as op
from snapmerge.trace.outcomes import Blocked, Count, Data, Died, Done, Failed, Line, Outcome, Records
from snapmerge.trace.payload import TAG_MAX, Seen
from snapmerge.trace.runs import parse_run, print_runs
from snapmerge.trace.words import (
    SECTORS_MAX,
    Word,
    count_of,
    extent_of,
    name_of,
    number_of,
    quote,
    sector_of,
    split_words,
    tag_of,
)

__all__ = [
    "OPERATION_WORDS",
    "Step",
    "numbered_steps",
    "numbered_trace",
    "operation_word",
    "parse_operation",
    "parse_outcome",
    "parse_step",
    "parse_trace",
    "print_operation",
    "print_outcome",
    "print_trace",
    "sectors_of",
    "split_step",
]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Step:
    """One line of a trace; ``outcome`` is None if it was not recorded."""

    operation: op.Operation
    outcome: Outcome | None = None


# --- operations --------------------------------------------------------------------------------------------------


def _write(where: Word, sector: Word, count: Word, tag: Word) -> op.Write:
    write = op.Write(name_of(where), sector_of(sector), extent_of(count), tag_of(tag))
    if write.tag + write.count - 1 > TAG_MAX:
        raise tag.refused(f"the last tag of the write is beyond {TAG_MAX}")
    return write


def _suspend(device: Word, how: Word | None = None) -> op.Suspend:
    if how not in (None, "noflush"):
        raise how.refused(f"after the device there may be 'noflush', not {how.shown()}")
    return op.Suspend(name_of(device), noflush=how is not None)


def _fault(disk: Word, kind: Word, sector: Word, count: Word) -> op.Fault:
    for known in get_args(op.FaultKind):
        if kind == known:
            return op.Fault(name_of(disk), known, sector_of(sector), count_of(count))
    raise kind.refused(f"unknown kind of fault: {kind.shown()}; it is read, write or flush")


def _create(device: Word, table: Word | None = None) -> op.Create:
    return op.Create(name_of(device), None if table is None else str(table))


def _start(key: Word, *words: Word) -> op.Start:
    inner = _operation(list(words))
    if isinstance(inner, op.Start | op.Finish):
        raise TraceError("start takes an operation that is neither start nor finish")
    return op.Start(number_of(key), inner)


@dataclass(frozen=True, slots=True)
class _Form:
    usage: str
    least: int
    most: int
    make: Callable[..., op.Operation]


_FORMS: Final[dict[str, _Form]] = {
    form.usage.split()[0]: form
    for form in (
        _Form("disk NAME SECTORS", 2, 2, lambda n, s: op.Disk(name_of(n), count_of(s))),
        _Form('create DEVICE ["TABLE"]', 1, 2, _create),
        _Form('load DEVICE "TABLE"', 2, 2, lambda d, t: op.Load(name_of(d), str(t))),
        _Form("clear DEVICE", 1, 1, lambda d: op.Clear(name_of(d))),
        _Form("resume DEVICE", 1, 1, lambda d: op.Resume(name_of(d))),
        _Form("suspend DEVICE [noflush]", 1, 2, _suspend),
        _Form("remove DEVICE", 1, 1, lambda d: op.Remove(name_of(d))),
        _Form('message DEVICE "TEXT"', 2, 2, lambda d, t: op.Message(name_of(d), str(t))),
        _Form("write WHERE SECTOR COUNT #TAG", 4, 4, _write),
        _Form("read WHERE SECTOR COUNT", 3, 3, lambda w, s, c: op.Read(name_of(w), sector_of(s), extent_of(c))),
        _Form("flush WHERE", 1, 1, lambda w: op.Flush(name_of(w))),
        _Form("discard WHERE SECTOR COUNT", 3, 3, lambda w, s, c: op.Discard(name_of(w), sector_of(s), extent_of(c))),
        _Form("status DEVICE", 1, 1, lambda d: op.Status(name_of(d))),
        _Form("table DEVICE", 1, 1, lambda d: op.Table(name_of(d))),
        _Form("events DEVICE", 1, 1, lambda d: op.Events(name_of(d))),
        _Form("settle DEVICE", 1, 1, lambda d: op.Settle(name_of(d))),
        _Form("metadata DISK", 1, 1, lambda d: op.Metadata(name_of(d))),
        _Form("fault DISK read|write|flush SECTOR COUNT", 4, 4, _fault),
        _Form("heal DISK", 1, 1, lambda d: op.Heal(name_of(d))),
        _Form("crash", 0, 0, op.Crash),
        _Form("reset", 0, 0, op.Reset),
        _Form("start KEY OPERATION", 2, 99, _start),
        _Form("finish KEY", 1, 1, lambda k: op.Finish(number_of(k))),
    )
}

OPERATION_WORDS: Final = frozenset(_FORMS)
"""The first words of all operations."""


def _operation(words: list[Word]) -> op.Operation:
    form = _FORMS.get(words[0]) if words else None
    if form is None:
        what = f"unknown operation: {words[0].shown()}" if words else "no operation"
        raise TraceError(f"{what}; one of {', '.join(_FORMS)}")
    if not form.least <= len(words) - 1 <= form.most:
        raise TraceError(f"{words[0]} is written: {form.usage}")
    return form.make(*words[1:])


def parse_operation(text: str) -> op.Operation:
    """The operation in a line of text (TRACE-1).  Raises TraceError (TRACE-10)."""
    return _operation(split_words(text))


def print_operation(operation: op.Operation) -> str:
    """The canonical line of an operation (TRACE-1)."""
    match operation:
        case op.Disk(name, size):
            return f"disk {name} {size}"
        case op.Create(device, None):
            return f"create {device}"
        case op.Create(device, str(table)) | op.Load(device, table):
            return f"{operation_word(operation)} {device} {quote(table)}"
        case op.Message(device, text):
            return f"message {device} {quote(text)}"
        case op.Suspend(device, noflush):
            return f"suspend {device} noflush" if noflush else f"suspend {device}"
        case op.Write(where, sector, count, tag):
            return f"write {where} {sector} {count} #{tag}"
        case op.Read(where, sector, count) | op.Discard(where, sector, count):
            return f"{operation_word(operation)} {where} {sector} {count}"
        case op.Fault(disk, kind, sector, count):
            return f"fault {disk} {kind} {sector} {count}"
        case op.Start(key, inner):
            return f"start {key} {print_operation(inner)}"
        case op.Finish(key):
            return f"finish {key}"
        case op.Crash() | op.Reset():
            return operation_word(operation)
        case op.Flush(name) | op.Metadata(name) | op.Heal(name) | op.Clear(name):
            return f"{operation_word(operation)} {name}"
        case op.Resume(name) | op.Remove(name) | op.Status(name) | op.Table(name) | op.Events(name) | op.Settle(name):
            return f"{operation_word(operation)} {name}"
        case op.Create():
            raise TypeError(operation)
        case _:
            assert_never(operation)


def operation_word(operation: op.Operation) -> str:
    """The first word of an operation's line: its kind."""
    return type(operation).__name__.lower()


# --- outcomes ----------------------------------------------------------------------------------------------------


def _parse_data(words: list[Word]) -> Data:
    sectors: list[Seen] = []
    for word in words:
        run = parse_run(word)
        if len(sectors) + len(run) > SECTORS_MAX:  # checked first: a short line can name any number
            raise word.refused(f"more than {SECTORS_MAX} sectors in one outcome")
        sectors += run
    return Data(tuple(sectors))


def _print_records(seen: Records) -> str:
    if seen.kind != "store":
        return seen.kind
    head = f"store valid={seen.valid} version={seen.version} chunk_size={seen.chunk_size}"
    return " ".join([head, *(f"{old}>{new}" for old, new in seen.records)])


_HEAD: Final = re.compile(
    r"valid=(\d{1,10}) version=(\d{1,10}) chunk_size=(\d{1,10})((?: \d{1,20}>\d{1,20})*)\Z", re.ASCII
)


def _parse_records(words: list[Word]) -> Records:
    match = _HEAD.match(" ".join(words))
    if match is None:
        raise TraceError("metadata is written: store valid=V version=V chunk_size=SECTORS [OLD>NEW ...]")
    pairs = (pair.split(">") for pair in match[4].split())
    records = tuple((int(old), int(new)) for old, new in pairs)
    return Records("store", int(match[1]), int(match[2]), int(match[3]), records)


def print_outcome(outcome: Outcome) -> str:
    """The canonical text of an outcome (TRACE-9)."""
    match outcome:
        case Done():
            return "ok"
        case Blocked():
            return "blocked"
        case Failed(errno, text):
            return f"error {errno}" + ("" if text is None else f" {quote(text)}")
        case Data(sectors):
            return " ".join(print_runs(sectors))
        case Line(text):
            return quote(text)
        case Count(value):
            return str(value)
        case Records():
            return _print_records(outcome)
        case Died(text):
            return f"died {quote(text)}"
        case _:
            assert_never(outcome)


_ERRNO: Final = re.compile(r"E[A-Z0-9]{1,20}\Z")


def _parse_failed(words: list[Word]) -> Failed:
    if not 1 <= len(words) <= 2 or not _ERRNO.match(words[0]):
        raise TraceError('a failure is written: error ERRNO ["TEXT"], with ERRNO by name, as in EIO')
    return Failed(str(words[0]), str(words[1]) if len(words) == 2 else None)


def parse_outcome(text: str) -> Outcome:
    """The outcome in a text (TRACE-9).  Raises TraceError (TRACE-10)."""
    if text.lstrip().startswith('"'):
        return _parse_line(text)
    match split_words(text):
        case ["ok"]:
            return Done()
        case ["blocked"]:
            return Blocked()
        case ["new" | "foreign" as kind]:
            return Records("new") if kind == "new" else Records("foreign")
        case ["store", *rest]:
            return _parse_records(rest)
        case ["error", *rest]:
            return _parse_failed(rest)
        case ["died", message]:
            return Died(str(message))
        case [first, *rest] if first[:1] in ("#", "~"):
            return _parse_data([first, *rest])
        case [word]:
            return Count(number_of(word))
        case _:
            raise TraceError(f"not an outcome: {shown(text.strip())}")


def _parse_line(text: str) -> Line:
    words = split_words(text)
    if len(words) != 1:
        raise TraceError(f"a line is one quoted text, not {len(words)} words")
    return Line(str(words[0]))


# --- whole traces ------------------------------------------------------------------------------------------------

_QUOTED_OR_ARROW: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"|( -> )')


def split_step(line: str) -> tuple[str, str | None]:
    """The operation's and the outcome's part, each in its column; an arrow inside quotes is none."""
    for match in _QUOTED_OR_ARROW.finditer(line):
        if match[1]:
            return line[: match.start()], " " * match.end() + line[match.end() :]
    return line, None


TRACE_SECTORS_MAX: Final = 1 << 23
"""The most sectors that the operations and outcomes of one trace name together (TRACE-13)."""

_BYTE_ORDER_MARK: Final = "\ufeff"


def parse_trace(trace: str | bytes) -> tuple[Step, ...]:
    """The steps of a trace; blank lines and lines that begin with ``#`` are skipped (TRACE-3).  Raises TraceError.

    Bytes are what a file or a stream held.  They are UTF-8, and their last line needs its newline too: without it the
    file was cut off, and what is left of the line may read as another step.  In a text, which Python code has made,
    the end of the text ends the last line.
    """
    return tuple(step for _, step in numbered_trace(trace))


def numbered_trace(trace: str | bytes, *, sectors_max: int = TRACE_SECTORS_MAX) -> tuple[tuple[int, Step], ...]:
    """The steps of a trace as ``parse_trace`` gives them, each with the number of its line; bounded (TRACE-13)."""
    return numbered_steps(trace, parse_step, sectors_of, sectors_max)


def numbered_steps(
    trace: str | bytes, parse: Callable[[str], T], sectors_of: Callable[[T], int], sectors_max: int = TRACE_SECTORS_MAX
) -> tuple[tuple[int, T], ...]:
    """What ``parse`` makes of each line that is a step, with the number of the line; bounded (TRACE-13).

    Raises:
        TraceError: a line can't be parsed, or the steps name more than ``sectors_max`` sectors (``sectors_of`` each).
    """
    steps = []
    sectors = 0
    for number, line in _lines(trace):
        try:
            step = parse(line)
            sectors += sectors_of(step)
            if sectors > sectors_max:
                raise TraceError(f"the trace up to here names {sectors} sectors; at most {sectors_max}")
        except TraceError as error:
            raise TraceError(error.reason, line=number, column=error.column) from None
        steps.append((number, step))
    return tuple(steps)


def _lines(trace: str | bytes) -> Iterator[tuple[int, str]]:
    """The lines that are steps, with their numbers, after a byte order mark (TRACE-15).  Raises TraceError."""
    text = _decode(trace) if isinstance(trace, bytes) else trace
    for number, line in enumerate(text.removeprefix(_BYTE_ORDER_MARK).split("\n"), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, line


def _decode(data: bytes) -> str:
    """The text of a file, which is UTF-8 and ends with a newline (TRACE-14)."""
    lines, newline, rest = data.rpartition(b"\n")
    try:
        text = (lines + newline).decode()
    except UnicodeDecodeError as error:
        raise TraceError("not UTF-8 text; a trace is a text file", line=data.count(b"\n", 0, error.start) + 1) from None
    if rest:
        number = data.count(b"\n") + 1
        reason = f"line {number} has no end: the trace is cut off, or lacks the newline that ends each line"
        raise TraceError(reason, line=number)
    return text


def parse_step(line: str) -> Step:
    """The step in one line.  Raises TraceError."""
    operation, outcome = split_step(line)
    return Step(parse_operation(operation), None if outcome is None else parse_outcome(outcome))


def sectors_of(step: Step) -> int:
    """How many sectors a step reads, writes, discards and shows, which bounds its cost."""
    operation = op.inner(step.operation)
    asked = operation.count if isinstance(operation, op.Read | op.Write | op.Discard) else 0
    return asked + (len(step.outcome.sectors) if isinstance(step.outcome, Data) else 0)


def print_trace(steps: Iterable[Step]) -> str:
    """The text of a trace, one line for each step, ending in a newline (TRACE-2)."""
    return "".join(f"{_print_step(step)}\n" for step in steps)


def _print_step(step: Step) -> str:
    line = print_operation(step.operation)
    return line if step.outcome is None else f"{line} -> {print_outcome(step.outcome)}"
