"""Calls that may never end, made on a thread of their own, so that the caller need not wait for ever."""

import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

__all__ = ["Job", "Poll", "Worker", "is_waiting"]

T = TypeVar("T")

_GLANCE: Final = 0.001
_ASLEEP: Final = 2


def is_waiting(task: Path) -> bool:
    """Whether a task sleeps until something happens that another operation may have to bring about.

    ``task`` is its folder in ``/proc``.  A grace period of RCU, for which a suspension waits, needs nothing but time.
    """
    try:
        if (task / "stat").read_text().rpartition(")")[2].split()[0] not in "SD":
            return False
        return "synchronize_" not in (task / "stack").read_text()
    except OSError:  # it has ended, or its stack is for root only
        return True


class Job(Generic[T]):
    """One call under way."""

    def __init__(self, call: Callable[[], T]) -> None:
        self._call = call
        self._done = threading.Event()
        self._result: list[T] = []
        self._error: Exception | None = None
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Makes the call on the caller's thread."""
        try:
            self._result.append(self._call())
        except Exception as error:  # noqa: BLE001  # raised again by ``result``
            self._error = error
        self._done.set()

    def start(self) -> "Job[T]":
        """Makes the call on a new thread."""
        self._thread = threading.Thread(target=self.run, daemon=True)
        self._thread.start()
        return self

    def ended_or_waits(self) -> bool:
        """Waits until the call has ended or has come to where it waits; whether it has ended.

        What is started next must find it there.  It waits when its thread has been asleep twice in a row, while
        this one was asleep too and so held nothing that it could want.
        """
        asleep = 0
        while not self.ended(_GLANCE) and asleep < _ASLEEP:
            asleep = asleep + 1 if self._asleep() else 0
        return self._done.is_set()

    def _asleep(self) -> bool:
        return is_waiting(Path(f"/proc/self/task/{self._thread.native_id if self._thread else 0}"))

    def ended(self, seconds: float) -> bool:
        """Whether it has ended, after waiting for that at most ``seconds``."""
        return self._done.is_set() or self._done.wait(seconds)

    def error(self) -> Exception | None:
        """What it raised, None if nothing, or not yet."""
        return self._error

    def result(self) -> T:
        """The result of the call, or raises what the call raised; it must have ended."""
        if self._error is not None:
            raise self._error
        return self._result[0]


class Poll(Generic[T]):
    """A question that is asked again and again until its answer is not None.

    Each time it is asked by a job of its own, as the answer may be long in coming.
    """

    def __init__(self, ask: Callable[[], T | None]) -> None:
        self._ask = ask
        self._asked: Job[T | None] | None = None
        self._answer: T | None = None

    def begin(self) -> None:
        """Asks, unless an answer is due or has been given."""
        if self._answer is None and self._asked is None:
            self._asked = Job(self._ask).start()

    def ended(self, seconds: float) -> bool:
        """Whether the answer to what was asked has come, and was not None."""
        if self._asked is not None and self._asked.ended(seconds):
            self._answer, self._asked = self._asked.result(), None
        return self._answer is not None

    def error(self) -> Exception | None:
        """None: a question has no errors."""
        return None

    def result(self) -> T:
        """The answer; it must have come."""
        if self._answer is None:
            raise ValueError("there is no answer")
        return self._answer


class Worker:
    """One thread that does one job after the other."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while (run := self._jobs.get()) is not None:
            run()

    def submit(self, call: Callable[[], T]) -> Job[T]:
        """Begins a job when those before it have ended."""
        job = Job(call)
        self._jobs.put(job.run)
        return job

    def close(self) -> None:
        """Lets the thread end."""
        self._jobs.put(None)
