"""Waits until a kernel whose disks are under control can do nothing more before a request is answered.

The kernel has one processor and nothing else to do.  So it is quiet when this task is the only one that can run, which
``/proc/loadavg`` tells, and when no timer will make another one run.  Device-mapper waits with timers in a few places
(``__check_for_conflicting_io``, ``snapshot_dtr``, ``__dm_destroy``): it sleeps for a millisecond (``msleep``), looks
whether something has ended, and sleeps again.  Such a task has looked once after all else had stopped when it has
slept twice; only then is the kernel quiet.
"""

import os
import time
from collections.abc import Iterator
from typing import Final

__all__ = ["Quiet"]

_SLEEPS: Final = (b"msleep", b"usleep_range")
"""The kernel functions in which device-mapper sleeps: the first in Linux 6.1, the second later."""

_GRACE: Final = b"synchronize_"
"""A task in such a function waits for a grace period of RCU, which ends by itself."""

_KTHREADD, _UNNAMED = "2", b"kthreadd\n"
"""The task that makes all kernel threads, and the name that each of them has at first."""

_PERIOD: Final = 0.001
_SLEEPS_SECONDS: Final = 1.0
"""A task that sleeps for longer than that is not waited for: it waits for something else."""


class Quiet:
    """Reads a few files of ``/proc``, which stay open."""

    def __init__(self, proc: str = "/proc", *, patience: float = 20.0) -> None:
        self._proc: Final = proc
        self._patience: Final = patience
        self._loadavg: Final = self._open("loadavg")
        self._tasks: dict[str, int] = {}  # descriptors of the files ``stat`` of the tasks that may sleep
        self._newest = self._newest_now = b""

    def _open(self, name: str) -> int:
        return os.open(f"{self._proc}/{name}", os.O_RDONLY | os.O_CLOEXEC)

    def wait(self) -> None:
        """Returns when the kernel is quiet.  Raises TimeoutError if something still runs after ``patience`` seconds.

        What a task does after it has slept may be what another one waits for.  So they sleep again, until none of them
        has gone on.
        """
        before: dict[str, bytes] = {}
        while (now := self._at_rest()).keys() != before.keys():
            self._sleep_again(now)
            before = now

    def _at_rest(self) -> dict[str, bytes]:
        """The tasks that sleep for a time when no task can run."""
        self._idle()
        return dict(self._sleeping())

    def _sleep_again(self, sleeping: dict[str, bytes]) -> None:
        """Returns when each of these tasks has slept once more, or no longer sleeps."""
        deadline = time.monotonic() + _SLEEPS_SECONDS
        while sleeping and time.monotonic() < deadline:
            time.sleep(_PERIOD)
            now = dict(self._sleeping())
            sleeping = {task: count for task, count in sleeping.items() if now.get(task) == count}

    def _idle(self) -> None:
        """Returns when no task but this one could run, twice in a row."""
        idle, deadline = 0, time.monotonic() + self._patience
        while idle < 2:
            running, self._newest_now = self._load()
            idle = idle + 1 if running == b"1" else 0
            if time.monotonic() > deadline:
                raise TimeoutError(f"the kernel has something to do for more than {self._patience:g} s")
            os.sched_yield()

    def _load(self) -> tuple[bytes, bytes]:
        """How many tasks can run, and the number of the newest task."""
        tasks, newest = os.pread(self._loadavg, 100, 0).split()[3:5]
        return tasks.partition(b"/")[0], newest

    def _sleeping(self) -> Iterator[tuple[str, bytes]]:
        """The tasks that sleep for a time, each with how often it has slept."""
        if self._newest_now != self._newest:
            self._newest = self._newest_now
            self._list()
        for task, fd in list(self._tasks.items()):
            try:
                if _is_uninterruptible(fd):
                    slept, stack = self._switches(task), self._read(task, "stack")
                    if _GRACE in stack:
                        yield task, b"until it ends"
                    elif any(name in stack for name in _SLEEPS) or self._has_moved(task, fd, slept):
                        yield task, slept
            except OSError:  # it has ended
                os.close(self._tasks.pop(task))

    def _has_moved(self, task: str, fd: int, slept: bytes) -> bool:
        """Whether a task has woken while it was looked at, so that its stack says nothing."""
        return self._switches(task) != slept or not _is_uninterruptible(fd)

    def _list(self) -> None:
        for task in [*self._workers(), *(f"self/task/{thread}" for thread in os.listdir(f"{self._proc}/self/task"))]:
            if task not in self._tasks:
                try:
                    self._tasks[task] = self._open(f"{task}/stat")
                except OSError:
                    continue

    def _workers(self) -> Iterator[str]:
        for name in os.listdir(self._proc):
            if name.isdigit() and name not in self._tasks:
                try:
                    comm = self._read(name, "comm")
                except OSError:
                    continue
                if comm.startswith(b"kworker"):
                    yield name
                elif comm == _UNNAMED and name != _KTHREADD:
                    self._newest = b""  # so that it is listed when it has its name

    def _read(self, task: str, name: str) -> bytes:
        fd = self._open(f"{task}/{name}")
        try:
            return os.read(fd, 4000)
        finally:
            os.close(fd)

    def _switches(self, task: str) -> bytes:
        return self._read(task, "status").partition(b"\nvoluntary_ctxt_switches:")[2].split(b"\n")[0]

    def close(self) -> None:
        """Closes the files."""
        for fd in (self._loadavg, *self._tasks.values()):
            os.close(fd)
        self._tasks.clear()


def _is_uninterruptible(fd: int) -> bool:
    """Whether a task sleeps so that no signal wakes it; ``fd``: its file ``stat``."""
    return os.pread(fd, 300, 0).rpartition(b")")[2][1:2] == b"D"
