"""Trace files, read with the line number of each step, so that every message can name the place."""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from snapmerge import (
    Capabilities,
    ControlStep,
    Create,
    Discard,
    Disk,
    Fault,
    Load,
    Operation,
    Outcome,
    Reset,
    Start,
    Step,
    TraceError,
    alike,
    counted,
    numbered_controlled_trace,
    numbered_trace,
    operation_word,
    print_operation,
    shortened,
)
from snapmerge_adapters.cli.errors import CommandError
from snapmerge_adapters.model.memory import model_capabilities

__all__ = [
    "ControlledTrace",
    "Trace",
    "check_capabilities",
    "lacking",
    "read_controlled_trace",
    "read_trace",
    "same_outcome",
]

T = TypeVar("T")

_BYTES_MAX: Final = 64 << 20


@dataclass(frozen=True, slots=True)
class Trace:
    """A trace and where it is from: ``lines`` has each step's line number."""

    name: str
    steps: tuple[Step, ...]
    lines: tuple[int, ...]

    def where(self, index: int) -> str:
        """FILE:LINE of a step."""
        return f"{self.name}:{self.lines[index]}"


def read_trace(path: str, *, bytes_max: int = _BYTES_MAX) -> Trace:
    """The trace in a file, or on standard input for ``-``.  Raises CommandError."""
    name = "<stdin>" if path == "-" else path
    lines, steps = zip(*_numbered(name, _read(path, name, bytes_max), numbered_trace), strict=True)
    return Trace(name, steps, lines)


@dataclass(frozen=True, slots=True)
class ControlledTrace:
    """A trace that may have lines about the disks, and where it is from."""

    name: str
    steps: tuple[Step | ControlStep, ...]
    lines: tuple[int, ...]


def read_controlled_trace(path: str, *, bytes_max: int = _BYTES_MAX) -> ControlledTrace:
    """The same for a trace that may have lines about the disks."""
    name = "<stdin>" if path == "-" else path
    lines, steps = zip(*_numbered(name, _read(path, name, bytes_max), numbered_controlled_trace), strict=True)
    return ControlledTrace(name, steps, lines)


def _numbered(name: str, data: bytes, parse: Callable[[bytes], tuple[tuple[int, T], ...]]) -> tuple[tuple[int, T], ...]:
    try:
        numbered = parse(data)
    except TraceError as error:
        column = f":{error.column}" if error.column else ""
        raise CommandError(f"{name}:{error.line}{column}: {error.reason}") from None
    if not numbered:
        raise CommandError(f"{name}: there are no steps in it; a trace has lines such as: disk base 64")
    return numbered


def _read(path: str, name: str, bytes_max: int) -> bytes:
    try:
        if path == "-":
            if sys.stdin is None:
                raise CommandError(f"{name}: can't be read: it is closed")
            data = sys.stdin.buffer.read(bytes_max + 1)
        else:
            with Path(path).open("rb") as file:
                data = file.read(bytes_max + 1)
    except OSError as error:
        raise CommandError(f"{name}: can't be read: {error.strerror}") from None
    if len(data) > bytes_max:
        raise CommandError(f"{name}: longer than {bytes_max >> 20} MiB; is it a trace?")
    return data


# --- what a trace needs ------------------------------------------------------------------------------------------


def check_capabilities(trace: Trace, capabilities: Capabilities) -> None:
    """Raises CommandError when the implementation lacks what a step needs; the message says which and what."""
    sectors = 0
    for index, step in enumerate(trace.steps):
        match step.operation:
            case Reset():
                sectors = 0
            case Disk(_, size):
                sectors += size
        lacks = lacking(step.operation, capabilities)
        if lacks is None and sectors > capabilities.sectors_max:
            lacks = f"more than {counted(capabilities.sectors_max, 'sector')} of disks ({sectors} by now)"
        if lacks is not None:
            subject = capabilities.about or "the implementation"
            line = shortened(print_operation(step.operation))
            raise CommandError(f"{trace.where(index)}: {line}: {subject} lacks this: {lacks}")


def lacking(operation: Operation, capabilities: Capabilities) -> str | None:
    """In words, what an operation needs and the implementation lacks; None: nothing."""
    return next(_lacking(operation, capabilities), None)


def _lacking(operation: Operation, capabilities: Capabilities) -> Iterator[str]:
    if (word := operation_word(operation)) not in capabilities.operations:
        hint = "; --volatile makes it possible" if word == "crash" else ""
        yield f"the operation {word}{hint}"
    match operation:
        case Start(_, inner):
            yield from _lacking(inner, capabilities)
        case Fault(_, kind) if kind not in capabilities.faults:
            yield f"faults of kind {kind}"
        case Discard() if "discard" not in capabilities.features:
            yield "discards"
        case Create(_, str(table)) | Load(_, table):
            yield from (f"the target {target}" for target in _targets(table) if target not in capabilities.targets)


def _targets(table: str) -> Iterable[str]:
    """The targets of a table that the model knows; an implementation need not have any other."""
    words = (line.split() for line in table.split(";"))
    return [line[2] for line in words if len(line) > 2 and line[2] in model_capabilities("").targets]


# --- recorded and seen -------------------------------------------------------------------------------------------


def same_outcome(recorded: Outcome | None, seen: Outcome) -> bool:
    """Whether nothing was recorded, or what was seen; a message that one side does not have is not compared."""
    return recorded is None or alike(recorded, seen)
