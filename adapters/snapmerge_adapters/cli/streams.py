"""The command's standard streams: any of them may be closed, on a full disk, or a pipe without a reader."""

import contextlib
import io
import os
import sys
from typing import TextIO

__all__ = ["flush_output", "forget", "stand_in"]


def stand_in() -> bool:
    """Whether there is a standard output; a closed stream gets a stand-in, so that no file gets its number.

    ``sys.stdin`` stays None when it is closed: a command that reads it reports that.
    """
    if sys.stdin is None:
        os.open(os.devnull, os.O_WRONLY)
    is_open = sys.stdout is not None
    if not is_open:
        os.open(os.devnull, os.O_RDONLY)
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115  # it is open until the end
    return is_open


def forget(stream: TextIO) -> None:
    """Discards what is written to the stream, so that Python does not complain when it flushes at the end."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def flush_output() -> None:
    """Writes what is still buffered.  Raises OSError, after which standard output is forgotten."""
    try:
        sys.stderr.flush()
    except OSError:
        forget(sys.stderr)
    if isinstance(sys.stdout, io.TextIOWrapper):
        try:
            sys.stdout.flush()
        except OSError:
            forget(sys.stdout)
            raise
