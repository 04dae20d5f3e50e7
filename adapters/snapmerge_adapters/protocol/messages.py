"""The stdio protocol: JSON messages, one a line, both ways.

The server speaks first: ``{"snapmerge": 1, "capabilities": {...}}``.  Then every request ``{"do": "TRACE LINE"}`` has
one reply: ``{"saw": "OUTCOME"}``, ``{"illegal": "REASON"}`` (the operation is invalid, nothing has changed) or
``{"died": "LAST WORDS"}``.  ``{"close": true}`` or the end of the input ends.

A terminal may be in between, and loses lines of 4,096 bytes.  So a message that is longer than ``LINE_MAX`` bytes
travels in pieces: ``{"part": "..."}`` lines and a ``{"last": "..."}`` line, whose texts, joined, are the message.
No line, and no message, is longer than ``MESSAGE_MAX``.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Final

from snapmerge import Capabilities
from snapmerge_adapters.texts import cut

__all__ = [
    "LINE_MAX",
    "MESSAGE_MAX",
    "VERSION",
    "Decoder",
    "Message",
    "ProtocolError",
    "answer_from",
    "capabilities_from",
    "encode",
    "hello",
]

VERSION: Final = 1
LINE_MAX: Final = 3000
MESSAGE_MAX: Final = 1 << 25
"""Bytes; an outcome of 2**20 sectors with a digest each has 19 MB."""
_QUOTED: Final = 100
_PIECE: Final = 1400  # characters; each may become two when it is quoted again

Message = Mapping[str, object]


class ProtocolError(Exception):
    """The other side said something that is not in the protocol."""


def encode(message: Message) -> bytes:
    """The line of a message, or its lines if it is long (PROTO-1)."""
    text = json.dumps(message)
    if len(text) < LINE_MAX:
        return text.encode() + b"\n"
    return "".join(f"{line}\n" for line in _pieces(text)).encode()


def _pieces(text: str) -> Iterator[str]:
    for at in range(0, len(text), _PIECE):
        key = "part" if at + _PIECE < len(text) else "last"
        yield json.dumps({key: text[at : at + _PIECE]})


class Decoder:
    """Joins lines to messages, within the bounds of PROTO-1."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._size = 0

    def feed(self, line: bytes) -> Message | None:
        """The message that this line ends, or None.  After a ProtocolError, a new message begins."""
        try:
            return self._feed(_parse(line))
        except ProtocolError:
            self._forget()
            raise

    def _feed(self, message: Message) -> Message | None:
        match message:
            case {"part": str(part)} if "last" not in message:
                self._add(part)
                return None
            case {"last": str(last)} if "part" not in message:
                self._add(last)
                text = "".join(self._parts)
                self._forget()
                # A pair of surrogates may have been split between two pieces.
                return _parse(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode())
            case _ if self._parts:
                raise ProtocolError(f"a message between the pieces of another one: {_quoted(message)}")
            case _:
                return message

    def _add(self, part: str) -> None:
        self._size += len(part) + 1  # an empty piece counts, too
        if self._size > MESSAGE_MAX:
            raise ProtocolError(f"a message in pieces of more than {MESSAGE_MAX} bytes")
        self._parts.append(part)

    def _forget(self) -> None:
        self._parts.clear()
        self._size = 0


def _parse(line: bytes) -> Message:
    if len(line) > MESSAGE_MAX:
        raise ProtocolError(f"a line of more than {MESSAGE_MAX} bytes")
    try:
        message = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_object)
    except (ValueError, RecursionError):
        message = None
    if not isinstance(message, dict):
        raise ProtocolError(f"not a message: {line[:_QUOTED].decode(errors='replace').strip()!r}")
    return message


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object, whose fields must have different names (PROTO-2)."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ProtocolError(f"a message with two fields {twice[:_QUOTED]!r}")
    return fields


def _quoted(value: object) -> str:
    try:
        return cut(json.dumps(value), _QUOTED)
    except RecursionError:
        return "something deep"


_ANSWERS: Final = ("saw", "illegal", "died")


def answer_from(message: Message) -> tuple[str, str]:
    """The kind of a reply ("saw", "illegal" or "died") and its text (PROTO-2).  Raises ProtocolError."""
    found = [name for name in _ANSWERS if name in message]
    if len(found) != 1:
        what = f"it has {' and '.join(found)}" if found else f"it is {_quoted(message)}"
        raise ProtocolError(f"not a reply: {what}; a reply has one of saw, illegal and died")
    text = message[found[0]]
    if not isinstance(text, str):
        raise ProtocolError(f"not a reply: {found[0]} should be a string: {_quoted(text)}")
    return found[0], text


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
    version, fields = message.get("snapmerge"), message.get("capabilities")
    if type(version) is not int or version != VERSION:  # True and 1.0 are equal to 1
        raise ProtocolError(f"not a greeting of version {VERSION}: its version is {_quoted(version)}")
    if not isinstance(fields, dict):
        raise ProtocolError(f"not a greeting: its capabilities should be an object: {_quoted(fields)}")
    operations, targets, faults, features = (_words(name, fields.get(name, [])) for name in _SETS)
    size = fields.get("sectors_max", Capabilities(operations, targets).sectors_max)
    if type(size) is not int or size < 0:
        raise ProtocolError(f"not a greeting: sectors_max should be a whole number: {_quoted(size)}")
    about = fields.get("about", "")
    if not isinstance(about, str):
        raise ProtocolError(f"not a greeting: about should be a string: {_quoted(about)}")
    versions = fields.get("versions", [])
    return Capabilities(operations, targets, faults, features, size, cut(about, _ABOUT), _versions(versions))


_ABOUT: Final = 300


def _words(name: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise ProtocolError(f"not a greeting: {name} should be a list of strings: {_quoted(value)}")
    return frozenset(value)


def _versions(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or not all(map(_is_pair, value)):
        raise ProtocolError(f"not a greeting: versions should be a list of pairs of strings: {_quoted(value)}")
    return tuple((cut(name, _QUOTED), cut(version, _QUOTED)) for name, version in value)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(word, str) for word in value)
