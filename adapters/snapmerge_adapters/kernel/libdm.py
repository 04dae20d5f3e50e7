"""A small typed binding of libdevmapper: one function a device-mapper ioctl, no subprocess.

Names here are whole device-mapper names.  The library's own log is silenced; a failure is a ``DmError`` with the
kernel's errno.  Source: ``libdevmapper.h`` of LVM2.
"""

import ctypes
import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_int32, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Final

from snapmerge_adapters.unavailable import Unavailable

__all__ = ["Control", "DmError", "Info", "Libdm", "Target", "errno_name"]

_LIBRARY: Final = "libdevmapper.so.1.02.1"

_CREATE, _RELOAD, _INFO = 0, 1, 6
_STATUS, _TABLE, _LIST_VERSIONS, _MESSAGE, _TARGET_VERSION = 10, 11, 16, 17, 20

# From linux/dm-ioctl.h: struct dm_ioctl, and what is asked of the kernel with it.
_CONTROL: Final = Path("/dev/mapper/control")
_HEADER: Final = struct.Struct("=3IIIIiIIIQ128s136s")
_VERSION: Final = (4, 0, 0)
_DEV_REMOVE, _DEV_SUSPEND, _TABLE_CLEAR = 0xC138FD04, 0xC138FD06, 0xC138FD0A
_SUSPEND_FLAG, _NOFLUSH_FLAG = 1 << 1, 1 << 11


class DmError(OSError):
    """The kernel refused a device-mapper ioctl; ``errno`` says why."""


def errno_name(number: int | None) -> str:
    """EIO for 5, and so on; E999 for a number without a name."""
    if number == errno.EOPNOTSUPP:  # Python prefers ENOTSUP, which Linux has under the same number
        return "EOPNOTSUPP"
    return errno.errorcode.get(number or 0, f"E{number or 0}")


@dataclass(frozen=True, slots=True)
class Target:
    """One line of a table: ``start`` and ``length`` in sectors."""

    start: int
    length: int
    kind: str
    arguments: str

    def __str__(self) -> str:
        return f"{self.start} {self.length} {self.kind} {self.arguments}".rstrip()


@dataclass(frozen=True, slots=True)
class Info:
    """What the kernel says about a device, whatever it was asked."""

    suspended: bool
    live_table: bool
    inactive_table: bool
    open_count: int
    event_nr: int
    major: int
    minor: int


class _DmInfo(Structure):
    _fields_ = [
        ("exists", c_int),
        ("suspended", c_int),
        ("live_table", c_int),
        ("inactive_table", c_int),
        ("open_count", c_int32),
        ("event_nr", c_uint32),
        ("major", c_uint32),
        ("minor", c_uint32),
        ("read_only", c_int),
        ("target_count", c_int32),
        ("deferred_remove", c_int),
        ("internal_suspend", c_int),
    ]


class _DmVersions(Structure):
    _fields_ = [("next", c_uint32), ("version", c_uint32 * 3)]


_TEXT: Final = POINTER(c_char_p)
_NUMBER: Final = POINTER(c_uint64)
_PROTOTYPES: Final[dict[str, tuple[object, ...]]] = {
    "dm_task_create": (c_void_p, c_int),
    "dm_task_destroy": (None, c_void_p),
    "dm_task_set_name": (c_int, c_void_p, c_char_p),
    "dm_task_set_message": (c_int, c_void_p, c_char_p),
    "dm_task_set_sector": (c_int, c_void_p, c_uint64),
    "dm_task_add_target": (c_int, c_void_p, c_uint64, c_uint64, c_char_p, c_char_p),
    "dm_task_run": (c_int, c_void_p),
    "dm_task_get_errno": (c_int, c_void_p),
    "dm_task_get_info": (c_int, c_void_p, POINTER(_DmInfo)),
    "dm_task_get_versions": (c_void_p, c_void_p),
    "dm_get_next_target": (c_void_p, c_void_p, c_void_p, _NUMBER, _NUMBER, _TEXT, _TEXT),
    "dm_log_with_errno_init": (None, c_void_p),
}


def _load_library() -> ctypes.CDLL:
    # There may be no udev, and we wait for none.
    os.environ["DM_DISABLE_UDEV"] = "1"
    try:
        library = ctypes.CDLL(_LIBRARY)
    except OSError:
        raise Unavailable(f"{_LIBRARY} is missing: the package libdevmapper1.02.1 brings it") from None
    for name, (result, *arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    # The log function is called for every step, with C's variable arguments.  Any C function that ignores what
    # it is given keeps the library silent without a call into Python.
    library.dm_log_with_errno_init(ctypes.cast(ctypes.CDLL(None).abs, c_void_p))
    return library


class Control:
    """Ioctls on the control node without the library, since several threads may make one at a time.

    After a resume and a remove the library keeps what it has to do for the device's node in a list of the whole
    process, which no lock guards.  The nodes used here are the kernel's own, and need none of that.
    """

    def __init__(self, node: Path = _CONTROL, ioctl: Callable[[FileIO, int, bytearray], object] = fcntl.ioctl) -> None:
        self._node = node
        self._ioctl = ioctl

    def _request(self, request: int, name: str, flags: int = 0) -> None:
        head = _HEADER.pack(*_VERSION, _HEADER.size, 0, 0, 0, flags, 0, 0, 0, name.encode(), b"")
        try:
            with self._node.open("rb", buffering=0) as control:
                self._ioctl(control, request, bytearray(head))
        except OSError as error:
            number = error.errno or errno.EINVAL
            raise DmError(number, os.strerror(number)) from None

    def clear(self, name: str) -> None:
        """Drops the inactive table, if there is one."""
        self._request(_TABLE_CLEAR, name)

    def resume(self, name: str) -> None:
        """Makes the inactive table live, if there is one, and lets I/O flow."""
        self._request(_DEV_SUSPEND, name)

    def suspend(self, name: str, *, noflush: bool = False) -> None:
        """Waits for the I/O in flight and holds back what follows."""
        self._request(_DEV_SUSPEND, name, _SUSPEND_FLAG | (_NOFLUSH_FLAG if noflush else 0))

    def remove(self, name: str) -> None:
        """Removes the device."""
        self._request(_DEV_REMOVE, name)


class Libdm(Control):
    """The library, loaded.  Raises Unavailable when it is not installed."""

    def __init__(self) -> None:
        super().__init__()
        self._library = _load_library()

    @contextmanager
    def _task(self, kind: int, name: str | None = None) -> Iterator[c_void_p]:
        task = self._library.dm_task_create(kind)
        if not task:
            raise DmError(errno.ENOMEM, "dm_task_create")
        try:
            if name is not None and not self._library.dm_task_set_name(task, name.encode()):
                raise DmError(errno.EINVAL, "dm_task_set_name")
            yield task
        finally:
            self._library.dm_task_destroy(task)

    def _run(self, task: c_void_p) -> None:
        if not self._library.dm_task_run(task):
            number = self._library.dm_task_get_errno(task) or errno.EINVAL
            raise DmError(number, os.strerror(number))

    def _info(self, task: c_void_p) -> Info:
        info = _DmInfo()
        # The library takes ENXIO from a status for success: the device does not exist.
        if not self._library.dm_task_get_info(task, byref(info)) or not info.exists:
            raise DmError(errno.ENXIO, os.strerror(errno.ENXIO))
        return Info(
            bool(info.suspended),
            bool(info.live_table),
            bool(info.inactive_table),
            info.open_count,
            info.event_nr,
            info.major,
            info.minor,
        )

    def create(self, name: str) -> Info:
        """Makes a device without a table."""
        with self._task(_CREATE, name) as task:
            self._run(task)
            return self._info(task)

    def load(self, name: str, targets: Iterable[Target]) -> None:
        """Constructs the inactive table."""
        with self._task(_RELOAD, name) as task:
            for target in targets:
                kind, arguments = target.kind.encode(), target.arguments.encode()
                if not self._library.dm_task_add_target(task, target.start, target.length, kind, arguments):
                    raise DmError(errno.EINVAL, "dm_task_add_target")
            self._run(task)

    def message(self, name: str, text: str) -> None:
        """Sends a message to the target at sector 0."""
        with self._task(_MESSAGE, name) as task:
            self._library.dm_task_set_sector(task, 0)
            if not self._library.dm_task_set_message(task, text.encode()):
                raise DmError(errno.EINVAL, "dm_task_set_message")
            self._run(task)

    def info(self, name: str) -> Info:
        """The device's state."""
        with self._task(_INFO, name) as task:
            self._run(task)
            return self._info(task)

    def status(self, name: str) -> tuple[Info, tuple[Target, ...]]:
        """The device's state and the status of each live target."""
        return self._lines(_STATUS, name)

    def table(self, name: str) -> tuple[Info, tuple[Target, ...]]:
        """The device's state and its live table."""
        return self._lines(_TABLE, name)

    def _lines(self, kind: int, name: str) -> tuple[Info, tuple[Target, ...]]:
        with self._task(kind, name) as task:
            self._run(task)
            info = self._info(task)
            return info, tuple(self._targets(task)) if info.live_table else ()

    def _targets(self, task: c_void_p) -> Iterator[Target]:
        start, length, kind, arguments = c_uint64(), c_uint64(), c_char_p(), c_char_p()
        following: c_void_p | None = None
        while True:
            following = self._library.dm_get_next_target(
                task, following, byref(start), byref(length), byref(kind), byref(arguments)
            )
            if kind.value is not None:
                text = (arguments.value or b"").decode(errors="replace")
                yield Target(start.value, length.value, kind.value.decode(), text)
            if not following:
                return

    def ensure(self, target: str) -> None:
        """Has the kernel load the module of a target, if there is one and it may."""
        with suppress(DmError), self._task(_TARGET_VERSION, target) as task:
            self._run(task)

    def versions(self) -> dict[str, str]:
        """The registered targets and their versions, as in {"snapshot": "1.16.0"}."""
        found: dict[str, str] = {}
        with self._task(_LIST_VERSIONS) as task:
            self._run(task)
            at = self._library.dm_task_get_versions(task)
            while at:
                entry = _DmVersions.from_address(at)
                name = ctypes.string_at(at + ctypes.sizeof(_DmVersions)).decode()
                found[name] = ".".join(map(str, entry.version))
                at = at + entry.next if entry.next else 0
        return found
