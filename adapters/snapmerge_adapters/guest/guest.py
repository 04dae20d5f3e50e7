"""A real kernel as an ordinary process: user-mode Linux, booted on this machine's own file system, read-only."""

import contextlib
import gzip
import itertools
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import snapmerge
import snapmerge_adapters
from snapmerge_adapters.folders import Folder
from snapmerge_adapters.guest.fxsave import kernel_command
from snapmerge_adapters.kernel.kmsg import trouble
from snapmerge_adapters.protocol.process import Process
from snapmerge_adapters.texts import cut
from snapmerge_adapters.unavailable import Unavailable

__all__ = ["Guest", "find_kernel", "find_modules", "kernel_release"]

_MODULES: Final = {"dm-snapshot": "", "dm-zero": "", "loop": "max_loop=1", "nbd": "nbds_max={nbd} max_part=0"}
_RELEASE: Final = re.compile(r"\d+\.\d+\S*")
_BOOT_SECONDS: Final = 60.0
_PACKAGE: Final = "the Debian package user-mode-linux brings it"
_PLAIN: Final = re.compile(r"/[A-Za-z0-9/._+-]{0,199}")
_counter: Final = itertools.count(os.getpid())


class Guest(Process):
    """Implements ``snapmerge.Implementation`` by the ``DeviceMapper`` adapter in a kernel of its own; needs no root.

    ``kernel`` is a user-mode Linux (default: ``linux.uml`` or ``linux`` on PATH), ``modules`` its module folder or the
    folder above it.  ``memory`` in MiB.  ``sectors`` is how much all disks together may have, ``nbd`` how many of them
    may have faults at a time.  ``volatile`` makes ``crash`` possible; see DeviceMapper, also for ``patience`` and
    ``seed``.  ``timeout``: how long one operation may take, in seconds.

    Raises:
        Unavailable: there is no such kernel here, or it does not boot; the message says what to install.
    """

    def __init__(
        self,
        *,
        kernel: str | Path | None = None,
        modules: str | Path | None = None,
        memory: int = 256,
        sectors: int = 1 << 17,
        volatile: bool = False,
        nbd: int = 8,
        patience: float = 0.05,
        seed: int = 0,
        timeout: float = 30.0,
    ) -> None:
        self._kernel, self._memory = find_kernel(kernel), memory
        self._modules = find_modules(self._kernel, modules)
        self._settings = {"sectors": sectors, "volatile": volatile, "nbd": nbd, "patience": patience, "seed": seed}
        self._settings["hang"] = timeout * 0.9  # the guest itself can say what is stuck
        super().__init__(
            [str(self._kernel)], timeout=timeout, start_timeout=_BOOT_SECONDS, cpu=_cpu(), name=str(self._kernel)
        )

    def _begin(self) -> None:
        """Boots it.  The guest needs nothing of the folder then, so that nothing is left even after a SIGKILL."""
        with Folder(_base()) as folder:
            _prepare(folder.path, self._modules, self._settings)
            self._command = _command(self._kernel, folder.path, self._memory)
            self._env = _environment(folder.path)
            super()._begin()
        self._err = b""  # messages of every boot are no last words

    def _last_words(self) -> str:
        lines = super()._last_words().splitlines()
        return trouble(lines) or "\n".join(lines[-10:])


def _base() -> str:
    """The first temporary place whose name fits on a kernel's command line, where a blank or a quote ends a word."""
    places = (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm")
    for place in places:
        if _PLAIN.fullmatch(place) and os.access(place, os.W_OK | os.X_OK):
            return place
    raise Unavailable(
        f"{cut(places[0], 200)} can't be named on a kernel's command line, and no other temporary folder is writable; "
        "set TMPDIR to a path of at most 200 letters, digits and any of /._+-"
    )


def find_kernel(kernel: str | Path | None = None) -> Path:
    """The user-mode Linux to boot.  Raises Unavailable."""
    if kernel is None:
        for name in ("linux.uml", "linux"):
            if path := shutil.which(name):
                return Path(path)
        raise Unavailable(f"there is no user-mode Linux (linux.uml) on PATH: {_PACKAGE}")
    if path := shutil.which(kernel):
        return Path(path).absolute()
    raise Unavailable(f"{kernel} is no program: it should be a user-mode Linux; {_PACKAGE}")


def kernel_release(kernel: Path) -> str:
    """What the kernel calls itself, as in 6.1.176.  Raises Unavailable."""
    try:
        done = subprocess.run([kernel, "--version"], capture_output=True, timeout=10, check=True)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout).decode(errors="replace").strip()[-300:]
        raise Unavailable(f"{kernel} can't be run: {said or f'it ended with status {error.returncode}'}") from None
    except (OSError, subprocess.SubprocessError) as error:
        raise Unavailable(f"{kernel} can't be run: {error}") from None
    release = done.stdout.decode(errors="replace").strip()
    if not _RELEASE.fullmatch(release):
        raise Unavailable(f"{kernel} is no user-mode Linux: it calls itself {release[:60]!r}; {_PACKAGE}")
    return release


def find_modules(kernel: Path, modules: str | Path | None = None) -> Path | None:
    """The kernel's module folder: the one with modules.dep in it.  None: all may be built in.  Raises Unavailable."""
    release = kernel_release(kernel)
    if modules is None:
        beside = kernel.resolve().parent.parent / "lib"
        bases = [Path("/usr/lib/uml/modules"), beside / "uml/modules", beside / "modules", Path("/lib/modules")]
    else:
        bases = [Path(modules).absolute()]
    for folder in [base / release for base in bases] + ([] if modules is None else bases):
        if (folder / "modules.dep").is_file():
            return folder
    if modules is None and b"\0snapshot-merge\0" in kernel.read_bytes():
        return None
    looked = ", ".join(map(str, bases))
    raise Unavailable(f"no modules of Linux {release} in {looked}: {_PACKAGE}")


def _prepare(folder: Path, modules: Path | None, settings: dict[str, Any]) -> None:
    ordered = [(_plain(path, folder), options.format(**settings)) for path, options in _in_order(modules)]
    settings = {**settings, "modules": ordered, "path": _python_path()}
    (folder / "settings.json").write_text(json.dumps(settings))
    shutil.copyfile(Path(__file__).with_name("boot.py"), folder / "boot.py")
    # A link without blanks for the kernel's command line; Python finds its library by the link's target.
    (folder / "python").symlink_to(Path(sys.executable).resolve())


def _in_order(modules: Path | None) -> Iterator[tuple[Path, str]]:
    """The modules to load, each after those that it needs."""
    if modules is None:
        return
    needs: dict[str, list[str]] = {}
    paths: dict[str, str] = {}
    for line in (modules / "modules.dep").read_text().splitlines():
        path, _, others = line.partition(":")
        name = Path(path).name.partition(".")[0]
        paths[name], needs[name] = path, others.split()
    done: set[str] = set()
    for name, options in _MODULES.items():
        if name not in paths:  # built in, or not there at all, which its user will notice
            continue
        for path in [*reversed(needs[name]), paths[name]]:
            if path not in done:
                done.add(path)
                yield modules / path, options if path == paths[name] else ""


def _plain(path: Path, folder: Path) -> str:
    """The module's file, unpacked when it is packed."""
    unpackers: dict[str, Callable[[bytes], bytes]] = {".xz": lzma.decompress, ".gz": gzip.decompress}
    unpack = unpackers.get(path.suffix)
    if unpack is None:
        return str(path)
    target = folder / path.stem
    target.write_bytes(unpack(path.read_bytes()))
    return str(target)


def _python_path() -> list[str]:
    roots = [str(Path(module).parent.parent) for module in (snapmerge_adapters.__file__, snapmerge.__file__)]
    return list(dict.fromkeys([*roots, *(str(Path(entry).absolute()) for entry in sys.path if entry)]))


def _command(kernel: Path, folder: Path, memory: int) -> list[str]:
    # The protocol has a serial line of its own, so that nothing the kernel prints can get into it; the
    # console is the standard error.  No core dumps, as a panic ends in abort().
    shell = 'ulimit -c 0; exec "$0" "$@" 3<&0 4>&1 1>&2 </dev/null'
    options = [
        f"mem={memory}M",
        f"uml_dir={folder}/",
        *("root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"),
        f"init={folder}/python",
        *("con=null", "con0=null,fd:2", "ssl=null", "ssl0=fd:3,fd:4"),
        *("quiet", "loglevel=5", "oops=panic", "panic_on_warn=1", "panic=-1"),
        "lpj=10000000",  # spares the calibration of delay loops, which nothing here uses
    ]
    boot = kernel_command(kernel, kernel_release(kernel), options)
    return ["/bin/sh", "-c", shell, *boot, "--", "-I", "-S", "-B", f"{folder}/boot.py"]


def _environment(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", ""), "HOME": str(folder), "TERM": "dumb"}


def _cpu() -> int | None:
    """One processor for each guest, in turn: between two, every system call in a guest costs three times as much."""
    with contextlib.suppress(OSError, AttributeError):
        allowed = sorted(os.sched_getaffinity(0))
        return allowed[next(_counter) % len(allowed)]
    return None
