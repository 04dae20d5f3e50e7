"""How a message repeats what it is about: never at length.

A line of input may be megabytes long, and what is wrong with it can be said in one line all the same.
"""

from typing import Final

__all__ = ["shortened", "shown"]

_WORD: Final = 60
_LINE: Final = 200


def shortened(text: str, most: int = _LINE) -> str:
    """The text, or the first ``most`` characters of a longer one and three dots."""
    return text if len(text) <= most else text[:most] + "..."


def shown(text: str, most: int = _WORD) -> str:
    """The text in quotes, its control characters escaped; the beginning of a long one."""
    return repr(shortened(text, most))
