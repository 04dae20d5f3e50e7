import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.model.trace.test_requests import seen, some_requests

import snapmerge as sm
from snapmerge import Answer, Control, ControlStep, Died, Hold, Pending, Step

controls: st.SearchStrategy[Control] = st.one_of(
    st.sampled_from([Hold(), Pending()]),
    st.builds(Answer, some_requests().map(lambda request: request.place), st.booleans()),
)
operations = st.sampled_from([sm.Start(1, sm.Flush("d")), sm.Finish(1), sm.Reset()])
steps = st.builds(ControlStep, controls, st.none() | seen | st.builds(Died, st.text(max_size=5))) | st.builds(
    Step, operations, st.none() | st.just(sm.Done())
)


@pytest.mark.spec("CONTROL-10")
@given(controls)
def test_control_comes_back(control: Control) -> None:
    assert sm.parse_control(sm.print_control(control)) == control
    assert sm.print_control(control).split()[0] in sm.CONTROL_WORDS


@pytest.mark.spec("CONTROL-10")
@given(st.lists(steps, max_size=5).map(tuple))
def test_a_controlled_trace_comes_back(trace: tuple[Step | ControlStep, ...]) -> None:
    text = sm.print_controlled_trace(trace)
    assert sm.parse_controlled_trace(text.encode("utf-8")) == trace
    assert text.count("\n") == len(trace)


def test_what_is_no_control_is_for_others_to_read() -> None:
    assert sm.parse_control("read base 0 1") is None
    assert sm.parse_control("") is None
    assert not sm.CONTROL_WORDS & sm.OPERATION_WORDS


@pytest.mark.parametrize(
    ("line", "message", "column"),
    [
        ("hold on", "hold is written: hold", 0),
        ("answer", "answer is written: answer REQUEST [error]", 0),
        ("answer cow:flush maybe", "after the request there may be 'error', not 'maybe'", 18),
        ("answer cow:write:0+1:#7", "a request is answered without its payload: answer cow:write:0+1", 8),
        ("answer cow", "not a request", 8),
        ("hold -> ok", "not a request", 9),
        ("pending -> died", "not a number: 'died'", 12),
    ],
)
def test_a_bad_line_is_refused_with_its_place(line: str, message: str, column: int) -> None:
    with pytest.raises(sm.TraceError) as caught:
        sm.parse_controlled_trace(f"disk a 1 -> ok\n{line}\n")
    assert message in caught.value.reason
    assert caught.value.line == 2
    assert (caught.value.column or 0) == column


def test_a_short_file_can_not_name_any_number_of_sectors() -> None:
    line = f"pending -> base:write:0+{1 << 20}:#0x{1 << 20}\n"
    with pytest.raises(sm.TraceError, match="the trace up to here names 9437184 sectors; at most 8388608"):
        sm.parse_controlled_trace(line * 9)


@pytest.mark.spec("CONTROL-8")
@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("read snap 0 1", "read may wait for requests that are held: begin it with start"),
        ("suspend snap", "suspend may wait"),
        ("settle snap", "settle may wait"),
        ("status snap", "status may wait"),
        ("start 1 read base 0 1", "base is a disk that holds its requests"),
        ("write base 0 1 #1", "base is a disk that holds its requests"),
        ("crash", "crash is not possible while the disks hold their requests; reset ends that"),
        ("disk other 4", "disk is not possible"),
        ("start 1 metadata base", "not possible"),
    ],
)
def test_what_could_not_be_ordered_is_refused_while_requests_are_held(line: str, message: str) -> None:
    with pytest.raises(sm.OperationError) as caught:
        sm.check_held(sm.parse_operation(line), {"base"})
    assert message in str(caught.value)


@pytest.mark.spec("CONTROL-8")
@pytest.mark.parametrize(
    "line",
    ["start 1 read snap 0 1", "finish 1", "fault base read 0 1", "heal base", "table snap", "reset", "events snap"],
)
def test_what_waits_for_no_disk_is_possible_while_requests_are_held(line: str) -> None:
    sm.check_held(sm.parse_operation(line), {"base"})
