"""How a message repeats what it is about: never at length; and how it counts.

A line of input may be megabytes long, and what is wrong with it can be said in one line all the same.
"""

from typing import Final

__all__ = ["counted", "shortened", "shown"]

_WORD: Final = 60
_LINE: Final = 200


def counted(number: int, thing: str) -> str:
    """How many there are of a thing whose plural ends in s: ``1 chunk``, ``3 chunks``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def shortened(text: str, most: int = _LINE) -> str:
    """The text, or the first ``most`` characters of a longer one and three dots."""
    return text if len(text) <= most else text[:most] + "..."


def shown(text: str, most: int = _WORD) -> str:
    """The text in quotes, its control characters escaped; the beginning of a long one."""
    return repr(shortened(text, most))
