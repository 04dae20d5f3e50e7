"""Puts a ``FaultyDisk`` under the kernel: a network block device whose server is a thread of ours.

The kernel's end of a socket pair serves one nbd device.  The protocol is the transmission phase of
the NBD specification; the ioctls are those of ``include/uapi/linux/nbd.h``.
"""

import contextlib
import errno
import fcntl
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Final

from snapmerge import SECTOR_BYTES, RequestKind
from snapmerge_adapters.kernel.blockio import device_size
from snapmerge_adapters.kernel.faulty_disk import FaultyDisk
from snapmerge_adapters.kernel.gate import Gate, Held

__all__ = ["NbdDevice"]

_SET_SOCK, _SET_BLKSIZE, _DO_IT, _CLEAR_SOCK = 0xAB00, 0xAB01, 0xAB03, 0xAB04
_SET_SIZE_BLOCKS, _DISCONNECT, _SET_FLAGS = 0xAB07, 0xAB08, 0xAB0A
_HAS_FLAGS, _SEND_FLUSH, _SEND_FUA, _SEND_TRIM = 1, 4, 8, 32

_REQUEST: Final = struct.Struct(">II8sQI")
_REPLY: Final = struct.Struct(">II8s")
_REPLY_MAGIC: Final = 0x67446698
_FUA: Final = 1 << 16


_KINDS: Final[dict[int, RequestKind]] = {0: "read", 1: "write", 3: "flush", 4: "discard"}
"""By the number of the command; 2 is the last one, a disconnection."""


_PATIENCE: Final = 5.0


class NbdDevice:
    """An nbd device of ``size`` sectors, connected to a FaultyDisk.  Raises OSError when it is in use.

    ``disk`` may be exchanged for another one while no I/O is under way.
    """

    def __init__(self, path: str, disk: FaultyDisk, size: int, gate: Gate) -> None:
        self.path: Final = path
        self.disk = disk
        self._gate: Final = gate
        self._answering: Final = threading.Lock()
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        # One bio must be one request, or a fault would fail its neighbours.
        queue = Path("/sys/block", Path(path).name, "queue")
        with contextlib.suppress(OSError):
            (queue / "nomerges").write_text("2")
            (queue / "scheduler").write_text("none")
        self._kernel, self._ours = socket.socketpair()
        self._threads: Final = [threading.Thread(target=run, daemon=True) for run in (self._serve, self._attend)]
        try:
            self._connect(size)
        except OSError:
            self.close()
            raise

    def _connect(self, size: int) -> None:
        fcntl.ioctl(self._fd, _SET_SOCK, self._kernel.fileno())
        fcntl.ioctl(self._fd, _SET_BLKSIZE, SECTOR_BYTES)
        fcntl.ioctl(self._fd, _SET_SIZE_BLOCKS, size)
        fcntl.ioctl(self._fd, _SET_FLAGS, _HAS_FLAGS | _SEND_FLUSH | _SEND_FUA | _SEND_TRIM)
        for thread in self._threads:
            thread.start()
        deadline = time.monotonic() + _PATIENCE
        while device_size(self._fd) != size:
            if time.monotonic() > deadline:
                raise TimeoutError(errno.ETIMEDOUT, f"{self.path} does not start")
            time.sleep(0.0005)

    def _attend(self) -> None:
        # The ioctl returns when the device is disconnected.
        with contextlib.suppress(OSError):
            fcntl.ioctl(self._fd, _DO_IT)

    def _serve(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while self._answer():
                pass

    def _answer(self) -> bool:
        _, command, handle, start, length = _REQUEST.unpack(self._receive(_REQUEST.size))
        kind = _KINDS.get(command & 0xFFFF)
        if kind is None:
            return False
        if kind == "write" and command & _FUA:
            kind = "fua"
        payload = self._receive(length) if kind in ("write", "fua") else bytes(length) if kind == "discard" else b""

        def reply(error: int, data: bytes) -> None:
            with self._answering:
                self._ours.sendall(_REPLY.pack(_REPLY_MAGIC, error, handle) + data)

        sector, count = start // SECTOR_BYTES, length // SECTOR_BYTES
        self._gate.enter(Held(self.disk, kind, sector, count, payload, reply, self.disk.mark))
        return True

    def _receive(self, size: int) -> bytes:
        data = self._ours.recv(size, socket.MSG_WAITALL)
        if len(data) != size:
            raise EOFError
        return data

    def close(self) -> None:
        """Disconnects the device.  May be called twice."""
        if self._fd < 0:
            return
        for command in (_DISCONNECT, _CLEAR_SOCK):
            with contextlib.suppress(OSError):
                fcntl.ioctl(self._fd, command)
        # _DO_IT ends by setting the size to 0, which must not happen after the next connection.
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(_PATIENCE)
        self._ours.close()
        self._kernel.close()
        os.close(self._fd)
        self._fd = -1
