"""Whatever an adapter holds outside the process is given back when the process ends, however it ends."""

import atexit
import contextlib
import os
import signal
import threading
import weakref
from types import FrameType
from typing import Final, Protocol

__all__ = ["close_at_exit"]


class _Closable(Protocol):
    def close(self) -> None: ...


_OPEN: Final[weakref.WeakSet[_Closable]] = weakref.WeakSet()


def close_at_exit(thing: _Closable) -> None:
    """Closes it at the end of the process, by a signal too; closing twice must be harmless.

    An interrupt from the keyboard raises KeyboardInterrupt and ends through ``atexit``.  SIGTERM and SIGHUP are
    caught when nobody else has a use for them, which only the main thread can arrange.
    """
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
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
