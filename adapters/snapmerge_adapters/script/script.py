"""A trace as a shell script of ``dmsetup`` and ``dd``, for a machine that has neither Python nor snapmerge.

The script prints what it sees as a trace again.  Its functions are in ``script.sh``; each step of the trace is a line.
"""

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, assert_never

from snapmerge import (
    DEVICE_ARGUMENTS,
    Clear,
    Crash,
    Create,
    Discard,
    Disk,
    Events,
    Failed,
    Fault,
    Finish,
    Flush,
    Heal,
    Load,
    Message,
    Metadata,
    Operation,
    Read,
    Remove,
    Reset,
    Resume,
    Settle,
    Start,
    Status,
    Step,
    Suspend,
    Table,
    Write,
    operation_word,
    print_operation,
    print_outcome,
)

__all__ = ["Script", "shell_script"]

_FOUNDATION: Final = Path(__file__).with_name("script.sh")

_END: Final = """
if [ "$differing" -gt 0 ]; then
    echo "$0: $differing steps differ from what was expected" >&2
    exit 1
fi
"""


@dataclass(frozen=True, slots=True)
class Script:
    """The script, and as ``LINE: PROBLEM`` the steps that no script can do: with any of these it only fails."""

    text: str
    problems: tuple[str, ...]


def shell_script(steps: Sequence[Step], *, lines: Sequence[int] = (), source: str = "a trace") -> Script:
    """The script of a trace.  ``lines`` are the steps' line numbers (default: 1, 2...), ``source`` the trace's name."""
    lines = lines or range(1, len(steps) + 1)
    problems = tuple(
        f"{line}: {problem}" for line, step in zip(lines, steps, strict=True) if (problem := _problem(step.operation))
    )
    faulty = frozenset(_faulty(step.operation) for step in steps)
    parts = [
        f"#!/bin/sh\n# Made by snapmerge from {_comment(source)}.\n#\n",
        _warnings(steps),
        _refusal(source, problems),
        _FOUNDATION.read_text(encoding="utf-8"),
        *(_step(line, step, faulty) for line, step in zip(lines, steps, strict=True)),
        _END,
    ]
    return Script("".join(parts), problems)


def _comment(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)


def _problem(operation: Operation) -> str:
    match operation:
        case Crash():
            return "crash: a script can't cut the power"
        case Fault(_, "flush"):
            return "fault: no error table fails flushes alone"
        case Start(_, inner):
            return _problem(inner)
        case _:
            return ""


def _faulty(operation: Operation) -> str:
    if isinstance(operation, Start):
        return _faulty(operation.operation)
    return operation.disk if isinstance(operation, Fault | Heal) else ""


def _warnings(steps: Sequence[Step]) -> str:
    if not any(isinstance(step.operation, Fault) for step in steps):
        return ""
    return (
        "# Faults are error tables, which fail reads and writes alike, and never a flush: where the trace fails only\n"
        "# one kind, this script may see more errors than the trace has.\n#\n"
    )


def _refusal(source: str, problems: tuple[str, ...]) -> str:
    """What makes a script that can't do its trace fail, before it has touched anything."""
    if not problems:
        return ""
    texts = [f"{_comment(source)}:{problem}" for problem in problems]
    comments = "".join(f"# {text}\n" for text in texts)
    says = "".join(f'echo "$0: can not be done:" {shlex.quote(text)} >&2\n' for text in texts)
    return f"# THIS SCRIPT ONLY FAILS.  The trace has what no script can do:\n{comments}{says}exit 2\n\n"


def _step(number: int, step: Step, faulty: frozenset[str]) -> str:
    """The line of a step, under a comment with its line number and, where it is more than is compared, the outcome."""
    expected = _expected(step)
    full = "" if step.outcome is None else print_outcome(step.outcome)
    comment = f"# line {number}" + (f": {full}" if full != expected else "")
    line = shlex.quote(print_operation(step.operation))
    return f"{comment}\nstep {line} {shlex.quote(expected)} {_call(step.operation, faulty)}\n"


def _expected(step: Step) -> str:
    """What the script compares: of an error only the number, as the kernel's message is in its log."""
    match step.outcome:
        case None:
            return ""
        case Failed(errno, _):
            return f"error {errno}"
        case outcome:
            return print_outcome(outcome)


def _call(operation: Operation, faulty: frozenset[str]) -> str:
    """The shell function and its arguments.  Names are safe in a shell, and so are numbers."""
    match operation:
        case Disk(name, size):
            return f"disk {name} {size}" + (" faulty" if name in faulty else "")
        case Create(device, None):
            return f"create {device}"
        case Create(device, str(table)) | Load(device, table):
            return f"{operation_word(operation)} {device} {_table(table)}"
        case Suspend(device, noflush):
            return f"suspend {device}" + (" --noflush" if noflush else "")
        case Message(device, text):
            return f"message {device} {shlex.quote(text)}"
        case Write(where, sector, count, tag):
            return f"write {where} {sector} {count} {tag}"
        case Read(where, sector, count):
            return f"read_sectors {where} {sector} {count}"
        case Fault(name, _, sector, count):
            return f"fault {name} {sector} {count}"
        case Start(key, inner):
            return f"start {key} {_call(inner, faulty)}"
        case Discard() | Flush() | Metadata() | Heal() | Clear() | Resume() | Remove() | Finish() | Crash() | Reset():
            return print_operation(operation)
        case Status() | Table() | Events() | Settle():
            return print_operation(operation)
        case Create():
            raise TypeError(operation)
        case _:
            assert_never(operation)


def _table(text: str) -> str:
    """The table with paths for the names of disks and devices, as one shell word."""
    return '"' + ";".join(map(_table_line, re.split(r"[;\n]", text))) + '"'


def _table_line(line: str) -> str:
    words = line.split()
    target = words[2] if len(words) > 2 else ""
    devices = {at + 3 for at in DEVICE_ARGUMENTS.get(target, ())}
    return " ".join(("$dev/" if at in devices else "") + _in_quotes(word) for at, word in enumerate(words))


def _in_quotes(word: str) -> str:
    return re.sub(r'([\\"$`])', r"\\\1", word)
