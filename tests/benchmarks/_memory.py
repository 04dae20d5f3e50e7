"""Operations settled per second in memory, alone and with the oracle beside."""

import statistics
from collections.abc import Callable, Iterator
from itertools import islice
from random import Random
from typing import Final

from tests.benchmarks._figures import Figure, Sizes, calibrate, in_turns, ratio, seconds

from snapmerge import Operation, Outcome, Read, Sector, Sectors, Write, parse_operation
from snapmerge_adapters import Memory
from snapmerge_specs.lockstep.lockstep import Lockstep

__all__ = ["lockstep", "memory", "unflushed"]

Apply = Callable[[Operation], Outcome]

_SECTORS: Final = 128  # 16 chunks of 8
_SETUP: Final = (
    f"disk base {_SECTORS}",
    f"disk cow {2 * _SECTORS}",
    f'create origin "0 {_SECTORS} snapshot-origin base"',
    f'create snap "0 {_SECTORS} snapshot base cow P 8"',
)


def _mix() -> Iterator[Operation]:
    """60 % writes, 40 % reads, of up to a chunk, on the origin and on the snapshot."""
    random = Random(1)
    tag = 1
    while True:
        where = random.choice(("origin", "snap"))
        sector, count = Sector(random.randrange(_SECTORS - 8)), Sectors(random.randint(1, 8))
        if random.random() < 0.6:
            yield Write(where, sector, count, tag)
            tag += count
        else:
            yield Read(where, sector, count)


def _rate(apply: Apply, operations: int, *, before: int = 0) -> float:
    """Operations per second on new devices, after the first ``before``."""
    for line in _SETUP:
        apply(parse_operation(line))
    mix = _mix()
    for operation in islice(mix, before):
        apply(operation)
    chosen = list(islice(mix, operations))

    def run() -> None:
        for operation in chosen:
            apply(operation)

    return operations / seconds(run)


def memory(sizes: Sizes) -> Iterator[Figure]:
    """The model alone."""
    rates, loops = in_turns(sizes.repeats, lambda: _rate(Memory().apply, sizes.operations), calibrate)
    value = statistics.median(rates)
    yield Figure(
        "memory", "operations settled in memory", value, "/s", ratio(rates, loops), "calibration", ">= 5,000/s"
    )


def lockstep(sizes: Sizes) -> Iterator[Figure]:
    """The model in lockstep with the oracle: twice the work."""
    rates, alone = in_turns(
        sizes.repeats,
        lambda: _rate(Lockstep(Memory()).do, sizes.operations),
        lambda: _rate(Memory().apply, sizes.operations),
    )
    what = "the same with the oracle beside it"
    yield Figure("lockstep", what, statistics.median(rates), "/s", ratio(rates, alone), "without")


def unflushed(sizes: Sizes) -> Iterator[Figure]:
    """After many writes that no flush has made durable, each of which a power cut may leave."""
    rates, alone = in_turns(
        min(sizes.repeats, 3),
        lambda: _rate(Memory().apply, sizes.operations, before=sizes.unflushed),
        lambda: _rate(Memory().apply, sizes.operations),
    )
    what = f"the same after {sizes.unflushed:,} without a flush"
    yield Figure("unflushed", what, statistics.median(rates), "/s", ratio(rates, alone), "at first")
