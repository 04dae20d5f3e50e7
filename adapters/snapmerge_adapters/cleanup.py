"""Releases what adapters hold outside the process (devices, folders, programs) when the process ends in any way."""

import atexit
import contextlib
import os
import signal
import threading
import weakref
from types import FrameType
from typing import Final, Protocol

__all__ = ["ENDING", "close_at_exit"]

ENDING: Final = (signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
"""The signals that ask a process to end, besides an interrupt from the keyboard."""


class _Closable(Protocol):
    def close(self) -> None: ...


_OPEN: Final[weakref.WeakSet[_Closable]] = weakref.WeakSet()


def close_at_exit(thing: _Closable) -> None:
    """Closes it at the end of the process, by a signal too; closing twice must be harmless.

    An interrupt from the keyboard raises KeyboardInterrupt and ends through ``atexit``.  The signals of ``ENDING`` are
    caught unless they have a handler already; only the main thread can install one.
    """
    if threading.current_thread() is threading.main_thread():
        for number in ENDING:
            if signal.getsignal(number) is signal.SIG_DFL:
                signal.signal(number, _end)
    _OPEN.add(thing)


def _end(number: int, frame: FrameType | None) -> None:  # noqa: ARG001  # the signature is Python's
    _close_all()
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


@atexit.register
def _close_all() -> None:
    for thing in list(_OPEN):
        with contextlib.suppress(Exception):
            thing.close()
