import io
import json

import pytest

from snapmerge import (
    Answer,
    Capabilities,
    Control,
    Count,
    Died,
    Events,
    Hold,
    Operation,
    OperationError,
    Outcome,
    Request,
    Requests,
    Reset,
)
from snapmerge_adapters import serve


class Toy:
    capabilities = Capabilities(frozenset({"events", "reset"}), frozenset())

    def apply(self, operation: Operation) -> Outcome:
        match operation:
            case Events("gone"):
                return Died("bye")
            case Events("broken"):
                raise ZeroDivisionError
            case Events():
                return Count(3)
            case _:
                raise OperationError("not here")

    def close(self) -> None:
        raise AssertionError("serve does not close")


class ControlledToy(Toy):
    def control(self, control: Control) -> Requests | Died:
        match control:
            case Hold():
                return Requests((Request("cow", "flush"),), (2,))
            case Answer():
                raise OperationError("no such request")
            case _:
                return Died("bye")


def answers(*lines: str, toy: Toy | None = None) -> list[dict[str, object]]:
    out = io.BytesIO()
    serve(toy or Toy(), io.BytesIO("".join(f"{line}\n" for line in lines).encode()), out)
    greeting, *replies = [json.loads(line) for line in out.getvalue().splitlines()]
    assert greeting["snapmerge"] == 1
    return replies


def test_each_request_has_its_reply() -> None:
    assert answers('{"do": "events dev"}', '{"do": "reset"}') == [{"saw": "3"}, {"illegal": "not here"}]


def test_pieces_are_put_together() -> None:
    assert answers('{"part": "{\\"do\\": "}', '{"last": "\\"events dev\\"}"}') == [{"saw": "3"}]


@pytest.mark.parametrize("line", ["nonsense", "{}", '{"do": 1}', '{"do": "fly away"}', '{"do": "events"}'])
def test_nonsense_is_illegal_and_harmless(line: str) -> None:
    first, second = answers(line, '{"do": "events dev"}')
    assert list(first) == ["illegal"]
    assert second == {"saw": "3"}


def test_close_ends_it() -> None:
    assert answers('{"close": true}', '{"do": "events dev"}') == []


def test_death_ends_it() -> None:
    assert answers('{"do": "events gone"}', '{"do": "events dev"}') == [{"died": "bye"}]


def test_a_defect_of_the_implementation_is_its_death() -> None:
    (reply,) = answers('{"do": "events broken"}')
    assert "ZeroDivisionError" in str(reply["died"])


def test_a_reset_is_passed_on() -> None:
    with pytest.raises(OperationError):
        Toy().apply(Reset())


@pytest.mark.spec("CONTROL-11")
def test_disks_under_control_are_told_and_seen() -> None:
    lines = [f'{{"do": "{line}"}}' for line in ("hold", "answer cow:flush", "answer cow", "events dev", "pending")]
    seen, refused, nonsense, count, died = answers(*lines, toy=ControlledToy())
    assert seen == {"saw": "cow:flush ended:2"}
    assert refused == {"illegal": "no such request"}
    assert "not a request" in str(nonsense["illegal"])
    assert (count, died) == ({"saw": "3"}, {"died": "bye"})


def test_disks_that_are_not_under_control_are_not_told() -> None:
    (reply,) = answers('{"do": "hold"}')
    assert list(reply) == ["illegal"]
