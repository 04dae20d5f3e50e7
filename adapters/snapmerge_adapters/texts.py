"""Text from other programs, made safe to keep and to show: bounded, without control characters."""

from typing import Final

__all__ = ["cut", "escaped", "last_words"]

_LINES: Final = 60
_LINE: Final = 400
_REASON: Final = 1000


def escaped(text: str) -> str:
    r"""The text on one line, with ``\x1b`` and the like in place of characters that can't be printed."""
    if text.isprintable():
        return text
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in text
    )


def cut(text: str, most: int = _REASON) -> str:
    """The first ``most`` characters of the text, escaped, and how many more there are."""
    more = len(text) - most
    return escaped(text[:most]) + (f"... ({more} more characters)" if more > 0 else "")


def last_words(text: str) -> str:
    """The text in lines, at most 60 of at most 400 characters (the first and the last ones), each of them escaped."""
    lines = [line.rstrip() for line in text.strip().split("\n")]
    if len(lines) > _LINES:
        half = _LINES // 2
        lines = [*lines[:half], f"... ({len(lines) - _LINES + 1} more lines)", *lines[-half + 1 :]]
    return "\n".join(cut(line.expandtabs(), _LINE) for line in lines)
