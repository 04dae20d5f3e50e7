from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import snapmerge as sm
from snapmerge import Digest, Request, Requests

names = st.from_regex(r"[A-Za-z][A-Za-z0-9_.-]{0,8}", fullmatch=True)
sectors = st.integers(0, 10**18 - 1).map(sm.Sector)
counts = st.integers(1, 9).map(sm.Sectors)
contents = st.integers(0, 2**32 - 1) | st.text("0123456789abcdef", min_size=16, max_size=16).map(Digest)


@st.composite
def some_requests(draw: st.DrawFn) -> Request:
    kind = draw(st.sampled_from(get_args(sm.RequestKind)))
    if kind == "flush":
        return Request(draw(names), "flush")
    count = draw(counts)
    payload = draw(st.lists(contents, min_size=count, max_size=count)) if kind in ("write", "fua") else []
    return Request(draw(names), kind, draw(sectors), count, tuple(payload))


seen = st.builds(
    Requests,
    st.lists(some_requests(), max_size=4).map(tuple),
    st.lists(st.integers(0, 999), max_size=3, unique=True).map(sorted).map(tuple),
)


@pytest.mark.spec("CONTROL-10")
@given(seen)
def test_what_was_seen_comes_back(requests: Requests) -> None:
    text = sm.print_requests(requests)
    assert sm.parse_requests(text) == requests
    assert "\n" not in text


def test_requests_are_written_as_the_page_says() -> None:
    text = (
        "base:read:0+2 cow:write:3+1:#21 cow:fua:1+3:#7+2,~0123456789abcdef cow:discard:0+2 cow:flush ended:2 ended:7"
    )
    assert sm.print_requests(sm.parse_requests(text)) == text
    assert sm.print_requests(Requests()) == "idle"
    assert sm.parse_requests("idle ended:4") == Requests((), (4,))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no requests; write idle where none is pending"),
        ("base:read", "not a request: 'base:read'; a request is written DISK:flush, or"),
        ("cow:flush base:swap:0+1", "not a request: 'base:swap:0"),
        ("base:flush:0+1", "not a request"),
        ("base:write:0+2:#1", "a payload of 1 sectors in a request of 2"),
        ("base:write:0+1:#1x2", "a payload of more than the 1 sectors of the request"),
        ("base:write:0+1:#99999999999", "not a run of sectors"),
        ("base:read:0+9999999", "a request of 9999999 sectors is too long"),
        ("idle ended:x", "not a number"),
        ("cow:flush idle", "the requests, or idle alone, come first"),
        ("ended:1 idle", "the requests, or idle alone, come first"),
        ("base:read:0+0", "a request of no sectors"),
        ("ended:1", "no requests; write idle"),
        ("idle ended:2 ended:1", "the keys after ended: are in ascending order"),
    ],
)
def test_what_is_no_request_is_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(sm.TraceError) as caught:
        sm.parse_requests(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_column_of_a_bad_request_is_told() -> None:
    with pytest.raises(sm.TraceError) as caught:
        sm.parse_controlled_trace("hold -> idle\nanswer cow:flush -> cow:flush base:swap:0+1\n")
    assert (caught.value.line, caught.value.column) == (2, 31)
