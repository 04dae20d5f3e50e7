"""Runs a program; when the program or the supervisor's owner ends, ends every process that the program has started.

A process whose parent has ended becomes a child of init, also when it has a session of its own.  The supervisor is a
*subreaper*: such processes become its own children, and it can find and kill them.

Run as a script: ``python -I -S supervise.py CONTROL STATUS CPU COMMAND ...``.  ``CONTROL`` is a pipe's read end: its
other end is closed when the owner wants all of it to end, or is killed.  ``STATUS`` gets the errno if the program can't
be run, and is closed once it runs.  ``CPU``: the processor to keep it on, or ``-``.  Ends as the program has ended.
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final, NoReturn

__all__: list[str] = []

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_CHILD_SUBREAPER: Final = 36
_KILL_SECONDS: Final = 5.0
_libc: Final = ctypes.CDLL(None, use_errno=True)


def _main(control: int, status: int, cpu: str, command: list[str]) -> NoReturn:
    for fd in (control, status):
        os.set_inheritable(fd, False)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    woken = _wake_on_children()
    program = os.fork()
    if program == 0:
        _run(command, status, cpu)
    os.close(status)
    _let_go_of_streams()
    _end_as(_watch(program, control, woken))


def _run(command: list[str], status: int, cpu: str) -> NoReturn:
    """Becomes the program; should its supervisor be killed, it is killed too."""
    try:
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores the last two
            signal.signal(number, signal.SIG_DFL)
        os.setsid()
        if cpu != "-":
            with contextlib.suppress(OSError):
                os.sched_setaffinity(0, {int(cpu)})
        os.execvp(command[0], command)
    except OSError as error:
        os.write(status, str(error.errno).encode())
    os._exit(127)


def _wake_on_children() -> int:
    """The read end of a pipe that has something in it whenever a child has ended."""
    woken, waker = os.pipe()
    for fd in (woken, waker):
        os.set_blocking(fd, False)
    signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return woken


def _let_go_of_streams() -> None:
    """Closes the program's streams here, so that their other ends see when the program closes them."""
    null = os.open(os.devnull, os.O_RDWR)
    for fd in range(3):
        os.dup2(null, fd)


def _watch(program: int, control: int, woken: int) -> int:
    """Waits for the program or for its owner, then kills what is left; the program's wait status."""
    poll = select.poll()
    poll.register(control, select.POLLIN)
    poll.register(woken, select.POLLIN)
    ended: dict[int, int] = {}
    while program not in ended:
        ready = [fd for fd, _ in poll.poll()]
        if woken in ready:
            os.read(woken, 4096)
        ended = _reap() or {}
        if control in ready:
            break
    return _kill_all(program, ended)


def _kill_all(program: int, ended: dict[int, int]) -> int:
    status = ended.get(program, signal.SIGKILL)
    deadline = time.monotonic() + _KILL_SECONDS
    while (left := _descendants()) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        status = _reap().get(program, status)
        select.select([], [], [], 0.001)
    return status


def _reap() -> dict[int, int]:
    """The children that have ended, with their wait status."""
    ended = {}
    with contextlib.suppress(ChildProcessError):
        while (found := os.waitpid(-1, os.WNOHANG))[0]:
            ended[found[0]] = found[1]
    return ended


def _descendants() -> set[int]:
    """All processes below this one."""
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdecimal():
            with contextlib.suppress(OSError, ValueError, IndexError):
                parents[int(entry)] = int(Path("/proc", entry, "stat").read_text().rpartition(")")[2].split()[1])
    found, more = set[int](), {os.getpid()}
    while more:
        more = {pid for pid, parent in parents.items() if parent in more} - found
        found |= more
    return found


def _end_as(status: int) -> NoReturn:
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with contextlib.suppress(OSError, ValueError):
            signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    os._exit(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    _main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
