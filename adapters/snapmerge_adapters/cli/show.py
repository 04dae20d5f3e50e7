"""What people see: words in colour on a terminal, two-column tables, and a progress bar."""

import os
import shutil
import sys
import textwrap
from collections.abc import Iterable
from typing import Final, TextIO

from snapmerge_adapters.cli.streams import forget

__all__ = ["Bar", "coloured", "complain", "one_line", "table"]

_COLOURS: Final = {"red": 31, "green": 32, "yellow": 33}
_BAR: Final = 30


def _has_colours(stream: TextIO) -> bool:
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def coloured(text: str, colour: str, stream: TextIO | None = None) -> str:
    """The text in a colour if the stream (standard output) is a terminal that wants some."""
    if not _has_colours(stream or sys.stdout):
        return text
    return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m"


def complain(text: str) -> None:
    """One line on standard error, if it can be written there: the exit code tells, too."""
    try:
        print(f"snapmerge: {text}", file=sys.stderr, flush=True)
    except OSError:
        forget(sys.stderr)


def one_line(text: str) -> str:
    """The text without line breaks and control characters, for a comment or a message."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())


def table(rows: Iterable[tuple[str, str]], width: int | None = None) -> str:
    """Rows of a name and a text, the texts wrapped in a column of their own, but not at a no-break space."""
    rows = list(rows)
    indent = max((len(name) for name, _ in rows), default=0) + 3
    width = max(width or shutil.get_terminal_size((100, 24)).columns, indent + 20)
    lines = []
    for name, text in rows:
        body = textwrap.wrap(text, width - indent, break_long_words=False, break_on_hyphens=False) or [""]
        lines += [f"{name:<{indent}}{body[0]}", *(" " * indent + more for more in body[1:])]
    return "".join(f"{line.rstrip()}\n" for line in lines).replace("\N{NO-BREAK SPACE}", " ")


class Bar:
    """A progress bar on standard error, if that is a terminal.  Call it with how many are done, and of how many."""

    def __init__(self, what: str, stream: TextIO | None = None) -> None:
        self._what = what
        self._stream = stream or sys.stderr
        self._shown = ""

    def __call__(self, done: int, total: int) -> None:
        """Draws it anew, if it looks different now."""
        if not self._stream.isatty():
            return
        full = _BAR * done // max(total, 1)
        text = f"{self._what} [{'#' * full}{'.' * (_BAR - full)}] {done}/{total}"
        if text != self._shown:
            self._stream.write(f"\r{text}\x1b[K")
            self._stream.flush()
            self._shown = text

    def clear(self) -> None:
        """Removes the bar."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
            self._shown = ""
