"""A schedule as a word of the command line: the choices that are not those of the canonical schedule.

``12:1=2,14:3=1``: the first choice during operation 12 takes the second alternative, and the third one during operation
14 takes the first.  All numbers count from 1.
"""

import argparse
import re
from collections.abc import Sequence
from typing import Final

from snapmerge import Choices, shown

__all__ = ["schedule_text", "schedule_word", "to_schedule"]

_CHOICE: Final = re.compile(r"([1-9][0-9]{0,5}):([1-9][0-9]{0,5})=([1-9][0-9]{0,5})", re.ASCII)


def schedule_text(schedule: Sequence[Choices]) -> str:
    """The choices of each operation as a word; empty for the canonical schedule."""
    every = ((at, number, chosen) for at, choices in enumerate(schedule, 1) for number, chosen in choices)
    return ",".join(f"{at}:{number + 1}={chosen + 1}" for at, number, chosen in every)


def schedule_word(text: str) -> str:
    """The word, if it is one.  Raises ArgumentTypeError."""
    to_schedule(text)
    return text


def to_schedule(text: str) -> tuple[Choices, ...]:
    """The choices of each operation, in their order.  Raises ArgumentTypeError."""
    choices: dict[int, dict[int, int]] = {}
    for word in text.split(","):
        if (found := _CHOICE.fullmatch(word)) is None:
            raise argparse.ArgumentTypeError(f"not OPERATION:CHOICE=CHOSEN, numbers from 1: {shown(word)}")
        at, number, chosen = map(int, found.groups())
        if number - 1 in (mine := choices.setdefault(at, {})):
            raise argparse.ArgumentTypeError(f"choice {number} of operation {at} is given twice; give it once")
        mine[number - 1] = chosen - 1
    return tuple(tuple(sorted(choices.get(at, {}).items())) for at in range(1, max(choices) + 1))
