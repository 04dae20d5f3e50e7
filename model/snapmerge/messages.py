"""Helpers for messages: bounded quotations of input, and counted nouns.

A line of input may be megabytes long; the message about it is still one line.
"""

from typing import Final

__all__ = ["counted", "shortened", "shown"]

_WORD: Final = 60
_LINE: Final = 200


def counted(number: int, thing: str) -> str:
    """A number with its noun, whose plural ends in s: ``1 chunk``, ``3 chunks``."""
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def shortened(text: str, most: int = _LINE) -> str:
    """The text, or the first ``most`` characters of a longer one and three dots."""
    return text if len(text) <= most else text[:most] + "..."


def shown(text: str, most: int = _WORD) -> str:
    """The text in quotes, its control characters escaped; the beginning of a long one."""
    return repr(shortened(text, most))
