"""Direct I/O on block devices: what is read and written never meets the page cache.

One call is one bio as long as it has at most 256 pages (``BIO_MAX_VECS``).
"""

import errno
import fcntl
import mmap
import os
import struct
from typing import Final

from snapmerge import SECTOR_BYTES

__all__ = ["Buffers", "block_size", "device_size", "discard", "is_free", "open_direct", "zero"]

_BLKDISCARD: Final = 0x1277
_BLKZEROOUT: Final = 0x127F
_BLKGETSIZE64: Final = 0x80081272
_BLKSSZGET: Final = 0x1268


def open_direct(path: str) -> int:
    """A file descriptor of the device for direct I/O."""
    return os.open(path, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)


def is_free(path: str) -> bool:
    """Whether the block device is neither mounted, nor mapped, nor opened exclusively."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_EXCL | os.O_CLOEXEC))
    except OSError as error:
        if error.errno == errno.EBUSY:
            return False
        raise
    return True


def block_size(path: str) -> int:
    """The size of a block device's logical blocks, in bytes."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        (size,) = struct.unpack("i", fcntl.ioctl(fd, _BLKSSZGET, bytes(4)))
    finally:
        os.close(fd)
    return int(size)


def device_size(fd: int) -> int:
    """The size of a block device, in sectors."""
    (size,) = struct.unpack("Q", fcntl.ioctl(fd, _BLKGETSIZE64, bytes(8)))
    return int(size) // SECTOR_BYTES


def discard(fd: int, sector: int, count: int) -> None:
    """Discards sectors."""
    fcntl.ioctl(fd, _BLKDISCARD, struct.pack("QQ", sector * SECTOR_BYTES, count * SECTOR_BYTES))


def zero(fd: int, sector: int, count: int) -> None:
    """Makes sectors read as zeroes, in the way that is fastest for the device."""
    fcntl.ioctl(fd, _BLKZEROOUT, struct.pack("QQ", sector * SECTOR_BYTES, count * SECTOR_BYTES))


class Buffers:
    """Page-aligned buffers, kept for the next I/O.  Safe to use from several threads: a buffer has one user."""

    def __init__(self) -> None:
        self._free: list[mmap.mmap] = []

    def _take(self, size: int) -> mmap.mmap:
        try:
            buffer = self._free.pop()
        except IndexError:
            buffer = mmap.mmap(-1, max(size, 1 << 16))
        return buffer if len(buffer) >= size else mmap.mmap(-1, size)

    def read(self, fd: int, sector: int, count: int) -> bytes:
        """The bytes of ``count`` sectors, by one call.  Raises OSError; a short read is EIO."""
        size = count * SECTOR_BYTES
        buffer = self._take(size)
        with memoryview(buffer)[:size] as view:
            done = os.preadv(fd, [view], sector * SECTOR_BYTES)
            data = bytes(view)
        self._free.append(buffer)
        return _whole(done, data)

    def write(self, fd: int, sector: int, data: bytes) -> None:
        """Writes whole sectors, by one call.  Raises OSError; a short write is EIO."""
        buffer = self._take(len(data))
        with memoryview(buffer)[: len(data)] as view:
            view[:] = data
            done = os.pwritev(fd, [view], sector * SECTOR_BYTES)
        self._free.append(buffer)
        _whole(done, data)


def _whole(done: int, data: bytes) -> bytes:
    if done != len(data):
        raise OSError(errno.EIO, os.strerror(errno.EIO))
    return data
