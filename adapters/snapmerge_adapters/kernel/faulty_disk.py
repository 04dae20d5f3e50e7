"""A disk with injected faults and, if wanted, a volatile write cache that a power cut empties.

Any storage that can read and write bytes can lie below it; ``nbd`` puts it under the kernel.
"""

import errno
import hashlib
import os
import random
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from snapmerge import SECTOR_BYTES, FaultKind

__all__ = ["FaultyDisk", "Storage"]


@dataclass(frozen=True, slots=True)
class Storage:
    """The storage below a disk: ``read(sector, count)`` and ``write(sector, data)``."""

    read: Callable[[int, int], bytes]
    write: Callable[[int, bytes], None]


@dataclass(frozen=True, slots=True)
class _Range:
    kind: FaultKind
    start: int
    end: int

    def touches(self, start: int, count: int) -> bool:
        return self.start < start + count and start < self.end


def _fail() -> OSError:
    return OSError(errno.EIO, os.strerror(errno.EIO))


class FaultyDisk:
    """Every request is one call; a failed one raises OSError with EIO.

    With ``volatile`` a write stays in the cache until a flush, unless it says ``fua``.  Sectors are the disk's own.
    """

    def __init__(self, storage: Storage, *, volatile: bool = False) -> None:
        self._storage: Final = storage
        self._volatile: Final = volatile
        self._lock: Final = threading.Lock()  # between the kernel's requests and the setting of faults
        self._faults: list[_Range] = []
        self._cache: dict[int, tuple[int, bytes]] = {}  # one entry a sector, numbered in the order of the writes
        self._next = 0
        self._newest: dict[int, bytes] = {}
        self._powered = True

    @property
    def faulty(self) -> bool:
        """Whether it has any fault."""
        return bool(self._faults)

    def fault(self, kind: FaultKind, sector: int, count: int) -> None:
        """Makes I/O to these sectors fail from now on; a flush concerns all of them."""
        with self._lock:
            self._faults.append(_Range(kind, sector, sector + count))

    def heal(self) -> None:
        """Takes back every fault."""
        with self._lock:
            self._faults.clear()

    def _hit(self, kind: FaultKind, sector: int, count: int) -> list[_Range]:
        if not self._powered:
            raise _fail()
        return [fault for fault in self._faults if fault.kind == kind and fault.touches(sector, count)]

    def read(self, sector: int, count: int) -> bytes:
        """The newest bytes, cached or stored."""
        with self._lock:
            if self._hit("read", sector, count):
                raise _fail()
            data = self._storage.read(sector, count)
            return self._overlaid(sector, data) if self._newest else data

    def _overlaid(self, sector: int, data: bytes) -> bytes:
        return b"".join(self._newest.get(at, stored) for at, stored in _sectors(sector, data))

    def write(self, sector: int, data: bytes, *, fua: bool = False) -> None:
        """Writes the sectors outside every fault, then fails if there was one inside.

        With ``fua`` a fault of the flushes fails it as a whole.  Such a write, a metadata commit, has a flush
        before it; device-mapper (``dm_io_complete``) loses the error of that flush when it splits the two, a plain
        disk does not.
        """
        count = len(data) // SECTOR_BYTES
        with self._lock:
            if fua and any(fault.kind == "flush" for fault in self._faults):
                raise _fail()
            hit = self._hit("write", sector, count)
            for at, part in _sectors(sector, data) if hit else [(sector, data)]:
                if not any(fault.touches(at, 1) for fault in hit):
                    self._put(at, part, durable=fua or not self._volatile)
        if hit:
            raise _fail()

    def _put(self, sector: int, data: bytes, *, durable: bool) -> None:
        if not durable:
            for entry in _sectors(sector, data):
                self._cache[self._next] = entry
                self._next += 1
            self._newest.update(_sectors(sector, data))
            return
        self._storage.write(sector, data)
        if self._newest:  # what was cached for these sectors is older than what is stored now
            covered = range(sector, sector + len(data) // SECTOR_BYTES)
            self._cache = {number: entry for number, entry in self._cache.items() if entry[0] not in covered}
            for at in covered:
                self._newest.pop(at, None)

    @property
    def mark(self) -> int:
        """The number of writes of sectors that the cache has taken so far."""
        return self._next

    def flush(self, mark: int | None = None) -> None:
        """Makes durable all that was written; with a mark, what was written until then."""
        with self._lock:
            if not self._powered or any(fault.kind == "flush" for fault in self._faults):
                raise _fail()
            end = self._next if mark is None else mark
            self._store(dict(entry for number, entry in self._cache.items() if number < end).items())
            self._cache = {number: entry for number, entry in self._cache.items() if number >= end}
            self._newest = dict(self._cache.values())

    def _store(self, sectors: Iterable[tuple[int, bytes]]) -> None:
        for at, data in sectors:
            self._storage.write(at, data)

    def power_off(self, seed: str) -> None:
        """Loses the power: keeps what was durable and a random part of what was not; requests fail from now on.

        That part is drawn from ``seed`` and from what is in the cache, in whatever order that came in.  So a shorter
        trace that leaves the same in the cache meets the same cut, and another one meets another.
        """
        with self._lock:
            self._powered = False
            entries = sorted(set(self._cache.values()))
            content = hashlib.sha256(b"".join(sector.to_bytes(8) + data for sector, data in entries))
            choice = random.Random(f"{seed} {content.hexdigest()}")
            odds = choice.choice((0.0, 0.5, 1.0))
            kept = {entry for entry in entries if choice.random() < odds}
            self._store([entry for entry in self._cache.values() if entry in kept])
            self._cache, self._newest = {}, {}

    def power_on(self) -> None:
        """Has power again."""
        with self._lock:
            self._powered = True

    def forget(self) -> None:
        """Removes the faults and the cache; the stored data remain."""
        with self._lock:
            self._faults, self._cache, self._newest, self._powered = [], {}, {}, True


def _sectors(sector: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    for at in range(0, len(data), SECTOR_BYTES):
        yield sector + at // SECTOR_BYTES, data[at : at + SECTOR_BYTES]
