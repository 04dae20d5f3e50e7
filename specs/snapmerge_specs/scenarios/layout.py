"""The disks of a scenario, and the table lines for them.

Sizes are drawn close to the limits: origins that end inside a chunk, nearly full stores and areas, snapshots of one
origin with different chunk sizes.
"""

from typing import Final

from snapmerge import DEVICE_ARGUMENTS, Capabilities
from snapmerge.records import dataclass, replace
from snapmerge_specs.generations.generation import Draw
from snapmerge_specs.lockstep.capabilities import FAULTS, has_kind

__all__ = [
    "BARE",
    "EMPTY_TARGETS",
    "FEATURES",
    "LEFT_OUT",
    "SECTORS_LEAST",
    "Cow",
    "Layout",
    "blank_name",
    "cow_name",
    "draw_layout",
    "snapshot_name",
]


LEFT_OUT: Final = {
    "a line that does not begin at sector 0": "a device of a scenario has one line; traces and small scopes have such",
    "several lines in a table": "a device of a scenario has one line; traces and small scopes have such",
    "chunks of more than 32 sectors": "larger bios are split by the block layer, which is not modelled",
    "features without discard_zeroes_cow": "they are refused, which the refused tables show",
    "a table that names its own device": "kernels differ, and some can't remove such a device any more",
    "discards with zeroes or errors below": "Linux 6.1 refuses them, and later kernels take them",
    "a COW device that is an origin, too": "writes to that origin would damage the store",
}
"""Tables that the grammar allows and scenarios deliberately leave out, each with the reason."""

SECTORS_LEAST: Final = 8
"""The sectors that the disks of the smallest layout have together."""

FEATURES: Final = ("", " 1 discard_zeroes_cow", " 2 discard_zeroes_cow discard_passdown_origin")
"""The features that a table line may ask for."""

EMPTY_TARGETS: Final = tuple(sorted(name for name, devices in DEVICE_ARGUMENTS.items() if not devices))
"""The targets without a lower device."""

BARE: Final = "bare"
"""A device that never gets a table."""


def cow_name(i: int) -> str:
    """The disk of snapshot ``i``."""
    return f"cow{i}"


def blank_name(i: int) -> str:
    """The device of ``zero`` or ``error`` targets that snapshot ``i`` may have as its COW device."""
    return f"blank{i}"


def snapshot_name(i: int) -> str:
    """The device of snapshot ``i``."""
    return f"snap{i}"


@dataclass(frozen=True, slots=True)
class Cow:
    """A disk for exceptions, of ``size`` sectors; ``kind`` and ``chunk_size`` are those of the table line.

    ``blank``: the target of a device that the snapshot has as its COW device instead; empty: none.
    """

    size: int
    kind: str
    chunk_size: int
    blank: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """The disks of a scenario, and which kinds of devices and events it has.

    ``size``: the origin's sectors; the disk ``base`` has ``beyond`` more.  ``gated``: the origin lies on a device
    ``lower``, which can hold back I/O, with the target ``below``.  ``discards``: snapshots have the features for
    discards.  ``faults``, ``crashes``: disks may fail, the power may be cut.
    """

    size: int = 1
    cows: tuple[Cow, ...] = ()
    gated: bool = False
    below: str = "linear"
    discards: bool = False
    faults: bool = False
    crashes: bool = False
    beyond: int = 0

    @property
    def disk(self) -> int:
        """The sectors of the disk ``base``."""
        return self.size + self.beyond

    @property
    def chunk_sizes(self) -> tuple[int, ...]:
        """The chunk sizes of the snapshots."""
        return tuple(cow.chunk_size for cow in self.cows)

    @property
    def lower(self) -> str:
        """The device or disk below the origin and its snapshots."""
        return "lower" if self.gated else "base"

    @property
    def lower_table(self) -> str:
        """The table of the device ``lower``: the whole disk, or a target without a lower device."""
        return f"0 {self.disk} {self.below}" + (" base 0" if self.below == "linear" else "")

    @property
    def under(self) -> dict[str, str]:
        """The tables of the devices that lie below the origin and the snapshots."""
        blanks = {blank_name(i): f"0 {cow.size} {cow.blank}" for i, cow in enumerate(self.cows) if cow.blank}
        return blanks | ({"lower": self.lower_table} if self.gated else {})

    def cow_device(self, i: int) -> str:
        """The COW device of snapshot ``i``."""
        return blank_name(i) if self.cows[i].blank else cow_name(i)

    @property
    def origin_table(self) -> str:
        """The table of the origin."""
        return f"0 {self.size} snapshot-origin {self.lower}"

    def snapshot_table(self, draw: Draw, i: int) -> str:
        """The table of snapshot ``i``, sometimes with another chunk size, or shorter than the origin."""
        cow = self.cows[i]
        length = self.size if draw(0, 9) else draw(1, self.size)
        words = f"0 {length} snapshot {self.lower} {self.cow_device(i)} {cow.kind} {self._chunk_size(draw, cow)}"
        return words + (FEATURES[draw(1, 2)] if self.discards else "")

    def merge_table(self, draw: Draw, i: int) -> str:
        """The table of the merge of snapshot ``i``, sometimes of a transient store, or shorter than the origin."""
        cow = self.cows[i]
        kind = "P" if cow.kind == "N" and draw(0, 3) else cow.kind
        length = self.size if draw(0, 9) else draw(1, self.size)
        words = f"0 {length} snapshot-merge {self.lower} {self.cow_device(i)} {kind} {self._chunk_size(draw, cow)}"
        return words + (FEATURES[draw(0, 2)] if self.discards else "")

    @staticmethod
    def _chunk_size(draw: Draw, cow: Cow) -> int:
        if cow.kind == "N" or draw(0, 9):
            return cow.chunk_size
        return (0, 2 * cow.chunk_size)[draw(0, 1)]

    def bad_table(self, draw: Draw) -> str:
        """A table line that the kernel refuses: one for each check of a constructor."""
        size, low, cow = self.size, "base", cow_name(0)
        lines = (
            f"0 {size} snapshot {low} {cow} P",
            f"0 {size} snapshot {low} {cow} P 8 3 a b c",
            f"0 {size} snapshot {low} {cow} P 8 1",
            f"0 {size} snapshot {low} {cow} P 8 1 discard_everything",
            f"0 {size} snapshot {low} {cow} P 8 1 discard_passdown_origin",
            f"0 {size} snapshot nothing {cow} P 8",
            f"0 {size} snapshot {low} nothing P 8",
            f"0 {size} snapshot {BARE} {cow} P 8",
            f"0 {size} snapshot {low} {BARE} P 8",
            f"0 {size} snapshot {low} {low} P 8",
            f"0 {size} snapshot {low} {cow} PX 8",
            f"0 {size} snapshot {low} {cow} Q 8",
            f"0 {size} snapshot {low} {cow} P 3",
            f"0 {size} snapshot {low} {cow} P 4194304",
            f"0 {size} snapshot {low} {cow} P 8k",
            f"0 {size} snapshot-origin",
            f"0 {size} snapshot-origin nothing",
            f"0 {size} snapshot-origin {BARE}",
            f"0 {size} snapshot-merge {low} {cow} P",
            f"0 0 snapshot-origin {low}",
            f"0 {size} snapshots {low}",
            f"8 {size} snapshot-origin {low}",
            f"0 {size} linear {low}",
            f"0 {size} linear {low} x",
            f"0 {size} linear {BARE} 0",
            f"0 {size} zero 1",
        )
        return lines[draw(0, len(lines) - 1)]


def draw_layout(draw: Draw, can: Capabilities) -> Layout:
    """Draws a layout within an implementation's capabilities."""
    drawn = [_draw_cow(draw, can) for _ in range(draw(1, 3))]
    cows = tuple(cow if has_kind(cow.kind, can) else replace(cow, kind="P") for cow in drawn)
    largest = max(cow.chunk_size for cow in cows)
    size = draw(1, 6) * largest + draw(0, largest - 1) * draw(0, 1)
    between = [target for target in ("linear", "linear", "linear", *EMPTY_TARGETS) if target in can.targets]
    # A program that has only such targets can't be tested otherwise.
    gated = bool(between) and (draw(0, 4) == 0 or can.targets <= set(between))
    below = between[draw(0, len(between) - 1)] if gated else "linear"
    on_disks = below == "linear" and not any(cow.blank for cow in cows)
    discards = on_disks and {"discard", "discard_zeroes_cow"} <= can.features and draw(0, 2) == 0
    faults = bool(can.faults & FAULTS) and draw(0, 1) == 0
    crashes = "crash" in can.operations and draw(0, 2) == 0
    beyond = draw(1, 2 * largest) if draw(0, 4) == 0 else 0
    layout = Layout(max(size, 40 if largest == 1 else 1), cows, gated, below, discards, faults, crashes, beyond)
    return _within(layout, can.sectors_max)


def _within(layout: Layout, most: int) -> Layout:
    """The layout, reduced until its disks have at most ``most`` sectors together (``SECTORS_LEAST`` or more)."""
    while len(layout.cows) > 1 and _sectors(layout) > most:
        layout = replace(layout, cows=layout.cows[:-1])
    if _sectors(layout) <= most:
        return layout
    layout = replace(layout, beyond=0)
    size = min(layout.size, most // 2)
    cow = layout.cows[0]
    room = min(cow.size, most - size)
    chunk_size = cow.chunk_size
    while 3 * chunk_size > room:  # the header, an area and a chunk of data
        chunk_size //= 2
    return replace(layout, size=size, cows=(replace(cow, size=room, chunk_size=chunk_size),))


def _sectors(layout: Layout) -> int:
    return layout.disk + sum(cow.size for cow in layout.cows)


def _draw_cow(draw: Draw, can: Capabilities) -> Cow:
    """Draws a disk for a few exceptions; with chunks of one sector an area has 32 records, so several come into use."""
    blanks = [target for target in EMPTY_TARGETS if target in can.targets]
    blank = blanks[draw(0, len(blanks) - 1)] if blanks and draw(0, 11) == 0 else ""
    chunk_size = (1, 1, 1, 2, 4, 8, 8, 16)[draw(0, 7)]
    kind = ("P", "P", "P", "PO", "N")[draw(0, 4)]
    chunks = draw(0, 2) if draw(0, 3) == 0 else draw(0, 80 if chunk_size == 1 else 8)
    spare = draw(0, chunk_size - 1) * draw(0, 1)
    return Cow((3 + chunks) * chunk_size + spare, kind, chunk_size, blank)
