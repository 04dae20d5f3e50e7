"""The real kernel in a guest: how soon it answers, and how many scenarios a second it takes."""

import statistics
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random

from tests.benchmarks._figures import Figure, Sizes, in_turns, ratio, seconds

from snapmerge import Implementation, Operation, Reset, Status, parse_operation
from snapmerge_adapters import Guest, Memory, Unavailable
from snapmerge_specs.lockstep.lockstep import Lockstep

__all__ = ["Kernel", "guest"]

Kernel = tuple[Path | None, Path | None]
"""A user-mode Linux and its modules; None: those that ``Guest`` finds."""


def scenario() -> list[Operation]:
    """An origin and a snapshot of 16 chunks, 20 writes, 10 reads, a merge by handover, and all is removed."""
    random = Random(1)
    at = [(random.choice(("origin", "snap")), 8 * random.randrange(16)) for _ in range(30)]
    lines = [
        "disk base 128",
        "disk cow 256",
        'create origin "0 128 snapshot-origin base"',
        'create snap "0 128 snapshot base cow P 8"',
        *(f"write {where} {sector} 8 #{1 + 8 * k}" for k, (where, sector) in enumerate(at[:20])),
        *(f"read {where} {sector} 8" for where, sector in at[20:]),
        "suspend origin",
        "suspend snap",
        'load origin "0 128 snapshot-merge base cow P 8"',
        "resume origin",
        "settle origin",
        "remove snap",
        "remove origin",
    ]
    return [parse_operation(line) for line in lines]


def _alone(implementation: Implementation, operations: list[Operation], times: int) -> float:
    """Scenarios per second."""

    def run() -> None:
        for _ in range(times):
            implementation.apply(Reset())
            for operation in operations:
                implementation.apply(operation)

    return times / seconds(run)


def _judged(implementation: Implementation, operations: list[Operation], times: int) -> float:
    """Scenarios per second, with the oracle beside."""

    def run() -> None:
        for _ in range(times):
            lockstep = Lockstep(implementation)
            for operation in operations:
                lockstep.do(operation)

    return times / seconds(run)


def guest(sizes: Sizes, kernel: Kernel) -> Iterator[Figure]:
    """Everything that needs a kernel."""
    try:
        Guest(kernel=kernel[0], modules=kernel[1]).close()  # from now on all that a boot reads is in memory
    except Unavailable as error:
        yield Figure("guest", "the real kernel", None, "", skipped=str(error).splitlines()[0])
        return
    yield _boot(sizes, kernel)
    implementation = Guest(kernel=kernel[0], modules=kernel[1])
    try:
        yield from _scenarios(sizes, implementation)
    finally:
        implementation.close()


def _boot(sizes: Sizes, kernel: Kernel) -> Figure:
    def python() -> float:
        command = [sys.executable, "-c", "from snapmerge_adapters import Guest"]
        return seconds(lambda: subprocess.run(command, check=True))

    boots, pythons = in_turns(sizes.boots, lambda: _first_answer(kernel), python)
    value = statistics.median(boots)
    return Figure("guest", "boot, to the first answer", value, "s", ratio(boots, pythons), "starting Python", "<= 2 s")


def _first_answer(kernel: Kernel) -> float:
    started: list[Guest] = []

    def run() -> None:
        started.append(Guest(kernel=kernel[0], modules=kernel[1]))
        started[0].apply(Status("nothing"))

    try:
        return seconds(run)
    finally:
        for one in started:
            one.close()


def _scenarios(sizes: Sizes, implementation: Implementation) -> Iterator[Figure]:
    operations, times = scenario(), sizes.scenarios
    alone, judged, modelled = in_turns(
        sizes.repeats,
        partial(_alone, implementation, operations, times),
        partial(_judged, implementation, operations, times),
        partial(_alone, Memory(), operations, times),
    )
    value = statistics.median(alone)
    yield Figure("guest", "scenarios in the guest", value, "/s", ratio(alone, modelled), "in memory", ">= 30/s")
    what = "the same with the oracle beside it"
    yield Figure("guest", what, statistics.median(judged), "/s", ratio(judged, alone), "without", ">= 0.8 x")
