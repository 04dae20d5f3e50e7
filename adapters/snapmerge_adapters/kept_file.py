"""Files that users keep: each is written as a whole or not at all, and an existing one is kept until then.

A file is written beside its place, made durable, and renamed.  A failure on the way (a full disk, a limit, an
interrupt) leaves an existing file as it was, and no partial one.
"""

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path

__all__ = ["can_keep", "keep", "keep_new"]


def keep(path: Path, text: str) -> None:
    """Writes the file, in place of one that is there.  Raises OSError.

    A link is followed, and an existing file's permissions are kept.  What is no regular file (a device, a pipe) takes
    the text as it is, since it can't be replaced.
    """
    if _is_special(path):
        path.write_text(text, encoding="utf-8")
        return
    real = _replaceable(path)
    _beside(real, text, lambda made: made.replace(real))


def keep_new(path: Path, text: str) -> None:
    """Writes a file that is not there.  Raises FileExistsError when it is, and OSError."""
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path))
    _beside(path, text, lambda made: _place(made, path))


def can_keep(path: Path) -> None:
    """Raises the OSError of a file that can't be made there, and leaves everything as it is."""
    if not _is_special(path):
        _beside(_replaceable(path), "", Path.unlink)


def _replaceable(path: Path) -> Path:
    """What the name leads to.  A file that can't be written to is not replaced, though its folder would allow it."""
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
    return Path(os.path.realpath(path))


def _is_special(path: Path) -> bool:
    """Whether it is written to in place; as /dev/stdout is, whatever that leads to."""
    folder = str(path.absolute().parent)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    return path.exists() and (not path.is_file() or folder in ("/dev", "/dev/fd") or folder.startswith("/proc/"))


def _beside(path: Path, text: str, use: Callable[[Path], object]) -> None:
    """Makes a file with this text beside ``path``, durable, and uses it; after a failure it is not there."""
    made = path.with_name(f".snapmerge-{secrets.token_hex(8)}.tmp")
    try:
        with made.open("x", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            with contextlib.suppress(OSError):  # there is none, or it is another user's
                os.fchmod(file.fileno(), stat.S_IMODE(path.stat().st_mode))
            os.fsync(file.fileno())
        use(made)
    finally:
        with contextlib.suppress(OSError):
            made.unlink(missing_ok=True)
    _sync_folder(path.parent)


def _place(made: Path, path: Path) -> None:
    """Gives the file its name, if no other has it meanwhile."""
    try:
        path.hardlink_to(made)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        made.replace(path)


def _sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable, where the file system can: the file is whole all the same."""
    with contextlib.suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
