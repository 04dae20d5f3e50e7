"""Controlled traces are judged step by step."""

from pathlib import Path

import pytest

import snapmerge as sm
from snapmerge_adapters import Memory
from snapmerge_specs import HeldJudge, judge_held

BEGIN = """\
disk base 2 -> ok
disk cow 8 -> ok
write base 0 2 #1 -> ok
create origin "0 2 snapshot-origin base" -> ok
create snap "0 2 snapshot base cow P 1" -> ok
suspend origin -> ok
resume origin -> ok
"""
WRITE = """\
hold -> idle
start 1 write origin 0 1 #11 -> ok
pending -> base:read:0+1
answer base:read:0+1 -> cow:write:2+1:#1
answer cow:write:2+1 -> cow:flush
answer cow:flush -> cow:fua:1+1:~8e70cce74590082e
answer cow:fua:1+1 -> base:write:0+1:#11
answer base:write:0+1 -> idle ended:1
finish 1 -> ok
"""


def verdict(text: str) -> object:
    return judge_held(sm.parse_controlled_trace(text))


def played(implementation: sm.Controlled, text: str) -> None:
    for step in sm.parse_controlled_trace(text):
        if isinstance(step, sm.ControlStep):
            implementation.control(step.control)
        else:
            implementation.apply(step.operation)


@pytest.mark.spec("CONTROL-2", "CONTROL-12")
def test_a_copy_is_seen_request_by_request() -> None:
    assert verdict(BEGIN + WRITE) is None
    assert verdict(BEGIN + WRITE + "reset -> ok\n" + BEGIN + WRITE) is None


@pytest.mark.spec("CONTROL-1")
@pytest.mark.parametrize(
    ("line", "instead", "allowed"),
    [
        ("pending -> base:read:0+1", "pending -> idle", "base:read:0+1"),
        ("answer base:read:0+1 -> cow:write:2+1:#1", "answer base:read:0+1 -> cow:write:2+1:#2", "cow:write:2+1:#1"),
        ("answer base:write:0+1 -> idle ended:1", "answer base:write:0+1 -> idle", "idle ended:1"),
        ("answer cow:write:2+1 -> cow:flush", "answer cow:write:2+1 -> cow:flush cow:flush", "cow:flush"),
    ],
)
def test_what_was_not_to_be_seen_diverges_and_what_was_is_told(line: str, instead: str, allowed: str) -> None:
    assert line in WRITE
    found = verdict(BEGIN + WRITE.replace(line, instead))
    assert isinstance(found, sm.HeldDivergence)
    assert sm.print_controlled_trace([found.step]) == f"{instead}\n"
    assert [sm.print_requests(one) for one in found.allowed if isinstance(one, sm.Requests)] == [allowed]


def test_an_outcome_diverges_and_what_was_allowed_is_told() -> None:
    found = verdict(BEGIN + WRITE.replace("finish 1 -> ok", "finish 1 -> error EIO"))
    assert isinstance(found, sm.HeldDivergence)
    assert found.allowed == (sm.Done(),)
    found = verdict(BEGIN.replace("write base 0 2 #1 -> ok", "write base 0 2 #1 -> error EIO") + WRITE)
    assert isinstance(found, sm.Divergence)


@pytest.mark.parametrize("line", ['pending -> died "BUG"', 'start 2 read snap 0 1 -> died "BUG"'])
def test_a_death_diverges(line: str) -> None:
    assert isinstance(verdict(f"{BEGIN}hold -> idle\n{line}\n"), sm.HeldDivergence)


@pytest.mark.spec("CONTROL-2")
def test_a_failed_request_changes_nothing() -> None:
    failed = """\
hold -> idle
start 1 write origin 0 1 #11 -> ok
answer base:read:0+1 error -> cow:fua:0+1:~75c2f713b1431444
answer cow:fua:0+1 -> base:write:0+1:#11
answer base:write:0+1 error -> idle ended:1
finish 1 -> error EIO
start 2 read origin 0 1 -> ok
pending -> base:read:0+1
answer base:read:0+1 -> idle ended:2
finish 2 -> #1
"""
    assert verdict(BEGIN + failed) is None
    assert verdict(BEGIN + failed.replace("finish 2 -> #1", "finish 2 -> #11")) is not None


def test_what_was_not_recorded_constrains_nothing() -> None:
    unseen = "".join(line.partition(" -> ")[0] + "\n" for line in WRITE.splitlines())
    assert verdict(BEGIN + unseen) is None
    assert verdict(BEGIN + unseen + 'table snap -> "0 2 snapshot base cow P 1"\n') is None


@pytest.mark.spec("CONTROL-9")
@pytest.mark.parametrize(
    ("trace", "message"),
    [
        ("pending -> idle\n", "the disks hold no requests; write hold before pending"),
        ("answer cow:flush -> idle\n", "write hold before answer cow:flush"),
        ("hold -> idle\nanswer cow:flush -> idle\n", "no such request is pending: answer cow:flush"),
        ("start 1 read origin 0 1 -> ok\nhold -> idle\n", "finish what was started"),
        ("hold -> idle\nread origin 0 1 -> #1\n", "begin it with start"),
        ("hold -> idle\ncrash -> ok\n", "crash is not possible"),
    ],
)
def test_a_step_that_makes_no_sense_is_an_error_everywhere(trace: str, message: str) -> None:
    with pytest.raises(sm.OperationError, match=message):
        verdict(BEGIN + trace)
    with pytest.raises(sm.OperationError, match=message):
        played(Memory(), BEGIN + trace)


@pytest.mark.spec("CONTROL-9", "CONTROL-12")
def test_an_error_and_a_divergence_are_not_noted() -> None:
    judge = HeldJudge()
    for step in sm.parse_controlled_trace(BEGIN + "hold -> idle\nstart 1 write origin 0 1 #11 -> ok\n"):
        assert judge.observe(step) is None
    wrong, senseless, right = sm.parse_controlled_trace(
        "pending -> idle\nanswer cow:flush -> idle\npending -> base:read:0+1\n"
    )
    assert judge.observe(wrong) is not None
    with pytest.raises(sm.OperationError):
        judge.observe(senseless)
    assert judge.observe(right) is None


@pytest.mark.spec("MERGE-27")
def test_a_snapshot_that_is_made_during_a_merge_changes() -> None:
    path = Path(__file__).parents[3] / "specs" / "traces" / "control" / "snapshot-made-during-merge.trace"
    trace = sm.parse_controlled_trace(path.read_bytes())
    assert judge_held(trace) is None
    reads = [step.outcome for step in trace if isinstance(step, sm.Step) and isinstance(step.outcome, sm.Data)]
    assert reads == [sm.Data((21, 2)), sm.Data((21, 22))]
