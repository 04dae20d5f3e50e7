"""The words of a trace's lines, and what a single word can be: a name, a number, a tag.

Each word knows its column, so that an error can name the place.
"""

import re
from typing import Final

from snapmerge.errors import TraceError
from snapmerge.messages import shown
from snapmerge.trace.payload import TAG_MAX
from snapmerge.units import Sector, Sectors

__all__ = [
    "SECTORS_MAX",
    "Word",
    "count_of",
    "extent_of",
    "name_of",
    "number_of",
    "quote",
    "sector_of",
    "split_words",
    "tag_of",
]

SECTORS_MAX: Final = 1 << 20
"""The most sectors that one operation reads, writes or discards, and that one outcome shows."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*\Z")
_WORD: Final = re.compile(r'\s*(?:"((?:[^"\\]++|\\.)*+)"|([^\s"]+))')
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r"}
_UNSAFE: Final = re.compile(r'[\\"\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]')  # lone surrogates are not UTF-8
_NAME_MAX: Final = 100  # device-mapper takes 127 characters, and an adapter puts a prefix before them


class Word(str):
    """A word of a line; ``column``: the position of its first character, from 1 on."""

    __slots__ = ("column",)
    column: int

    def refused(self, reason: str) -> TraceError:
        """The error about this word, with its place."""
        return TraceError(reason, column=self.column)

    def shown(self) -> str:
        """The word in quotes, for an error; the beginning of a long one."""
        return shown(self)


def split_words(text: str) -> list[Word]:
    """Splits a line at blanks; "..." is one word, in which a backslash begins an escape (TRACE-4)."""
    words, at = [], 0
    text = text.rstrip()  # blanks at the front stay: columns count from the line's start
    while at < len(text):
        match = _WORD.match(text, at)
        if match is None:
            rest = text[at:].lstrip()
            raise TraceError(f'unfinished quoted text: {shown(rest)}; it ends with "', column=len(text) - len(rest) + 1)
        quoted, bare = match.groups()
        word = Word(bare if quoted is None else _unescape(quoted))
        word.column = match.start(2) + 1 if quoted is None else match.start(1)
        words.append(word)
        at = match.end()
    return words


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        word = match[1]
        return chr(int(word[1:], 16)) if len(word) == 5 else _ESCAPES.get(word, word)

    return re.sub(r"\\(u[0-9a-f]{4}|.)", one, text)


def quote(text: str) -> str:
    """The text as a word in quotes (TRACE-4)."""

    def one(match: re.Match[str]) -> str:
        char = match[0]
        return "\\" + char if char in '\\"' else f"\\u{ord(char):04x}"

    return f'"{_UNSAFE.sub(one, text)}"'


def name_of(word: Word) -> str:
    """The word as a name (TRACE-5).  Raises TraceError, as all of these functions do."""
    if not _NAME.match(word):
        raise word.refused(f"not a name: {word.shown()}; a name is a letter, then letters, digits, '_', '.', '-'")
    if len(word) > _NAME_MAX:
        raise word.refused(f"a name of {len(word)} characters: {word.shown()}; at most {_NAME_MAX}")
    return str(word)


def number_of(word: Word, start: int = 0) -> int:
    """The word, from character ``start`` on, as a number (TRACE-6)."""
    digits = word[start:]
    if not (digits.isascii() and digits.isdecimal()) or len(digits) > 18:
        raise word.refused(f"not a number: {word.shown()}; write it in decimal digits, at most 18")
    return int(digits)


def sector_of(word: Word) -> Sector:
    """The number of a sector."""
    return Sector(number_of(word))


def count_of(word: Word) -> Sectors:
    """How many sectors, at least one."""
    if (count := number_of(word)) == 0:
        raise word.refused("a count of sectors is 1 or more")
    return Sectors(count)


def extent_of(word: Word) -> Sectors:
    """The number of sectors that one operation reads, writes or discards (TRACE-13)."""
    if (count := count_of(word)) > SECTORS_MAX:
        raise word.refused(f"{count} sectors are too many for one operation; at most {SECTORS_MAX}")
    return count


def tag_of(word: Word) -> int:
    """The tag of a sector."""
    if not word.startswith("#") or (tag := number_of(word, 1)) > TAG_MAX:
        raise word.refused(f"not a tag: {word.shown()}; a tag is # and a number below 2**32")
    return tag
