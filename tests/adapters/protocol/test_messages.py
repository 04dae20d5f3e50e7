import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapmerge import Capabilities
from snapmerge_adapters.protocol.messages import (
    MESSAGE_MAX,
    Decoder,
    ProtocolError,
    answer_from,
    capabilities_from,
    encode,
    hello,
)

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
    [
        {},
        {"snapmerge": 1},
        *({"snapmerge": version, "capabilities": {}} for version in (2, 0, 1.0, True, "1", [1], None)),
        *({"snapmerge": 1, "capabilities": {name: 1}} for name in ("operations", "targets", "about", "versions")),
        {"snapmerge": 1, "capabilities": {"operations": "read"}},
        {"snapmerge": 1, "capabilities": {"operations": [1]}},
        {"snapmerge": 1, "capabilities": {"versions": [["snapshot"]]}},
        *({"snapmerge": 1, "capabilities": {"sectors_max": size}} for size in (True, "64", 6.5, -1, float("inf"))),
    ],
)
def test_other_greetings_are_refused(message: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match=r"^not a greeting") as caught:
        capabilities_from(message)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("line", [b"", b"hello\n", b"[]\n", b"\xff\n", json.dumps("x").encode()])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        Decoder().feed(line)


@pytest.mark.spec("PROTO-1")
def test_a_message_in_pieces_is_bounded() -> None:
    decoder = Decoder()
    piece = json.dumps({"part": "x" * (MESSAGE_MAX // 4)}).encode()
    for _ in range(3):
        assert decoder.feed(piece) is None
    with pytest.raises(ProtocolError, match=str(MESSAGE_MAX)):
        decoder.feed(piece)
    assert decoder.feed(b'{"saw": "ok"}') == {"saw": "ok"}


@pytest.mark.spec("PROTO-1")
def test_the_longest_outcome_is_no_longer_than_a_message_may_be() -> None:
    assert (1 << 20) * len("~00112233445566ff ") < MESSAGE_MAX


@pytest.mark.spec("PROTO-2")
@pytest.mark.parametrize(
    "message", [{}, {"saw": 1}, {"saw": "ok", "died": ""}, {"saw": "ok", "illegal": None}, {"illegal": "", "died": ""}]
)
def test_a_reply_has_one_answer(message: dict[str, object]) -> None:
    with pytest.raises(ProtocolError, match=r"^not a reply"):
        answer_from(message)


def test_a_pair_of_surrogates_may_be_split_between_pieces() -> None:
    decoder = Decoder()
    assert decoder.feed(b'{"part": "{\\"saw\\": \\"\\ud83d"}') is None
    assert decoder.feed(b'{"last": "\\ude00\\"}"}') == {"saw": "\N{GRINNING FACE}"}
