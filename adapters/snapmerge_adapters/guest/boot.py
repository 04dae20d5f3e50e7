"""The init of a guest kernel: mounts, modules, a backing device, then the protocol on a serial line.

Copied beside its settings and run by the host's own Python, with nothing on its path but what the settings say.
"""

import ctypes
import fcntl
import json
import os
import select
import sys
import termios
import threading
import tty
from pathlib import Path
from typing import Any, Final

_SYS_FINIT_MODULE: Final = {"x86_64": 313, "i686": 350, "aarch64": 273}
_RB_POWER_OFF: Final = 0x4321FEDC
_LOOP_SET_FD: Final = 0x4C00
_SERIAL: Final = "/dev/ttyS0"
_SCRATCH: Final = "/dev/snapmerge"  # the host's file system is read-only, and nothing of it may be hidden

_libc: Final = ctypes.CDLL(None, use_errno=True)


def _mount(kind: str, where: str, options: str = "") -> None:
    if _libc.mount(kind.encode(), where.encode(), kind.encode(), 0, options.encode()):
        raise OSError(ctypes.get_errno(), f"mount {kind} on {where}")


def _load_module(path: str, options: str) -> None:
    fd = os.open(path, os.O_RDONLY)
    if _libc.syscall(_SYS_FINIT_MODULE[os.uname().machine], fd, options.encode(), 0):
        raise OSError(ctypes.get_errno(), f"module {path}")
    os.close(fd)


def _backing(sectors: int) -> str:
    """A loop device over memory: unlike a RAM disk it takes flushes and discards."""
    image = os.open(f"{_SCRATCH}/disk", os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    os.truncate(image, sectors * 512)
    loop = os.open("/dev/loop0", os.O_RDWR)
    fcntl.ioctl(loop, _LOOP_SET_FD, image)
    os.close(loop)
    os.close(image)
    return "/dev/loop0"


def _serial() -> tuple[Any, Any]:
    fd = os.open(_SERIAL, os.O_RDWR | os.O_NOCTTY)
    tty.setraw(fd, termios.TCSANOW)
    threading.Thread(target=_end_with_host, args=(fd,), daemon=True).start()
    return os.fdopen(fd, "rb", closefd=False), os.fdopen(fd, "wb", closefd=False)


def _end_with_host(fd: int) -> None:
    """Powers the guest off when the host has closed its end, even while an operation hangs."""
    watch = select.poll()
    watch.register(fd, 0)  # a hangup is always told
    watch.poll()
    _libc.reboot(_RB_POWER_OFF)


def _run(settings: dict[str, Any]) -> None:
    Path(_SCRATCH).mkdir()
    os.environ["TMPDIR"] = _SCRATCH
    for kind, where in (("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", _SCRATCH)):
        _mount(kind, where)
    for path, options in settings["modules"]:
        _load_module(path, options)
    stdin, stdout = _serial()
    from snapmerge_adapters import DeviceMapper, serve
    from snapmerge_adapters.protocol.serve import say_died

    nbd = [f"/dev/nbd{number}" for number in range(settings["nbd"])]
    implementation = DeviceMapper(
        _backing(settings["sectors"]),
        nbd=nbd,
        volatile=settings["volatile"],
        hang=settings["hang"],
        alone=lambda died: say_died(stdout, died),
        patience=settings["patience"],
        seed=settings["seed"],
    )
    serve(implementation, stdin, stdout)


def _main() -> None:
    try:
        settings = json.loads(Path(sys.argv[0]).with_name("settings.json").read_text())
        sys.path[:] = settings["path"]
        _run(settings)
    except BaseException as error:  # noqa: BLE001  # its message is all that the host will see
        print(f"snapmerge guest: {type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        _libc.reboot(_RB_POWER_OFF)  # this is process 1: it may not return


if __name__ == "__main__":
    _main()
