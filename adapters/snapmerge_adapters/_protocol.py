"""The stdio protocol: JSON messages, one a line, both ways.

The server speaks first: ``{"snapmerge": 1, "capabilities": {...}}``.  Then every request ``{"do": "TRACE LINE"}`` has
one reply: ``{"saw": "OUTCOME"}``, ``{"illegal": "REASON"}`` (the operation makes no sense, nothing has changed) or
``{"died": "LAST WORDS"}``.  ``{"close": true}`` or the end of the input ends.

A terminal may be in between, and loses lines of 4,096 bytes.  So a message that is longer than ``LINE_MAX`` bytes
travels in pieces: ``{"part": "..."}`` lines and a ``{"last": "..."}`` line, whose texts, joined, are the message.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Final

from snapmerge import Capabilities

__all__ = ["LINE_MAX", "VERSION", "Decoder", "Message", "ProtocolError", "capabilities_from", "encode", "hello"]

VERSION: Final = 1
LINE_MAX: Final = 3000
_PIECE: Final = 1400  # characters; each may become two when it is quoted again

Message = Mapping[str, object]


class ProtocolError(Exception):
    """The other side said something that is not in the protocol."""


def encode(message: Message) -> bytes:
    """The line, or lines, of a message."""
    text = json.dumps(message)
    if len(text) < LINE_MAX:
        return text.encode() + b"\n"
    return "".join(f"{line}\n" for line in _pieces(text)).encode()


def _pieces(text: str) -> Iterator[str]:
    for at in range(0, len(text), _PIECE):
        key = "part" if at + _PIECE < len(text) else "last"
        yield json.dumps({key: text[at : at + _PIECE]})


class Decoder:
    """Puts messages together from lines."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def feed(self, line: bytes) -> Message | None:
        """The message that this line ends, or None.  Raises ProtocolError."""
        message = _parse(line)
        if isinstance(part := message.get("part"), str):
            self._parts.append(part)
            return None
        if isinstance(last := message.get("last"), str):
            text = "".join(self._parts) + last
            self._parts.clear()
            return _parse(text.encode(errors="replace"))
        return message


def _parse(line: bytes) -> Message:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ProtocolError(f"not a message: {line[:200].decode(errors='replace').strip()!r}")
    return message


_SETS: Final = ("operations", "targets", "faults", "features")


def hello(capabilities: Capabilities) -> Message:
    """The server's first message."""
    fields: dict[str, object] = {name: sorted(getattr(capabilities, name)) for name in _SETS}
    fields["sectors_max"] = capabilities.sectors_max
    fields["about"] = capabilities.about
    fields["versions"] = [list(pair) for pair in capabilities.versions]
    return {"snapmerge": VERSION, "capabilities": fields}


def capabilities_from(message: Message) -> Capabilities:
    """The capabilities in the server's first message.  Raises ProtocolError."""
    fields = message.get("capabilities")
    if message.get("snapmerge") != VERSION or not isinstance(fields, dict):
        raise ProtocolError(f"not a greeting of version {VERSION}: {json.dumps(message)[:200]}")
    try:
        operations, targets, faults, features = (frozenset(map(str, fields.get(name, ()))) for name in _SETS)
        versions = tuple((str(name), str(version)) for name, version in fields.get("versions", ()))
        size = int(fields.get("sectors_max", Capabilities(operations, targets).sectors_max))
    except (TypeError, ValueError, OverflowError) as error:
        raise ProtocolError(f"not capabilities: {error}") from None
    return Capabilities(operations, targets, faults, features, size, str(fields.get("about", "")), versions)
