"""Disks under control on a kernel: holds their requests, answers them one by one, and says which are pending.

The kernel has one processor and nothing else to do (``quiet``), and every disk is an nbd device of this process, so
that all of its requests come to one gate.
"""

from collections.abc import Callable, Iterable
from typing import Final, assert_never

from snapmerge import (
    Answer,
    Control,
    Hold,
    OperationError,
    Pending,
    Request,
    Sector,
    Sectors,
    as_seen,
    check_control,
    contents,
    not_pending,
)
from snapmerge_adapters.kernel.disks import Disks
from snapmerge_adapters.kernel.gate import Held
from snapmerge_adapters.kernel.quiet import Quiet

__all__ = ["Controller"]


class Controller:
    """The control of these disks.  ``held``: whether they hold their requests."""

    def __init__(self, disks: Disks, *, possible: bool, patience: float) -> None:
        self._disks: Final = disks
        self._gate: Final = disks.gate
        self._possible: Final = possible
        self._patience: Final = patience
        self._still: Quiet | None = None

    @property
    def held(self) -> bool:
        """Whether requests are held."""
        return self._gate.closed

    def tell(self, control: Control, *, started: bool) -> None:
        """Does what is told.  ``started``: whether operations were started and not finished.  Raises OperationError."""
        if not self._possible:
            raise OperationError("these disks are not under control")
        check_control(control, held=self.held, started=started)
        match control:
            case Hold() if not self.held:
                self.wait()  # for what a merge does by itself
                self._gate.hold()
            case Hold() | Pending():
                pass
            case Answer(request, error):
                held = next((h for h in self._gate.held() if self._request(h).place == request), None)
                if held is None:
                    raise not_pending(control)
                self._gate.answer(held, error=error)
            case _:
                assert_never(control)

    def wait(self, begin: Iterable[Callable[[], None]] = ()) -> None:
        """Waits until the kernel can do nothing more by itself; first begins what is to be done meanwhile.

        Raises:
            TimeoutError: it still has something to do.
        """
        if self._still is None:
            self._still = Quiet(patience=self._patience)
        for call in begin:
            call()
        self._still.wait()

    def requests(self) -> tuple[Request, ...]:
        """The requests that wait, in the order in which they came."""
        return tuple(map(self._request, self._gate.held()))

    def _request(self, held: Held) -> Request:
        disk = self._disks.name_of(held.disk)
        payload = tuple(map(as_seen, contents(held.payload))) if held.kind in ("write", "fua") else ()
        return Request(disk, held.kind, Sector(held.sector), Sectors(held.count), payload)

    def release(self) -> None:
        """Answers all requests, and from now on every request at once."""
        self._gate.release()

    def close(self) -> None:
        """Closes the files that tell whether the kernel is quiet."""
        if self._still is not None:
            self._still.close()
