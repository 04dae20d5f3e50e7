"""The promises, and which of them a wrong sector breaks."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import snapmerge as sm
from snapmerge import Seen, print_operation, print_outcome
from snapmerge_specs.promises.held import May
from snapmerge_specs.promises.shadow import Place, Shadow

__all__ = [
    "NOT_COMPARED",
    "PROMISES",
    "BrokenPromise",
    "Promise",
    "compared",
    "is_fault",
    "misread",
    "promise",
    "subject",
    "what_is_broken",
]

NOT_COMPARED: Final = "nothing promised"
"""The kind of reads about which nothing is promised, in the counts of ``compared``."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise: the ``statement`` of ``specs/*.md``, and a description of what has happened when it is broken."""

    statement: str
    when_broken: str


PROMISES: Final = (
    Promise("PROMISE-1", "a disk does not hold what was written to it"),
    Promise("PROMISE-2", "a power cut has lost what was flushed, or made up what nobody wrote"),
    Promise("PROMISE-3", "a snapshot has become invalid without a cause"),
    Promise("PROMISE-4", "a merge has failed without a cause"),
    Promise("PROMISE-5", "I/O has failed without a cause"),
    Promise("PROMISE-6", "the implementation has died"),
    Promise("PROMISE-7", "a merge has put something else on its origin than the snapshot shows"),
    Promise("PROMISE-10", "an operation was answered with what it can't give"),
    Promise("PROMISE-11", "what nothing stands against was refused"),
    Promise("SNAP-1", "a snapshot has changed by itself"),
    Promise("SNAP-2", "an origin has changed by something else than a write to it"),
    Promise("SNAP-12", "a discard has changed sectors outside its range"),
    Promise("SNAP-13", "a snapshot that had become invalid is valid again"),
    Promise("ORIGIN-2", "a write to an origin has failed although its disk has not"),
    Promise("MERGE-1", "a merge does not show what its snapshot showed"),
    Promise("MERGE-5", "a snapshot has changed by the merge of another"),
    Promise("MERGE-7", "a power cut during or after a merge has lost what was there"),
    Promise("MERGE-8", "a merge has ended, and its origin does not hold what it showed"),
    Promise("DEV-5", "I/O has not ended, and nothing holds it back"),
)


def promise(statement: str) -> Promise:
    """The promise with this statement."""
    return next(one for one in PROMISES if one.statement == statement)


def what_is_broken(shadow: Shadow, place: Place, sector: int, content: Seen) -> str:
    """The statement that a sector with this wrong content breaks."""
    store, disk = place.store, place.disk
    volume = disk.volume if store is None else store.volume
    after_cut = disk.cut >= 0 and volume.volatile.get(sector, -1) <= disk.cut
    if store is not None:
        after_cut = after_cut and disk.cut > store.made  # one before there was a snapshot has taken nothing from it
        below = disk.volume.now[sector]
        if store.discarded and content == 0 and below is not None and 0 not in below:  # the zero is a discard's
            return "SNAP-12"
        if store.is_merge:
            return "MERGE-7" if after_cut else "MERGE-1"
        return "PROMISE-2" if after_cut else "MERGE-5" if store.beside_merge else "SNAP-1"
    if disk.merged:
        return "PROMISE-7" if shadow.is_moving(disk) else "MERGE-7" if after_cut else "MERGE-8"
    if after_cut:
        return "PROMISE-2"
    return "SNAP-2" if shadow.stores_on(disk) else "PROMISE-1"


def compared(places: Iterable[Place], may: Sequence[May]) -> str:
    """The kind of a read: that of the first place about which something is promised."""
    kinds = [(place.kind, place.disk.cut >= 0) for place in places for _ in place.sectors]
    found = next((kind for kind, one in zip(kinds, may, strict=True) if one is not None), None)
    return NOT_COMPARED if found is None else found[0] + " after a power cut" * found[1]


@dataclass(frozen=True, slots=True)
class BrokenPromise:
    """A promise that was not kept.  ``statement``: its id; ``text``: what was seen; ``index``: the step, from 0."""

    statement: str
    text: str
    index: int

    @property
    def sentence(self) -> str:
        """The statement's id, and what has happened."""
        return f"{self.statement}: {promise(self.statement).when_broken}"

    def __str__(self) -> str:
        return f"{promise(self.statement).when_broken} ({self.statement}): {self.text}"


def subject(operation: sm.Plain) -> str:
    """The device or disk of an operation."""
    return str(getattr(operation, "where", None) or getattr(operation, "device", ""))


def is_fault(operation: sm.Fault | sm.Heal) -> bool:
    """Whether an operation sets a fault."""
    return isinstance(operation, sm.Fault)


def misread(read: sm.Read, at: int, seen: Seen, may: frozenset[Seen]) -> str:
    """A sector that was read, as text: its content, and the allowed contents."""
    one = print_outcome(sm.Data((seen,)))
    allowed = ", ".join(print_outcome(sm.Data((each,))) for each in sorted(may, key=str)[:4])
    more = f" or {len(may) - 4} others" if len(may) > 4 else ""
    return f"{print_operation(read)}: sector {read.sector + at} holds {one}, and may hold {allowed}{more}"
