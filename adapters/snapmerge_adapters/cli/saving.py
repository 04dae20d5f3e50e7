"""Where the traces of what was found are saved: in files that were not there."""

import tempfile
from pathlib import Path
from typing import Final

from snapmerge_adapters.cli.errors import CommandError
from snapmerge_adapters.kept_file import keep_new

__all__ = ["save_directory", "save_new"]

_NAMES_MAX: Final = 1000


def save_directory(name: str | None) -> Path | None:
    """Where traces are to go; made now, so that a long command does not end with a folder that can't be made."""
    if name is None:
        return None
    directory = Path(name)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--save {name}: {error.strerror}; name a directory that can be written") from None
    return directory


def save_new(name: str, text: str, directory: Path | None) -> Path:
    """Writes a trace into the directory: the one asked for, else the current one, else a temporary one.

    Raises:
        CommandError: it can't be written; the message has the trace.
    """
    places = [directory] if directory is not None else [Path(), Path(tempfile.gettempdir())]
    problems = []
    for place in places:
        try:
            return _write_new(place, name, text)
        except OSError as error:
            problems.append(f"{place}: {error.strerror}")
    raise CommandError(f"something was found, but the trace can't be saved; {'; '.join(problems)}\n{text}")


def _write_new(directory: Path, name: str, text: str) -> Path:
    """Into a file that was not there: nothing of the user's is overwritten."""
    for number in range(1, _NAMES_MAX):
        path = directory / (f"{name}.trace" if number == 1 else f"{name}-{number}.trace")
        try:
            keep_new(path, text)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(17, f"there are {_NAMES_MAX} traces of this name already: {name}")
