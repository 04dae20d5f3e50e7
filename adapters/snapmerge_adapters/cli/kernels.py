"""``kernels``: which real kernels can be used on this machine, and why the other ones can't."""

import json
import os
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from snapmerge_adapters.cli.errors import AGREES, UNABLE
from snapmerge_adapters.cli.show import one_line, table
from snapmerge_adapters.guest.guest import Guest, find_kernel
from snapmerge_adapters.guest.kernels import Kernel, kernels
from snapmerge_adapters.kernel.abilities import snapshot_targets
from snapmerge_adapters.unavailable import Unavailable

__all__ = ["run_kernels"]

_CONTROL: Final = Path("/dev/mapper/control")


@dataclass(frozen=True, slots=True)
class _Row:
    """One kernel; ``problem`` is why it can't be used, or None."""

    adapter: str
    kernel: str
    release: str = ""
    targets: tuple[tuple[str, str], ...] = ()
    problem: str | None = None

    def text(self) -> str:
        """For people."""
        if self.problem is not None:
            return f"no: {one_line(self.problem)}"
        targets = ", ".join(f"{name} {number}" for name, number in self.targets)
        return f"Linux {self.release} ({self.kernel}): {targets}"

    def fields(self) -> dict[str, object]:
        """For programs."""
        return {
            "adapter": self.adapter,
            "kernel": self.kernel,
            "release": self.release,
            "targets": dict(self.targets),
            "usable": self.problem is None,
            "problem": self.problem,
        }


def run_kernels(options: Namespace) -> int:
    """Examines this machine's kernel and boots each guest; 0 when the one asked for, or else any, can be used."""
    rows = _rows(options)
    if options.json:
        print(json.dumps({"command": "kernels", "kernels": [row.fields() for row in rows]}))
    else:
        print(table((f"--adapter {row.adapter}", row.text()) for row in rows), end="")
    looked_for = rows[:1] if options.kernel or options.modules else rows
    return AGREES if any(row.problem is None for row in looked_for) else UNABLE


def _rows(options: Namespace) -> list[_Row]:
    """The usable kernels; for an adapter without one, and for a kernel that was asked for, the problem."""
    rows = [_row(kernel) for kernel in kernels()]
    if options.kernel or options.modules or not any(row.adapter == "guest" for row in rows):
        asked = _asked(options)
        rows = [asked, *(row for row in rows if row.kernel != asked.kernel)]
    if not any(row.adapter == "devicemapper" for row in rows):
        rows.append(_Row("devicemapper", "this machine's", problem=_why_not_here()))
    return rows


def _row(kernel: Kernel) -> _Row:
    targets = snapshot_targets(dict(kernel.versions))
    if kernel.path is None:
        return _Row("devicemapper", "this machine's", kernel.release, targets)
    return _Row("guest", str(kernel.path), kernel.release, targets)


def _asked(options: Namespace) -> _Row:
    try:
        path = find_kernel(options.kernel).resolve()
        guest = Guest(kernel=path, modules=options.modules)
    except Unavailable as error:
        return _Row("guest", options.kernel or "linux.uml", problem=str(error))
    try:
        capabilities = guest.capabilities
    finally:
        guest.close()
    release = capabilities.about.partition(",")[0].removeprefix("Linux ")
    return _row(Kernel(release, path, capabilities.versions))


def _why_not_here() -> str:
    if os.geteuid() != 0:
        return "this machine's device-mapper is for root only; a guest needs no root"
    if not _CONTROL.exists():
        return f"this machine's kernel has no device-mapper: there is no {_CONTROL}; modprobe dm-mod may bring it"
    return "this machine's kernel has no snapshot targets, or no libdevmapper: modprobe dm-snapshot may bring them"
