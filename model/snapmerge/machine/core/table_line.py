"""Table lines: what a user loads into a device, parsed and printed as the kernel does.

Nothing here knows which devices or targets exist; a target's constructor parses the arguments.
Source: ``dm_table_add_target``.
"""

from snapmerge.errors import OperationError
from snapmerge.messages import shown
from snapmerge.records import dataclass
from snapmerge.units import Sector, Sectors

__all__ = ["BadTable", "TableLine", "parse_table", "print_line"]


class BadTable(Exception):
    """A table that the kernel refuses: ``errno`` by name, and the message as it stands in the log ("": none)."""

    def __init__(self, text: str, errno: str = "EINVAL") -> None:
        self.text, self.errno = text, errno
        super().__init__(f"{text} ({errno})")


@dataclass(frozen=True, slots=True)
class TableLine:
    """``START LEN TARGET ARGS``, in sectors."""

    start: Sector
    length: Sectors
    target: str
    args: tuple[str, ...]


def parse_table(text: str) -> tuple[TableLine, ...]:
    """The lines of a table; ``;`` separates them.  Raises OperationError for what no device-mapper tool would send."""
    return tuple(_parse_line(line) for line in text.split(";"))


def _parse_line(line: str) -> TableLine:
    words = line.split()
    if len(words) < 3 or not all(w.isascii() and w.isdecimal() and len(w) < 19 for w in words[:2]):
        raise OperationError(f"not a table line: {shown(line.strip())}; it is written: START LENGTH TARGET ARGUMENTS")
    if len(words[2]) > 15:
        raise OperationError(f"{shown(words[2])} is too long for a target; device-mapper takes 15 characters at most")
    return TableLine(Sector(int(words[0])), Sectors(int(words[1])), words[2], tuple(words[3:]))


def print_line(line: TableLine) -> str:
    """The line, as the kernel prints it."""
    return " ".join((str(line.start), str(line.length), line.target, *line.args))
