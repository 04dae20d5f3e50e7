"""Figures, and how they are taken: in turns with whatever they are compared to, so that a machine's drift cancels."""

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

__all__ = ["Figure", "Sizes", "calibrate", "in_turns", "ratio", "seconds", "table"]

_ROUNDS: Final = 40


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.  ``repeats``: how often each figure is taken; its median counts.

    ``defects``: how many of the seeded defects are looked for, each for ``defect_seconds``; None: all.
    ``seed``: the first scenario's.
    """

    repeats: int = 7
    operations: int = 1_000
    unflushed: int = 20_000
    few: int = 1_000
    many: int = 1_000_000
    boots: int = 3
    scenarios: int = 10
    chunks: int = 32
    defects: int | None = None
    defect_seconds: float = 60
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Figure:
    """One row.  ``ratio`` is to what ``to`` says; ``skipped``: why there is no value."""

    name: str
    what: str
    value: float | None
    unit: str
    ratio: float | None = None
    to: str = ""
    aim: str = ""
    skipped: str = ""


def seconds(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def calibrate() -> float:
    """Rounds per second of a fixed loop of what the model does most: calls, small tuples, look-ups."""

    def step(at: int, there: tuple[int, ...]) -> tuple[int, ...]:
        return (*there[1:], at)

    def loop() -> None:
        for _ in range(_ROUNDS):
            known: dict[int, tuple[int, ...]] = {}
            for at in range(500):
                known[at % 50] = step(at, known.get(at % 50, (0, 0, 0, 0)))

    return _ROUNDS / seconds(loop)


def in_turns(repeats: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Takes every measure in turn, ``repeats`` times; each one's values, in the same order."""
    rounds = [[measure() for measure in measures] for _ in range(repeats)]
    return [list(values) for values in zip(*rounds, strict=True)]


def ratio(values: Sequence[float], to: Sequence[float]) -> float:
    """The median of the ratios of values that were taken in turns."""
    return statistics.median(value / other for value, other in zip(values, to, strict=True))


def table(figures: Iterable[Figure]) -> str:
    """The figures as text, a line each."""
    rows = [("name", "figure", "value", "ratio", "aim")]
    rows += [(f.name, f.what, _value(f), "" if f.ratio is None else f"{f.ratio:.3g} x {f.to}", f.aim) for f in figures]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _value(figure: Figure) -> str:
    if figure.value is None:
        return f"skipped: {figure.skipped}"
    return f"{figure.value:,.0f} {figure.unit}" if figure.value >= 100 else f"{figure.value:.3g} {figure.unit}"
