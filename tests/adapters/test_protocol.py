import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapmerge import Capabilities
from snapmerge_adapters._protocol import Decoder, ProtocolError, capabilities_from, encode, hello

CONSOLE_LINE_MAX = 4000


@given(st.text(max_size=9000))
def test_any_message_survives_a_console(text: str) -> None:
    decoder = Decoder()
    lines = encode({"saw": text}).splitlines(keepends=True)
    assert all(len(line) < CONSOLE_LINE_MAX and line.endswith(b"\n") for line in lines)
    messages = [decoder.feed(line) for line in lines]
    assert messages[:-1] == [None] * (len(lines) - 1)
    assert messages[-1] == {"saw": text}


def test_a_byte_order_mark_is_skipped() -> None:
    assert Decoder().feed(b'\xef\xbb\xbf{"do": "crash"}\n') == {"do": "crash"}


def test_a_long_message_of_quotes_travels_in_pieces() -> None:
    lines = encode({"saw": '\\"' * 3000}).splitlines()
    assert len(lines) > 3
    assert max(map(len, lines)) < CONSOLE_LINE_MAX


def test_capabilities_survive() -> None:
    capabilities = Capabilities(
        frozenset({"read", "write"}),
        frozenset({"snapshot"}),
        frozenset({"flush"}),
        frozenset({"texts"}),
        1234,
        "Linux",
        (("snapshot", "1.16.0"),),
    )
    message = Decoder().feed(encode(hello(capabilities)))
    assert message is not None
    assert capabilities_from(message) == capabilities


def test_the_least_greeting_is_enough() -> None:
    assert capabilities_from({"snapmerge": 1, "capabilities": {"operations": ["read"]}}) == Capabilities(
        frozenset({"read"}), frozenset()
    )


@pytest.mark.parametrize(
    "message",
    [{}, {"snapmerge": 2, "capabilities": {}}, {"snapmerge": 1}, {"snapmerge": 1, "capabilities": {"targets": 1}}],
)
def test_other_greetings_are_refused(message: dict[str, object]) -> None:
    with pytest.raises(ProtocolError):
        capabilities_from(message)


@pytest.mark.parametrize("line", [b"", b"hello\n", b"[]\n", b"\xff\n", json.dumps("x").encode()])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        Decoder().feed(line)
