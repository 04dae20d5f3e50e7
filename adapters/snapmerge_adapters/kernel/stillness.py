"""Detects that a kernel has nothing left to do: an operation that has not ended by then never will.

A guest has one processor, its disks are in its memory, and nothing else runs on it.  So an operation
proceeds only by a task that can run, or by a timer of at most some hundred milliseconds.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["STILL_SAMPLES", "Stillness", "stuck_tasks"]

STILL_SAMPLES: Final = 20
_APART: Final = 0.05
_TASKS_MAX: Final = 12
_CALLS_MAX: Final = 8


class Stillness:
    """Watches one operation that has not ended, from a thread of the kernel that does it.

    It is still when in ``samples`` looks in a row, ``apart`` seconds each, no task but the one that looks could
    run, and what the caller has seen stayed the same.
    """

    def __init__(self, loadavg: str = "/proc/loadavg", *, samples: int = STILL_SAMPLES, apart: float = _APART) -> None:
        self._loadavg: Final = Path(loadavg)
        self._samples, self._apart = samples, apart
        self._count = 0
        self._seen: object = None

    def reached(self, seen: object = None) -> bool:
        """Takes one sample, after a nap; whether the kernel has been still for long enough."""
        time.sleep(self._apart)
        same = seen == self._seen and self._nothing_runs()
        self._count = self._count + 1 if same else 0
        self._seen = seen
        return self._count >= self._samples

    def _nothing_runs(self) -> bool:
        for _ in range(2):
            if self._loadavg.read_text().split()[3].partition("/")[0] != "1":
                return False
            os.sched_yield()
        return True


def stuck_tasks(proc: Path = Path("/proc")) -> str:
    """The tasks that wait and can't be interrupted, each with the kernel functions that it is in, innermost first."""
    tasks = [text for path in sorted(proc.glob("[0-9]*/task/[0-9]*")) if (text := _stuck(path))]
    return "\n".join(tasks[:_TASKS_MAX]) or "no task waits in the kernel"


def _stuck(task: Path) -> str:
    try:
        name, _, rest = (task / "stat").read_text().partition("(")[2].rpartition(")")
        if rest.split()[0] != "D":
            return ""
        calls = list(_calls((task / "stack").read_text()))
    except OSError:  # it has ended, or its stack is for root only
        return ""
    return f"stuck: {name} in {' < '.join(calls[:_CALLS_MAX]) or 'the kernel'}"


def _calls(stack: str) -> Iterator[str]:
    """The names in lines such as ``[<0>] dm_suspend+0x9a/0xc0 [dm_mod]``, without what every wait begins with."""
    for line in stack.splitlines():
        name = line.removeprefix("[<0>]").strip().partition("+")[0]
        if name not in ("__schedule", "schedule", "io_schedule", "__switch_to", ""):
            yield name
