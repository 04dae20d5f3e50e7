"""Table lines: what a user loads into a device, parsed, checked and printed as the kernel does.

Nothing here knows which devices exist; the constructor (``_construct``) goes on where the arguments end.
Source: ``dm_table_add_target``, ``snapshot_ctr``, ``parse_snapshot_features``, ``dm_exception_store_create``.
"""

import re
from dataclasses import dataclass
from typing import Final

from ._errors import OperationError
from ._shown import shown
from ._store import Persistent, Store, Transient
from ._units import Sector, Sectors, is_chunk_size

__all__ = ["TARGETS", "BadTable", "Features", "TableLine", "parse_features", "parse_store", "parse_table", "print_line"]

TARGETS: Final = ("linear", "snapshot", "snapshot-merge", "snapshot-origin")


class BadTable(Exception):
    """A table that the kernel refuses: ``errno`` by name, and the message as it stands in the log."""

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


@dataclass(frozen=True, slots=True)
class Features:
    """The feature arguments of ``snapshot`` and ``snapshot-merge``."""

    zeroes: bool = False
    passdown: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """As the table line has them: nothing, or a count and names."""
        names = ("discard_zeroes_cow",) * self.zeroes + ("discard_passdown_origin",) * self.passdown
        return (str(len(names)), *names) if names else ()


def parse_features(args: tuple[str, ...]) -> Features:
    """The features among the arguments from the fifth on.  Raises BadTable.  Source: ``parse_snapshot_features``."""
    if not args:
        return Features()
    count = int(args[0]) if re.fullmatch(r"[0-9]{1,9}", args[0]) else 99
    if count > min(2, len(args) - 1):
        raise BadTable("Invalid number of feature arguments")
    features, problem = Features(), ""
    for word in args[1 : 1 + count]:
        match word.lower():
            case "discard_zeroes_cow":
                features = Features(zeroes=True, passdown=features.passdown)
            case "discard_passdown_origin":
                features = Features(zeroes=features.zeroes, passdown=True)
            case _:
                problem = "Unrecognised feature requested"
                break
    if features.passdown and not features.zeroes:
        problem = "discard_passdown_origin feature depends on discard_zeroes_cow"
    if problem:
        raise BadTable(problem)
    return features


def parse_store(kind: str, chunk_size: str) -> Store | None:
    """The store that two arguments ask for; None when the kernel refuses them, which it does with one text for all.

    The first letter selects the type, the second is the persistent store's option; a chunk size of 0 means "not
    supplied".
    """
    size = _parse_chunk_size(chunk_size)
    if size is None:
        return None
    match kind[0].upper(), kind[1:2].upper():
        case "P", ("" | "O") as option:
            return Persistent(size, overflow=option == "O", supplied=size != 0)
        case "N", _:
            return Transient(size)
        case _:
            return None


def _parse_chunk_size(word: str) -> int | None:
    if not re.fullmatch(r"\+?[0-9]+", word, re.ASCII) or len(word) > 19:
        return None
    size = int(word)
    return size if size == 0 or is_chunk_size(size) else None
