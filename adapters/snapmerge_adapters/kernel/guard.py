"""Detects, on a thread of its own, an operation that never ends.

A thread in a kernel call can't report that the call hangs.  Doing every operation on another thread would be simplest,
but in a guest the two switches between threads cost more than the operation.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from snapmerge import Operation, Settle
from snapmerge_adapters.kernel.stillness import STILL_SAMPLES, Stillness

__all__ = ["SOON", "Guard"]

SOON: Final = 0.1
"""Seconds within which nearly every operation ends."""


def _stillness_for(operation: Operation) -> Stillness:
    """How long the kernel has to be still until the operation hangs; ``settle`` sees it first, and has more to say."""
    return Stillness(samples=STILL_SAMPLES * 2 if isinstance(operation, Settle) else STILL_SAMPLES)


class Guard:
    """Calls ``hangs`` with an operation that can't end any more, or that takes longer than ``seconds``."""

    def __init__(self, hangs: Callable[[Operation], None], seconds: float) -> None:
        self._hangs = hangs
        self._seconds = seconds
        self._now: tuple[Operation] | None = None  # a new tuple for each operation
        self._closed = False
        threading.Thread(target=self._run, daemon=True).start()

    @contextmanager
    def watching(self, operation: Operation) -> Iterator[None]:
        """While the operation is done."""
        self._now = (operation,)
        try:
            yield
        finally:
            self._now = None

    def _run(self) -> None:
        before = None
        while not self._closed:
            time.sleep(SOON)
            now = self._now
            if now is not None and now is before and self._never_ends(now):
                self._hangs(now[0])
                return
            before = now

    def _never_ends(self, now: tuple[Operation]) -> bool:
        still = _stillness_for(now[0])
        deadline = time.monotonic() + self._seconds
        while self._now is now:
            if still.reached() or time.monotonic() > deadline:
                return self._now is now
        return False

    def close(self) -> None:
        """Lets the thread end."""
        self._closed = True
