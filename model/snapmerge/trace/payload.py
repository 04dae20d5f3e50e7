"""What the 512 bytes of a sector hold, and how a trace names it.

A sector is named by its *tag*: a number from 0 to 2**32 - 1.  Its bytes are the tag as 32 bits, little-endian,
128 times over, so that anyone can make and recognise them.  A sector that holds anything else (metadata,
mostly) is named by a digest of its bytes.
"""

import hashlib
import struct
from collections.abc import Iterable, Iterator
from typing import Final

from snapmerge.units import SECTOR_BYTES

__all__ = [
    "TAG_MAX",
    "Content",
    "Digest",
    "Seen",
    "as_seen",
    "content_of",
    "contents",
    "data_bytes",
    "sector_bytes",
    "tags_from",
]

TAG_MAX: Final = 2**32 - 1
_WORDS: Final = SECTOR_BYTES // 4

Content = int | bytes
"""What a sector holds: a tag, or 512 bytes that are no tag's."""


class Digest(str):
    """The name of a sector that holds no tag (TRACE-12): the first 16 hex digits of the SHA-256 of its 512 bytes."""

    __slots__ = ()


Seen = int | Digest
"""How a sector reads in a trace: its tag, or its digest."""


def sector_bytes(content: Content) -> bytes:
    """The 512 bytes of a sector with this content (TRACE-11)."""
    return content if isinstance(content, bytes) else struct.pack("<I", content) * _WORDS


def content_of(data: bytes) -> Content:
    """The content of a sector with these 512 bytes: its tag if it holds one, else the bytes themselves (TRACE-11)."""
    word = data[:4]
    return int.from_bytes(word, "little") if data == word * _WORDS else data


def as_seen(content: Content) -> Seen:
    """The name of this content in a trace: the tag, or a digest (TRACE-12)."""
    if isinstance(content, bytes):
        return Digest(hashlib.sha256(content).hexdigest()[:16])
    return content


def tags_from(first: int, count: int) -> range:
    """The tags of a write: sector k of it carries ``first + k`` (TRACE-7)."""
    return range(first, first + count)


def contents(data: bytes) -> Iterator[Content]:
    """The contents of consecutive sectors.  ``data`` is a whole number of sectors."""
    return (content_of(data[at : at + SECTOR_BYTES]) for at in range(0, len(data), SECTOR_BYTES))


def data_bytes(sectors: Iterable[Content]) -> bytes:
    """The bytes of consecutive sectors."""
    return b"".join(map(sector_bytes, sectors))
