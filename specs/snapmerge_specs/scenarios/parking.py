"""Moves that replace tables: devices parked on ``zero`` or ``error``, and tables that are loaded and dropped."""

from collections.abc import Callable

import snapmerge as sm
from snapmerge_specs.generations.generation import Draw
from snapmerge_specs.scenarios.driver import pick
from snapmerge_specs.scenarios.layout import BARE, EMPTY_TARGETS
from snapmerge_specs.scenarios.shapes import Shapes

__all__ = ["Parking"]

Move = Callable[[Draw], None]


class Parking(Shapes):
    """Moves that replace and drop tables."""

    @property
    def empty_targets(self) -> list[str]:
        """The targets without a lower device that the implementation has."""
        return [target for target in EMPTY_TARGETS if target in self.can.targets]

    @property
    def parkable(self) -> list[str]:
        """The devices whose live table may be replaced by ``zero`` or ``error``."""
        under = self.layout.under if self.layout.discards else {}
        return [name for name in self.live if name not in under] if self.empty_targets else []

    def _empty_table(self, draw: Draw, device: str) -> str:
        """A table of ``zero`` or ``error`` with the device's length."""
        length = self.size_of(device) if device in self.live else self.layout.size
        return f"0 {length} {pick(draw, self.empty_targets)}"

    def park_beside(self, draw: Draw, move: Move) -> None:
        """Parks a device on ``zero`` or ``error``, as lvm2 does, makes some moves, and mostly restores its table."""
        device = pick(draw, self.parkable)
        table = self.table_of(device)
        self._change(draw, device, self._empty_table(draw, device))
        for _ in range(draw(0, 3)):
            move(draw)
        if device in self.devices and draw(0, 4):
            self._change(draw, device, table)
            self.see(device) if device in self.devices and draw(0, 1) else None

    def _change(self, draw: Draw, device: str, table: str) -> None:
        """Gives a device another table; mostly suspends it for that, and sometimes drops the new table before."""
        if draw(0, 4):
            self.do(sm.Suspend(device))
        self.do(sm.Load(device, table))
        if draw(0, 9) == 0:
            self.do(sm.Clear(device))
        self.do(sm.Resume(device))

    def drop_beside(self, draw: Draw, move: Move) -> None:
        """Loads a table of any kind, perhaps makes a move, and drops the table."""
        device = pick(draw, [name for name in self.devices if name != BARE] or ["origin"])
        if draw(0, 1):
            self.do(sm.Suspend(device))
        self.do(sm.Load(device, self._any_table(draw, device)))
        if draw(0, 1):
            move(draw)
        self.do(sm.Clear(device))
        if draw(0, 2):
            self.do(sm.Resume(device))

    def _any_table(self, draw: Draw, device: str) -> str:
        """A table of any kind for the device that does not put the device above itself."""
        if device in self.layout.under:
            return self.layout.under[device]
        tables = [self._empty_table(draw, device)] if self.empty_targets else []
        i = draw(0, len(self.layout.cows) - 1)
        tables += [self.layout.origin_table, self.layout.snapshot_table(draw, i)]
        return pick(draw, [*tables, self.layout.merge_table(draw, i), self.layout.merge_table(draw, i)])
