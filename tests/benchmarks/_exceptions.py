"""What operations cost with few and with many exceptions: the same, if all is well.

The two stores live in processes of their own, so that neither pays for the other's memory, and take turns.
"""

import statistics
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Final

from immutables import Map
from tests.benchmarks._figures import Figure, Sizes, in_turns, ratio, seconds

from snapmerge import (
    DiskState,
    Line,
    Operation,
    Read,
    Sector,
    Sectors,
    Session,
    Status,
    Write,
    contents,
    operate,
    parse_operation,
)
from snapmerge.format.codec import MAGIC, VERSION, Header, encode_header, encode_records
from snapmerge.format.layout import area_location, exceptions_per_area, free_after, new_chunk
from snapmerge.records import replace

__all__ = ["exceptions"]

_CHUNK_SIZE: Final = 1
_SPARE: Final = 8192  # chunks of the origin, and of the COW device, for exceptions that are made while measuring


class _Loaded:
    """A snapshot with many exceptions.  ``order`` is that of their chunks of the origin, sequential or random."""

    def __init__(self, count: int, most: int, order: str) -> None:
        self.chunks = most + _SPARE
        self.olds: Sequence[int] = range(count)
        if order == "random":
            self.olds = Random(1).sample(range(most), count)
        self.random = Random(2)
        self.tag = 1
        self.session = _with_store(self.chunks, self.olds)
        self.load_seconds = seconds(self._load)
        status, _ = operate(self.session, Status("snap"))
        if not isinstance(status, Line) or "Invalid" in status.text:
            raise RuntimeError(f"the store was not loaded: {status}")

    def _load(self) -> None:
        size = self.chunks * _CHUNK_SIZE
        for line in (
            f'create origin "0 {size} snapshot-origin base"',
            f'create snap "0 {size} snapshot base cow P {_CHUNK_SIZE}"',
        ):
            _, self.session = operate(self.session, parse_operation(line))

    def mix(self, count: int) -> list[Operation]:
        """60 % writes, 40 % reads; 9 of 10 where there is an exception, the others where there was none."""
        random, chosen = self.random, list[Operation]()
        for _ in range(count):
            chunk = (
                random.choice(self.olds)
                if random.random() < 0.9
                else random.randrange(self.chunks - _SPARE, self.chunks)
            )
            where, sector, size = random.choice(("origin", "snap")), Sector(chunk * _CHUNK_SIZE), Sectors(_CHUNK_SIZE)
            self.tag += _CHUNK_SIZE
            writes = random.random() < 0.6
            chosen.append(Write(where, sector, size, self.tag) if writes else Read(where, sector, size))
        return chosen

    def run(self, operations: list[Operation]) -> None:
        """Carries them out."""
        for operation in operations:
            _, self.session = operate(self.session, operation)


def _with_store(chunks: int, olds: Sequence[int]) -> Session:
    """A session whose COW disk holds a store with these exceptions, durably."""
    session = Session.new()
    total = (free_after(len(olds), exceptions_per_area(_CHUNK_SIZE)) + _SPARE) * _CHUNK_SIZE
    for line in (f"disk base {chunks * _CHUNK_SIZE}", f"disk cow {total}"):
        _, session = operate(session, parse_operation(line))
    world = session.world
    disk = DiskState(total, Map({at: content for at, content in _store(olds) if content}))
    return Session(replace(world, disks=world.disks.set("cow", disk)))


def _store(olds: Sequence[int]) -> Iterator[tuple[int, int | bytes]]:
    """The sectors of the header and of every area."""
    per_area = exceptions_per_area(_CHUNK_SIZE)
    yield from enumerate(contents(encode_header(Header(MAGIC, 1, VERSION, _CHUNK_SIZE), _CHUNK_SIZE)))
    for area, first in enumerate(range(0, len(olds) + 1, per_area)):
        records = tuple((old, new_chunk(k, per_area)) for k, old in enumerate(olds[first : first + per_area], first))
        data = encode_records(records, _CHUNK_SIZE)
        yield from enumerate(contents(data), area_location(area, per_area) * _CHUNK_SIZE)


# --- in a process of its own -------------------------------------------------------------------------------------

_loaded: list[_Loaded] = []


def _load(count: int, most: int, order: str) -> float:
    _loaded[:] = [_Loaded(count, most, order)]
    return _loaded[0].load_seconds


def _rate(operations: int) -> float:
    chosen = _loaded[0].mix(operations)
    return operations / seconds(lambda: _loaded[0].run(chosen))


def _peak() -> float:
    """The most memory that this process has had, in MiB.  Not getrusage: that of a child begins with its parent's."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


def exceptions(sizes: Sizes) -> Iterator[Figure]:
    """Stores of both sizes, with chunks of one sector, in both orders."""
    for order in ("sequential", "random"):
        yield from _compared(sizes, order)


def _compared(sizes: Sizes, order: str) -> Iterator[Figure]:
    context = get_context("spawn")
    with ProcessPoolExecutor(1, context) as few, ProcessPoolExecutor(1, context) as many:
        loads = [
            process.submit(_load, count, sizes.many, order).result()
            for process, count in ((few, sizes.few), (many, sizes.many))
        ]
        rates = in_turns(
            sizes.repeats,
            lambda: few.submit(_rate, sizes.operations).result(),
            lambda: many.submit(_rate, sizes.operations).result(),
        )
        peaks = [process.submit(_peak).result() for process in (few, many)]
    name, less, more = f"exceptions-{order}", f"{sizes.few:,}", f"{sizes.many:,}"
    to = f"with {less}"
    value = statistics.median(rates[1])
    yield Figure(
        name, f"operations settled with {more} exceptions", value, "/s", ratio(rates[1], rates[0]), to, ">= 0.75 x"
    )
    share = loads[1] / loads[0] * sizes.few / sizes.many
    yield Figure(name, f"loading {more} exceptions", loads[1], "s", share, f"each {to}")
    yield Figure(name, "peak memory", peaks[1], "MiB", peaks[1] / peaks[0], to, "<= 1,024 MiB")
