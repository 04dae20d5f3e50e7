"""Temporary folders that the next run removes when this one could not.

A process that is killed with SIGKILL leaves its temporary folder.  So each folder has a name with the number and the
start time of its process, and in it a file ``owner`` on which that process holds a lock as long as it lives.  A run
that makes a folder first removes those whose lock is free: the kernel releases it with its process, and only then.

What is not provably such a folder stays: another user's, one of another name, one whose ``owner`` is not ours, and an
empty one (which its process may have made this moment) whose process lives.
"""

import contextlib
import fcntl
import os
import re
import shutil
import stat
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Final, Self

__all__ = ["Folder", "sweep"]

_NAME: Final = re.compile(r"snapmerge-(\d{1,10})-(\d{1,20})-[a-z0-9_]+")
_OWNER: Final = "owner"
_MARK: Final = b"a temporary folder of snapmerge\n"
_TRIES: Final = 100


class Folder:
    """A new temporary folder in ``base`` (default: the system's place for them); ``path`` is a folder to use inside it.

    Removes those that dead processes have left in ``base``.  Raises OSError.
    """

    def __init__(self, base: str | Path | None = None) -> None:
        base = tempfile.gettempdir() if base is None else base
        sweep(base)
        self._whole, self._lock = _made(base)
        self.path = self._whole / "files"
        try:
            self.path.mkdir(mode=0o700)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Removes the folder; what can't be removed stays.  May be called twice."""
        if self._lock >= 0:
            _remove(self._whole)
            os.close(self._lock)
            self._lock = -1

    def __enter__(self) -> Self:
        """Gives the folder itself: it is ready."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        """Removes it."""
        self.close()


def _made(base: str | Path) -> tuple[Path, int]:
    """A new folder, and the descriptor that holds its lock."""
    for _ in range(_TRIES):
        folder = Path(tempfile.mkdtemp(prefix=f"snapmerge-{os.getpid()}-{_started(os.getpid())}-", dir=base))
        with contextlib.suppress(FileNotFoundError):  # another run has taken the folder for an orphan
            return folder, _locked(folder)
    raise OSError(f"no temporary folder in {base} stays")


def _locked(folder: Path) -> int:
    """The descriptor of a new lock in the folder.  Raises FileNotFoundError when the folder has gone meanwhile."""
    fd = os.open(folder / _OWNER, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: then no run removes anything, either
            fcntl.flock(fd, fcntl.LOCK_EX)
        os.write(fd, _MARK)
        if not _is_at(fd, folder / _OWNER):
            raise FileNotFoundError(folder)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _is_at(fd: int, path: Path) -> bool:
    """Whether the open file is still the one with this name."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False


def _started(pid: int) -> str:
    """When a process started, in ticks since the machine did; nothing if there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return "0"


def sweep(base: str | Path) -> None:
    """Removes the temporary folders in ``base`` whose process, one of this user, has died."""
    with contextlib.suppress(OSError), os.scandir(base) as entries:
        names = [entry.name for entry in entries if _NAME.fullmatch(entry.name)]
        for name in names:
            with contextlib.suppress(OSError):
                _sweep(Path(base, name))


def _sweep(folder: Path) -> None:
    """Removes the folder if it is one of snapmerge's and its process has died.  Raises OSError."""
    about = os.stat(folder, follow_symlinks=False)
    if not stat.S_ISDIR(about.st_mode) or about.st_uid != os.geteuid():
        return
    try:
        fd = os.open(folder / _OWNER, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        if not _lives(folder.name):
            folder.rmdir()  # an empty one only
        return
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        content = os.pread(fd, len(_MARK) + 1, 0)
        # A folder without a mark: its process died before it had made the lock.
        if _is_at(fd, folder / _OWNER) and (content == _MARK or (not content and not _lives(folder.name))):
            _remove(folder)
    finally:
        os.close(fd)


def _lives(name: str) -> bool:
    match = _NAME.fullmatch(name)
    return match is None or _started(int(match[1])) == match[2]


def _remove(folder: Path) -> None:
    """Removes the folder, its mark last, so that a later run recognizes what could not be removed now."""
    shutil.rmtree(folder / "files", ignore_errors=True)
    with contextlib.suppress(OSError):
        if os.listdir(folder) == [_OWNER]:
            os.unlink(folder / _OWNER)
            os.rmdir(folder)
