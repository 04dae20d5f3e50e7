"""The real kernels that can be used on this machine."""

import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from snapmerge_adapters.guest.guest import Guest
from snapmerge_adapters.kernel.libdm import DmError, Libdm
from snapmerge_adapters.unavailable import Unavailable

__all__ = ["Kernel", "kernels"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that has device-mapper snapshots.

    ``path`` is a user-mode Linux to give to ``Guest``, or None for the kernel of this machine, which ``DeviceMapper``
    drives; ``versions`` are those of its targets.
    """

    release: str
    path: Path | None
    versions: tuple[tuple[str, str], ...]


def kernels(more: Iterable[str | Path] = ()) -> list[Kernel]:
    """The kernels that can be used here: this machine's own, and each user-mode Linux on PATH or among ``more``.

    Each guest is booted to ask it.  One that does not work is left out.
    """
    return [*_own(), *(kernel for path in _candidates(more) for kernel in _booted(path))]


def _own() -> Iterator[Kernel]:
    if os.geteuid() != 0 or not Path("/dev/mapper/control").exists():
        return
    try:
        libdm = Libdm()
        libdm.ensure("snapshot")
        versions = libdm.versions()
    except (Unavailable, DmError):
        return
    if "snapshot" in versions:
        yield Kernel(os.uname().release, None, tuple(sorted(versions.items())))


def _candidates(more: Iterable[str | Path]) -> list[Path]:
    found = [shutil.which(name) for name in ("linux.uml", "linux", "/usr/bin/linux.uml", *map(str, more))]
    return list(dict.fromkeys(Path(path).resolve() for path in found if path))


def _booted(path: Path) -> Iterator[Kernel]:
    try:
        guest = Guest(kernel=path)
    except Unavailable:
        return
    try:
        capabilities = guest.capabilities
    finally:
        guest.close()
    release = capabilities.about.partition(",")[0].removeprefix("Linux ")
    yield Kernel(release, path, capabilities.versions)
