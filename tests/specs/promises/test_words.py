"""Each promise has a mistake that breaks it, in a trace that breaks nothing without the mistake."""

from collections.abc import Callable
from typing import Final

import pytest

from snapmerge import (
    MAINLINE,
    Create,
    Died,
    Disk,
    Fault,
    Load,
    Operation,
    Outcome,
    Read,
    Rules,
    Sector,
    Sectors,
    Status,
    Step,
    Write,
    parse_trace,
)
from snapmerge.records import replace
from snapmerge_adapters import Memory
from snapmerge_specs import DEFECTS, FINDINGS, broken_promise
from snapmerge_specs.promises.words import PROMISES

Meddle = Callable[[Operation], tuple[Operation, ...]]
"""What is done in the place of an operation; the last outcome is the one that is seen."""


class Meddled(Memory):
    """The model, by some rules and in a schedule drawn from a seed, and with a mistake of its own."""

    def __init__(self, meddle: Meddle, *, rules: Rules = MAINLINE, seed: int | None = None) -> None:
        super().__init__(rules=rules, seed=seed)
        self._meddle = meddle

    def apply(self, operation: Operation) -> Outcome:
        outcome: Outcome = Died("it does nothing")
        for one in self._meddle(operation):
            outcome = super().apply(one)
        return outcome


def _kept(operation: Operation) -> tuple[Operation, ...]:
    return (operation,)


def _writes_half(operation: Operation) -> tuple[Operation, ...]:
    return (replace(operation, count=Sectors(1)) if isinstance(operation, Write) else operation,)


def _has_less_room(operation: Operation) -> tuple[Operation, ...]:
    is_cow = isinstance(operation, Disk) and operation.name == "cow"
    return (Disk("cow", Sectors(2)) if is_cow else operation,)


def _fails(word: type[Operation], disk: str, where: str = "") -> Meddle:
    """A disk fails in such an operation, all by itself."""

    def meddle(operation: Operation) -> tuple[Operation, ...]:
        here = isinstance(operation, word) and getattr(operation, "where", where) == where
        return (*(Fault(disk, kind, Sector(0), Sectors(2)) for kind in ("read", "write") if here), operation)

    return meddle


def _writes_both(operation: Operation) -> tuple[Operation, ...]:
    if isinstance(operation, Write) and operation.where == "snap":
        return replace(operation, where="base"), operation
    return (operation,)


def _reads_half(operation: Operation) -> tuple[Operation, ...]:
    return (replace(operation, count=Sectors(1)) if isinstance(operation, Read) else operation,)


def _refuses_merges(operation: Operation) -> tuple[Operation, ...]:
    if isinstance(operation, Create) and operation.table is not None and "merge" in operation.table:
        return (replace(operation, table=operation.table.replace("base", "cow")),)
    return (operation,)


def _dies(operation: Operation) -> tuple[Operation, ...]:
    return () if isinstance(operation, Status) else (operation,)


def _defect(name: str) -> Rules:
    return next(defect.rules for defect in DEFECTS if defect.name == name)


def _finding(name: str) -> Rules:
    return next(finding.rules for finding in FINDINGS if finding.name == name)


DISKS: Final = "disk base 4\ndisk cow 16\nwrite base 0 4 #1\nflush base\n"
SNAP: Final = (
    f'{DISKS}create origin "0 4 snapshot-origin base"\nsuspend origin\ncreate snap "0 4 snapshot base cow P 1"\n'
    "resume origin\n"
)
MERGE: Final = f"""{SNAP}write snap 1 2 #11\nflush snap\nsuspend origin\nsuspend snap\n\
load origin "0 4 snapshot-merge base cow P 1"\n"""
FAILED_MERGE: Final = f"""{DISKS}create snap "0 4 snapshot base cow P 1"\nwrite snap 3 1 #11\nremove snap\n\
fault cow write 1 1\ncreate merge "0 4 snapshot-merge base cow P 1"\nsettle merge\nheal cow\nsuspend merge\n\
resume merge\nsettle merge\nsuspend merge\n"""
SKIPPED: Final = """disk base 80\ndisk cow 128\nwrite base 0 80 #1\ncreate snap "0 80 snapshot base cow P 1"
write snap 0 65 #101\nflush snap\nremove snap\ncreate merge\nload merge "0 80 snapshot-merge base cow P 1"
fault cow read 34 1\nresume merge\nsettle merge\nheal cow\nsuspend merge\nresume merge\nsettle merge\nremove merge
create merge "0 80 snapshot-merge base cow P 1"\nsettle merge\n"""
BESIDE: Final = f"""{DISKS}disk other 16\ncreate beside "0 4 snapshot base other P 1"
create snap "0 4 snapshot base cow P 1"\nwrite snap 1 1 #11\nremove snap\n\
create merge "0 4 snapshot-merge base cow P 1"\nsettle merge\nread beside 0 4\n"""

MISTAKES: Final[dict[str, tuple[Meddle, Rules, str]]] = {
    "PROMISE-1": (_writes_half, MAINLINE, "disk base 4\nwrite base 0 2 #1\nread base 0 2\n"),
    "PROMISE-2": (
        _kept,
        _defect("volatile records"),
        f'{SNAP}write origin 1 1 #11\nflush base\ncrash\ncreate snap "0 4 snapshot base cow P 1"\nread snap 0 4\n',
    ),
    "PROMISE-3": (_has_less_room, MAINLINE, f"{SNAP}write origin 1 1 #11\nstatus snap\n"),
    "PROMISE-4": (_fails(Load, "base"), MAINLINE, f"{MERGE}resume origin\nsettle origin\nstatus origin\n"),
    "PROMISE-5": (_fails(Read, "base", "snap"), MAINLINE, f"{SNAP}read snap 0 2\n"),
    "PROMISE-6": (_dies, MAINLINE, f"{SNAP}status snap\n"),
    "PROMISE-7": (_kept, _finding("merge-repeats-cleared-records"), f"{FAILED_MERGE}read base 0 4\n"),
    "PROMISE-10": (_reads_half, MAINLINE, f"{SNAP}read snap 0 2\n"),
    "PROMISE-11": (
        _refuses_merges,
        MAINLINE,
        f'{SNAP}write snap 1 2 #11\nremove snap\ncreate merge "0 4 snapshot-merge base cow P 1"\n',
    ),
    "SNAP-1": (_kept, _defect("never waits"), f"{SNAP}write origin 0 4 #11\nread snap 0 4\n"),
    "SNAP-2": (_writes_both, MAINLINE, f"{SNAP}write snap 1 1 #11\nread base 0 4\n"),
    "SNAP-12": (
        _kept,
        _finding("misaligned-discard"),
        """disk base 6\ndisk cow 16\nwrite base 0 6 #1\ncreate snap "0 6 snapshot base cow P 2 1 discard_zeroes_cow"
write snap 0 2 #11\nwrite snap 4 2 #15\ndiscard snap 1 2\nread snap 0 6\n""",
    ),
    "SNAP-13": (
        _kept,
        _finding("invalidation-is-volatile"),
        f"""disk base 4\ndisk cow 3\nwrite base 0 4 #1\nflush base\n{SNAP.removeprefix(DISKS)}write origin 0 1 #11
write origin 1 1 #12\nstatus snap\nflush base\ncrash\nmetadata cow\n""",
    ),
    "ORIGIN-2": (_fails(Write, "base", "origin"), MAINLINE, f"{SNAP}write origin 1 1 #11\n"),
    "MERGE-1": (_kept, _defect("writes into run"), f"{MERGE}resume origin\nwrite origin 1 2 #21\nread origin 0 4\n"),
    "MERGE-5": (_kept, _defect("skips siblings"), BESIDE),
    "MERGE-7": (_kept, _defect("skips flush"), f"{MERGE}resume origin\nsettle origin\ncrash\nread base 0 4\n"),
    "MERGE-8": (_kept, _finding("merge-skips-area"), f"{SKIPPED}read merge 0 80\n"),
    "DEV-5": (
        _kept,
        _defect("keeps queue"),
        f"{MERGE}resume origin\nstart 1 write origin 1 2 #21\nremove snap\nfinish 1\n",
    ),
}
"""For each promise a mistake, the rules that have it or none, and a trace in which it shows, by some schedule."""


def _statements(meddle: Meddle, rules: Rules, trace: str) -> set[str]:
    """What the trace breaks, by the canonical schedule and by some others."""
    found = set()
    for seed in (None, *range(30)):
        memory = Meddled(meddle, rules=rules, seed=seed)
        broken = broken_promise(Step(step.operation, memory.apply(step.operation)) for step in parse_trace(trace))
        found |= set() if broken is None else {broken.statement}
    return found


@pytest.mark.parametrize("statement", [promise.statement for promise in PROMISES])
def test_a_mistake_breaks_the_promise(statement: str) -> None:
    assert statement in _statements(*MISTAKES[statement])


@pytest.mark.parametrize("statement", MISTAKES)
def test_without_the_mistake_nothing_is_broken(statement: str) -> None:
    _, _, trace = MISTAKES[statement]
    assert _statements(_kept, MAINLINE, trace) == set()
