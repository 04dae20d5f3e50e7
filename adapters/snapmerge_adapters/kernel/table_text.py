"""Table lines: names of disks and devices on our side, numbers on the kernel's."""

import re
from collections.abc import Callable, Iterable
from typing import Final

from snapmerge import DEVICE_ARGUMENTS, OperationError, shown
from snapmerge_adapters.kernel.libdm import Target

__all__ = ["parse_table", "print_targets"]

_LINE: Final = re.compile(r"\s*(\d{1,20})\s+(\d{1,20})\s+(\S+)(?:\s+(.*?))?\s*\Z", re.ASCII | re.DOTALL)
_DEVNO: Final = re.compile(r"\d+:\d+\Z")
_FOREIGN: Final = re.compile(r"/|\A\d+:\d+\Z")
_U64: Final = 1 << 64


def parse_table(text: str, device_of: Callable[[str], str]) -> tuple[Target, ...]:
    """The targets of a table, whose lines are joined by ``;``.

    ``device_of`` turns a name into what the kernel opens.  Raises OperationError when a line is not
    START LEN TARGET [ARGS].
    """
    return tuple(_parse_line(line, device_of) for line in re.split(r"[;\n]", text))


def _parse_line(line: str, device_of: Callable[[str], str]) -> Target:
    match = _LINE.match(line)
    if match is None or max(int(match[1]), int(match[2])) >= _U64:
        raise OperationError(f"not a table line: {shown(line.strip())}; it is START LENGTH TARGET [ARGUMENTS]")
    words = (match[4] or "").split()
    devices = DEVICE_ARGUMENTS.get(match[3], ())
    for at, word in enumerate(words):
        # A target of which we know no device must not get at one that is not ours.
        if at in devices or (not devices and _FOREIGN.search(word)):
            words[at] = device_of(word)
    return Target(int(match[1]), int(match[2]), match[3], " ".join(words))


def print_targets(targets: Iterable[Target], name_of: Callable[[str], str | None]) -> str:
    """The lines of a table or status as one text; ``name_of`` turns "major:minor" into a name."""
    return "; ".join(_print_line(target, name_of) for target in targets)


def _print_line(target: Target, name_of: Callable[[str], str | None]) -> str:
    words = (name_of(word) or word if _DEVNO.match(word) else word for word in target.arguments.split(" "))
    return f"{target.start} {target.length} {target.kind} {' '.join(words)}".rstrip()
