"""Random operations without regard to the state, begun while other operations are under way.

Many of them are invalid; these raise OperationError and change nothing.  A ``Scenario`` draws valid operations, few of
them concurrent, so that an oracle can follow; these operations test properties that hold for every input.
"""

from collections.abc import Iterator, Sequence
from random import Random
from typing import TypeVar

import snapmerge as sm
from snapmerge import Operation
from snapmerge_specs.scenarios.layout import EMPTY_TARGETS

__all__ = ["Anything"]

_T = TypeVar("_T")


class Anything:
    """Draws operations on a few disks and the devices that can be made of them.

    ``started``: how often an operation is begun and waited for later, if at all; from 0 to 1.
    Attribute: ``size``, that of the first disk and of every table, in sectors.
    """

    disks = ("base", "cow", "other")
    devices = ("snap", "origin", "two", "lower", "above")

    def __init__(self, random: Random, *, started: float = 0.6) -> None:
        self._random = random
        self._started = started
        self._tag = 1
        self.size = random.choice((4, 9, 16, 20))
        self._chunk = random.choice((1, 2, 4, 8))
        self._lower = random.choice(("base", "lower"))
        self._store = random.choice(("P", "P", "PO", "N"))

    def _pick(self, among: Sequence[_T]) -> _T:
        return self._random.choice(among)

    def _disk(self, name: str) -> str:
        """The line that creates a disk; some disks for stores are too small for any exception."""
        size = self.size if name == "base" else self._random.randint(1, 12) * self._pick((1, self._chunk))
        return f"disk {name} {size}"

    def _table(self) -> str:
        lower = self._pick(("base", "base", "lower", "snap"))
        cow = self._pick(("cow", "cow", "other", "above"))
        store = self._pick(("P", "P", "PO", "N"))
        features = self._pick(("", "", " 1 discard_zeroes_cow", " 2 discard_zeroes_cow discard_passdown_origin"))
        snapshot = f"{lower} {cow} {store} {self._pick((self._chunk, self._chunk, 2))}{features}"
        target = self._pick(
            (
                f"linear {lower} 0",
                f"snapshot-origin {lower}",
                f"snapshot {snapshot}",
                f"snapshot {snapshot}",
                f"snapshot-merge {snapshot}",
                *EMPTY_TARGETS,
            )
        )
        return f'"0 {self.size} {target}"'

    def _range(self) -> str:
        sector = self._random.randrange(self.size)
        return f"{sector} {self._random.randint(1, self.size - sector)}"

    def _io(self) -> str:
        where = self._pick(self.devices * 2 + self.disks)
        self._tag += self.size
        return self._pick(
            (
                f"write {where} {self._range()} #{self._tag}",
                f"write {where} {self._range()} #{self._tag}",
                f"read {where} {self._range()}",
                f"flush {where}",
                f"flush {where}",
                f"discard {where} {self._range()}",
            )
        )

    def _control(self) -> str:
        device = self._pick(self.devices)
        return self._pick(
            (
                f"create {device} {self._table()}",
                f"create {device} {self._table()}",
                f"load {device} {self._table()}",
                f"clear {device}",
                f"create {device}",
                f"suspend {device}",
                f"resume {device}",
                f"resume {device}",
                f"remove {device}",
            )
        )

    def _look(self) -> str:
        device, disk = self._pick(self.devices), self._pick(self.disks)
        looks = (f"status {device}", f"table {device}", f"events {device}", f"settle {device}", f"metadata {disk}")
        return self._pick(looks)

    def _disturb(self) -> str:
        disk = self._pick(self.disks)
        kind = self._pick(("read", "write", "write", "flush"))
        return self._pick((f"fault {disk} {kind} {self._range()}", f"heal {disk}", f"heal {disk}", "crash"))

    def operations(self, moves: int) -> Iterator[Operation]:
        """Creates the disks and mostly the first devices; then makes ``moves`` random moves."""
        for lines in (self._beginning(), *(self._move() for _ in range(moves))):
            yield from map(sm.parse_operation, lines)

    def _beginning(self) -> list[str]:
        lines = [self._disk(name) for name in self.disks]
        if self._random.random() < 0.9:
            lines.append(f'create lower "0 {self.size} linear base 0"')
            lines.append(f'create origin "0 {self.size} snapshot-origin {self._lower}"')
            lines += [f"create {name} {self._snapshot(name)}" for name in ("snap", "two")]
        return lines

    def _snapshot(self, name: str, target: str = "snapshot") -> str:
        cow = {"snap": "cow", "two": "other"}[name]
        return f'"0 {self.size} {target} {self._lower} {cow} {self._store} {self._chunk}"'

    def _merge(self) -> list[str]:
        """Merges a snapshot, by a handover or after its removal."""
        name = self._pick(("snap", "two"))
        ended = self._pick((f"suspend {name}", f"remove {name}"))
        load = f"load origin {self._snapshot(name, 'snapshot-merge')}"
        return ["suspend origin", ended, load, "resume origin", f"resume {name}", f"read {name} 0 1"]

    def _move(self) -> list[str]:
        kind = self._random.random()
        if kind < 0.06:
            lines = [self._disturb()]
        elif kind < 0.15:
            lines = [self._look()]
        elif kind < 0.3:
            lines = [f"finish {self._random.randint(1, 4)}"]
        elif kind < 0.37:
            lines = list(map(self._perhaps_started, self._merge()))
        else:
            lines = [self._perhaps_started(self._control() if kind < 0.52 else self._io())]
        return lines

    def _perhaps_started(self, line: str) -> str:
        return f"start {self._random.randint(1, 4)} {line}" if self._random.random() < self._started else line
