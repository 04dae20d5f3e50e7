"""The kernel's log, in which device-mapper says why it refuses something."""

import os
import re
from collections.abc import Callable, Iterator
from typing import Final

__all__ = ["KernelLog", "explanation", "trouble"]

_PREFIX: Final = "device-mapper: "
_TABLE: Final = re.compile(r"table: (?:\d+:|dm-)(?P<minor>\d+): (?P<text>.*)")
_ERRNO: Final = re.compile(r"(?: \(-?(?P<name>\w+)\)|: -?(?P<number>\d+))\Z")
_NUMBER: Final = re.compile(r"\b\d+:\d+\b|\bdm-\d+\b")
_RECORD_MAX: Final = 8192
_RECORDS_MAX: Final = 10_000


class KernelLog:
    """Reads ``/dev/kmsg`` from a chosen moment on.  Says nothing when it may not be read."""

    def __init__(self, path: str = "/dev/kmsg") -> None:
        try:
            self._fd: int | None = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            self._fd = None

    @property
    def readable(self) -> bool:
        """Whether there is a log to read."""
        return self._fd is not None

    def forget(self) -> None:
        """Passes over everything logged so far."""
        if self._fd is not None:
            os.lseek(self._fd, 0, os.SEEK_END)

    def lines(self) -> list[str]:
        """What has been logged since, oldest first."""
        return [] if self._fd is None else list(_records(self._fd))

    def close(self) -> None:
        """Gives the descriptor back."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def _records(fd: int) -> Iterator[str]:
    for _ in range(_RECORDS_MAX):
        try:
            record = os.read(fd, _RECORD_MAX)
        except BrokenPipeError:  # records were overwritten; the next read returns the oldest one left
            continue
        except OSError:
            return
        yield record.decode(errors="replace").partition(";")[2].partition("\n")[0]


def explanation(
    lines: list[str], name_of: Callable[[str], str | None], number: str | None = None, errno: str | None = None
) -> str | None:
    """Why an ioctl was refused, in the kernel's words, with names for the numbers of known devices.

    ``name_of`` turns "major:minor" or "dm-minor" into a name.  A line about a table wins, and most of all one that ends
    in an errno, unless it only says that preresume failed; those of the ioctl layer only repeat the errno.  What is
    said of the table of another device than the one with this ``number`` ("major:minor"), or with another ``errno``, is
    about another ioctl.
    """
    minor = number.partition(":")[2] if number is not None else None
    texts = [line.removeprefix(_PREFIX) for line in lines if line.startswith(_PREFIX)]
    texts = [text for text in texts if not text.startswith("ioctl:")]
    matches = {text: match for text in texts if (match := _TABLE.fullmatch(text))}
    others = {t for t, match in matches.items() if minor not in (None, match["minor"]) or not _has_errno(t, errno)}
    texts = [text for text in texts if text not in others]
    tables = [matches[text]["text"] for text in texts if text in matches]
    reasons = [text for text in tables if "preresume failed" not in text]
    chosen = [*filter(_ERRNO.search, reasons), *reasons, *texts]
    return _named(_ERRNO.sub("", chosen[0]), name_of) if chosen else None


def _has_errno(text: str, errno: str | None) -> bool:
    """Whether a line may be about a failure with this errno: it ends in none, or in that."""
    match = _ERRNO.search(text)
    return errno is None or match is None or match["name"] in (errno, None)


def _named(text: str, name_of: Callable[[str], str | None]) -> str:
    def one(match: re.Match[str]) -> str:
        return name_of(match[0]) or match[0]

    return _NUMBER.sub(one, text)


_TROUBLE: Final = re.compile(
    r"BUG:|WARNING:|Oops|Kernel panic|kernel BUG at|general protection|segfault with no mm", re.IGNORECASE
)


def trouble(lines: list[str]) -> str | None:
    """The log from the first line that reports trouble (a panic, a bug, a hung task); None without one."""
    for at, line in enumerate(lines):
        if _TROUBLE.search(line):
            return "\n".join(lines[at : at + 40])
    return None
