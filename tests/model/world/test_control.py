"""What may be shown of a world's requests, on the smallest worlds that tell right from wrong."""

import pytest

import snapmerge as sm
from snapmerge import Answer, Request, Session
from snapmerge.world.control import answered, calmed, quiet, requests, shows
from snapmerge.world.session import submit

BASE = """\
disk base 4
disk cow 8
write base 0 4 #1
create origin "0 4 snapshot-origin base"
create snap "0 4 snapshot base cow P 1"
suspend origin
resume origin
"""


def session_after(*lines: str) -> Session:
    """After these operations, and answers, on the base."""
    session = Session.new()
    for step in sm.parse_trace(BASE):
        _, session = sm.operate(session, step.operation)
    for line in lines:
        control = sm.parse_control(line)
        if isinstance(control, Answer):
            session = next(answered(session, control.request, error=control.error))
        else:
            _, session = submit(session, sm.parse_operation(line))
        session = calmed(session)
    return session


def shown(session: Session) -> str:
    return sm.print_requests(sm.Requests(requests(session.world)))


def may_show(session: Session, text: str) -> bool:
    return shows(session.world, sm.parse_requests(text).requests)


@pytest.mark.spec("CONTROL-1")
def test_a_quiet_session_has_nothing_but_requests_in_flight() -> None:
    _, begun = submit(session_after(), sm.parse_operation("start 1 read snap 0 2"))
    for session in quiet([begun]):
        assert len(requests(session.world)) == len(session.world.flights) == 2
        assert quiet([session]) == {session}
    assert calmed(begun) in quiet([begun])


@pytest.mark.spec("CONTROL-2")
def test_an_answer_is_one_request_and_no_other() -> None:
    session = session_after("start 1 read origin 0 1", "start 2 read origin 1 1")
    assert shown(session) == "base:read:0+1 base:read:1+1"
    answer = sm.parse_control("answer base:read:1+1")
    assert isinstance(answer, Answer)
    (after,) = answered(session, answer.request)
    assert shown(calmed(after)) == "base:read:0+1"
    assert list(answered(session, Request("base", "flush"))) == []


@pytest.mark.spec("CONTROL-3")
@pytest.mark.parametrize(
    "text",
    [
        "idle",
        "base:read:0+1 base:read:0+1",
        "base:read:1+1",
        "base:write:0+1",
        "base:read:0+1 cow:flush",
        "cow:read:0+1",
    ],
)
def test_other_requests_than_the_models_are_not_shown(text: str) -> None:
    session = session_after("start 1 read origin 0 1")
    assert may_show(session, "base:read:0+1")
    assert not may_show(session, text)


@pytest.mark.spec("CONTROL-4")
def test_several_flushes_show_as_one_or_more_and_end_one_or_more() -> None:
    session = session_after("start 1 flush origin", "start 2 flush origin", "start 3 read origin 0 1")
    assert shown(session) == "base:flush base:flush base:read:0+1"
    for right in ("base:flush base:read:0+1", "base:flush base:flush base:read:0+1"):
        assert may_show(session, right)
    for wrong in ("base:read:0+1", "base:flush base:flush base:flush base:read:0+1", "base:flush base:flush"):
        assert not may_show(session, wrong)
    ended = {tuple(sorted(sm.ended_keys(calmed(s)))) for s in answered(session, Request("base", "flush"))}
    assert ended == {(1,), (2,), (1, 2)}


@pytest.mark.spec("CONTROL-4")
def test_a_flush_may_wait_for_a_write_whose_preflush_has_ended() -> None:
    copied = "start 1 write origin 0 1 #11", "answer base:read:0+1", "answer cow:write:2+1"
    before = session_after(*copied, "start 2 flush snap")
    assert shown(before) == "cow:flush cow:flush"
    assert not may_show(before, "idle")
    during = session_after(*copied, "answer cow:flush", "start 2 flush snap")
    write = next(request for request in sm.requests(during.world) if request.kind == "fua")
    assert may_show(during, sm.print_request(write))
    assert may_show(during, f"{sm.print_request(write)} cow:flush")
    assert not may_show(during, "cow:flush")


@pytest.mark.spec("CONTROL-5")
def test_copies_show_late_while_their_thread_is_busy() -> None:
    first = "start 1 write origin 0 1 #11", "answer base:read:0+1", "answer cow:write:2+1"
    session = session_after(*first, "start 2 write origin 1 1 #12", "start 3 read origin 3 1")
    assert shown(session) == "cow:flush base:read:1+1 base:read:3+1"
    assert may_show(session, "cow:flush base:read:3+1")
    assert not may_show(session, "cow:flush base:read:1+1")  # the user's own read is never late
    calm = session_after("start 2 write origin 1 1 #12", "start 3 read origin 3 1")
    assert not may_show(calm, "base:read:3+1")


@pytest.mark.spec("CONTROL-6")
def test_of_two_requests_for_one_place_each_is_tried() -> None:
    session = session_after("start 1 write origin 0 1 #11", "start 2 read snap 0 1")
    assert shown(session) == "base:read:0+1 base:read:0+1"
    place = Request("base", "read", sm.Sector(0), sm.Sectors(1))
    after = {shown(calmed(one)) for one in answered(session, place)}
    assert after == {"base:read:0+1 cow:write:2+1:#1", "base:read:0+1"}
