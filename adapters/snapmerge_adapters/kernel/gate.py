"""The gate of disks under control: it lets requests pass at once, or holds each until it is answered.

Every nbd device puts its requests here.  While the gate is open a request is carried out on the thread that received
it.  ``hold`` closes the gate: from then on requests are listed, and ``answer`` carries out one of them.
"""

import errno
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from snapmerge import RequestKind
from snapmerge_adapters.kernel.faulty_disk import FaultyDisk

__all__ = ["Gate", "Held"]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """One request.  ``sector`` and ``count`` in sectors of the disk; ``reply(error, data)`` answers the kernel.

    ``mark``: for a flush, how much the cache had taken when the request came; it makes no more than that durable.
    """

    disk: FaultyDisk
    kind: RequestKind
    sector: int
    count: int
    payload: bytes
    reply: Callable[[int, bytes], None]
    mark: int

    def carry_out(self) -> None:
        """Does what was asked for, and answers."""
        data, error = b"", 0
        try:
            data = self._do()
        except OSError as failure:
            error = failure.errno or errno.EIO
        self.reply(error, data)

    def _do(self) -> bytes:
        match self.kind:
            case "read":
                return self.disk.read(self.sector, self.count)
            case "write" | "fua" | "discard":
                self.disk.write(self.sector, self.payload, fua=self.kind == "fua")
            case "flush":
                self.disk.flush(self.mark)
        return b""

    def fail(self) -> None:
        """Answers with EIO, and changes nothing."""
        self.reply(errno.EIO, b"")


class Gate:
    """Open at first.  Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._closed = False
        self._held: list[Held] = []

    @property
    def closed(self) -> bool:
        """Whether requests are held."""
        return self._closed

    def enter(self, request: Held) -> None:
        """Takes a request."""
        with self._lock:
            if self._closed:
                self._held.append(request)
                return
        request.carry_out()

    def hold(self) -> None:
        """Holds every request from now on."""
        with self._lock:
            self._closed = True

    def release(self) -> None:
        """Carries out all that is held, in the order in which it came, and from now on every request at once."""
        with self._lock:
            self._closed = False
        for request in self._taken():
            request.carry_out()

    def _taken(self) -> Iterator[Held]:
        while self._held:
            yield self._held.pop(0)

    def held(self) -> tuple[Held, ...]:
        """The requests that wait, in the order in which they came."""
        with self._lock:
            return tuple(self._held)

    def answer(self, request: Held, *, error: bool) -> None:
        """Carries out one of the requests that wait, or fails it."""
        with self._lock:
            self._held.remove(request)
        if error:
            request.fail()
        else:
            request.carry_out()
