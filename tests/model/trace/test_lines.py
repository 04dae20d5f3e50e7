import re
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import snapmerge as sm
from snapmerge.trace.lines import TRACE_SECTORS_MAX

names = st.from_regex(re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,8}", re.ASCII), fullmatch=True)
# st.characters() draws lone surrogates too, which are in no UTF-8 file.
texts = st.text(st.characters(), max_size=30) | st.text('"\\ \t\n;->#', max_size=12)
numbers = st.integers(0, 10**18 - 1)
sectors = numbers.map(sm.Sector)
counts = st.integers(1, 10**18 - 1).map(sm.Sectors)
extents = st.integers(1, 2**20).map(sm.Sectors)
kinds = st.sampled_from(get_args(sm.FaultKind))
tags = st.integers(0, 2**32 - 1)
words32 = st.integers(0, 2**32 - 1)
words64 = st.integers(0, 2**64 - 1)


@st.composite
def writes(draw: st.DrawFn) -> sm.Write:
    tag = draw(tags)
    count = draw(st.integers(1, min(2**20, 2**32 - tag)))
    return sm.Write(draw(names), draw(sectors), sm.Sectors(count), tag)


plain: st.SearchStrategy[sm.Plain] = st.one_of(
    st.builds(sm.Disk, names, counts),
    st.builds(sm.Create, names, st.none() | texts),
    st.builds(sm.Load, names, texts),
    st.builds(sm.Suspend, names, st.booleans()),
    st.builds(sm.Message, names, texts),
    writes(),
    st.builds(sm.Read, names, sectors, extents),
    st.builds(sm.Discard, names, sectors, extents),
    st.builds(sm.Fault, names, kinds, sectors, counts),
    *(st.builds(kind, names) for kind in (sm.Resume, sm.Remove, sm.Flush, sm.Status, sm.Table, sm.Events, sm.Settle)),
    *(st.builds(kind, names) for kind in (sm.Metadata, sm.Heal)),
    st.sampled_from([sm.Crash(), sm.Reset()]),
)
operations: st.SearchStrategy[sm.Operation] = (
    plain | st.builds(sm.Start, numbers, plain) | st.builds(sm.Finish, numbers)
)

digests = st.text("0123456789abcdef", min_size=16, max_size=16).map(sm.Digest)
runs = st.one_of(
    st.tuples(tags | digests, st.integers(1, 5)).map(lambda run: (run[0],) * run[1]),
    st.tuples(st.integers(0, 2**32 - 6), st.integers(1, 5)).map(lambda run: tuple(range(run[0], run[0] + run[1]))),
)
seen = st.lists(runs, min_size=1, max_size=6).map(lambda parts: tuple(sector for part in parts for sector in part))
records = st.lists(st.tuples(words64, words64), max_size=5).map(tuple)
errnos = st.sampled_from(["EIO", "ENXIO", "EOPNOTSUPP", "E2BIG"])
outcomes: st.SearchStrategy[sm.Outcome] = st.one_of(
    st.sampled_from([sm.Done(), sm.Blocked(), sm.Records("new"), sm.Records("foreign")]),
    st.builds(sm.Failed, errnos, st.none() | texts),
    st.builds(sm.Data, seen),
    st.builds(sm.Line, texts),
    st.builds(sm.Count, numbers),
    st.builds(sm.Records, st.just("store"), words32, words32, words32, records),
    st.builds(sm.Died, texts),
)
steps = st.builds(sm.Step, operations, st.none() | outcomes)


@pytest.mark.spec("TRACE-1")
@given(operations)
def test_an_operation_comes_back(operation: sm.Operation) -> None:
    line = sm.print_operation(operation)
    assert sm.parse_operation(line) == operation
    assert line.split()[0] == sm.operation_word(operation) in sm.OPERATION_WORDS


@pytest.mark.spec("TRACE-1")
@given(outcomes)
def test_an_outcome_comes_back(outcome: sm.Outcome) -> None:
    assert sm.parse_outcome(sm.print_outcome(outcome)) == outcome


@pytest.mark.spec("TRACE-1", "TRACE-2")
@given(st.lists(steps, max_size=5).map(tuple))
def test_a_trace_comes_back_and_is_utf8(trace: tuple[sm.Step, ...]) -> None:
    text = sm.print_trace(trace)
    assert sm.parse_trace(text.encode().decode()) == trace
    assert text.count("\n") == len(trace)
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f]", text)


def test_every_operation_has_its_word() -> None:
    kinds = {kind.__name__.lower() for kind in get_args(sm.Operation)}
    assert kinds == sm.OPERATION_WORDS


@pytest.mark.spec("TRACE-14")
@given(st.lists(steps, min_size=1, max_size=3), st.data())
def test_a_file_that_was_cut_off_in_its_last_line_is_refused(trace: list[sm.Step], data: st.DataObject) -> None:
    whole = sm.print_trace(trace).encode()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    lines = cut.count(b"\n")
    if cut[-1:] in (b"", b"\n"):
        assert sm.parse_trace(cut) == tuple(trace[:lines])
        return
    with pytest.raises(sm.TraceError, match=f"^line {lines + 1} has no end") as caught:
        sm.parse_trace(cut)
    assert caught.value.line == lines + 1


@pytest.mark.spec("TRACE-14")
def test_the_end_of_a_text_ends_its_last_line() -> None:
    assert sm.parse_trace("crash -> ok") == sm.parse_trace(b"crash -> ok\n") == (sm.Step(sm.Crash(), sm.Done()),)


@pytest.mark.spec("TRACE-15")
@given(st.lists(steps, min_size=1, max_size=3))
def test_a_byte_order_mark_at_the_start_is_skipped(trace: list[sm.Step]) -> None:
    text = sm.print_trace(trace)
    assert sm.parse_trace("\ufeff" + text) == sm.parse_trace(b"\xef\xbb\xbf" + text.encode()) == tuple(trace)
    with pytest.raises(sm.TraceError, match=r"^line 2: unknown operation: '\\ufeff"):
        sm.parse_trace(f"crash\n\ufeff{text}")


@pytest.mark.spec("TRACE-3")
def test_a_step_knows_its_line() -> None:
    assert [number for number, _ in sm.numbered_trace("\n# a\ncrash\n\nreset")] == [3, 5]


@pytest.mark.spec("TRACE-3")
@given(st.lists(st.sampled_from(["", "  ", "\t", "# crash -> ok", "  # any"]), max_size=4))
def test_blank_lines_and_comments_are_no_steps(lines: list[str]) -> None:
    assert sm.parse_trace("\n".join([*lines, "crash -> ok"])) == (sm.Step(sm.Crash(), sm.Done()),)


@pytest.mark.spec("TRACE-4")
@pytest.mark.parametrize(
    ("line", "table"),
    [
        ('load d "0 8 linear a 0"', "0 8 linear a 0"),
        (r'load d "a\"b\\c"', 'a"b\\c'),
        (r'load d "a\n\t\r\u0001\z"', "a\n\t\r\x01z"),
        ('load d ""', ""),
        ("load d bare", "bare"),
        ('  load   d\t"x -> y"  ', "x -> y"),
        ('"load" "d" "x"', "x"),
    ],
)
def test_words_and_quoting(line: str, table: str) -> None:
    assert sm.parse_operation(line) == sm.Load("d", table)


def test_printing_is_canonical() -> None:
    assert sm.print_operation(sm.Load("d", 'say "a\\b"\n')) == r'load d "say \"a\\b\"\u000a"'
    assert sm.print_operation(sm.Start(3, sm.Write("d", sm.Sector(8), sm.Sectors(2), 7))) == "start 3 write d 8 2 #7"


@pytest.mark.spec("TRACE-5")
@pytest.mark.parametrize("name", ["1a", "_a", "a/b", "é", "a:b", '""', "a\u0661"])
def test_what_is_no_name(name: str) -> None:
    with pytest.raises(sm.TraceError, match="not a name"):
        sm.parse_operation(f"flush {name}")


@pytest.mark.spec("TRACE-5")
def test_a_name_is_at_most_100_characters_long() -> None:
    assert sm.parse_operation(f"flush {'x' * 100}") == sm.Flush("x" * 100)
    with pytest.raises(sm.TraceError, match=r"a name of 101 characters: 'x{60}[.]{3}'; at most 100"):
        sm.parse_operation(f"flush {'x' * 101}")


@pytest.mark.spec("TRACE-6")
@pytest.mark.parametrize("number", ["-1", "+1", "0x10", "1_0", "\u0661", "1" * 19, "1.0"])
def test_what_is_no_number(number: str) -> None:
    with pytest.raises(sm.TraceError, match="not a number"):
        sm.parse_operation(f"read d {number} 1")


@pytest.mark.spec("TRACE-7")
@pytest.mark.parametrize(
    "line", ["write d 0 1 7", "write d 0 1 #4294967296", "write d 0 2 #4294967295", "write d 0 0 #7"]
)
def test_what_is_no_write(line: str) -> None:
    with pytest.raises(sm.TraceError):
        sm.parse_operation(line)


def test_the_last_tag_of_a_write_may_be_the_last_tag() -> None:
    assert sm.parse_operation("write d 0 2 #4294967294").tag == 4294967294  # type: ignore[union-attr]


@pytest.mark.spec("TRACE-8")
@pytest.mark.parametrize(
    ("text", "sectors"),
    [
        ("#7", (7,)),
        ("#0x3", (0, 0, 0)),
        ("#7+3", (7, 8, 9)),
        ("#0 #7+2 #7x2", (0, 7, 8, 7, 7)),
        ("~00112233445566ff", (sm.Digest("00112233445566ff"),)),
        ("~00112233445566ffx2 #1", (sm.Digest("00112233445566ff"),) * 2 + (1,)),
    ],
)
def test_runs_of_sectors(text: str, sectors: tuple[sm.Seen, ...]) -> None:
    assert sm.parse_outcome(text) == sm.Data(sectors)
    assert sm.print_outcome(sm.Data(sectors)) == text


@pytest.mark.spec("TRACE-13")
def test_an_outcome_as_long_as_it_may_be_comes_back() -> None:
    for data in (sm.Data((7,) * 2**20), sm.Data(tuple(range(2**20)))):
        assert sm.parse_outcome(sm.print_outcome(data)) == data


@pytest.mark.spec("TRACE-13")
@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("read x 0 1048577", 10),
        ("discard x 0 10000000", 13),
        ("start 1  write x  0 999999999999999999 #1", 21),
        ("read x 0 1 -> #1x1048577", 15),
        ("read x 0 1 -> #1x1048576 #2", 26),
        ("read x 0 1 ->  #1" + " #1x1048576" * 200, 19),
    ],
)
def test_absurd_sizes_are_refused_where_they_are(line: str, column: int) -> None:
    with pytest.raises(sm.TraceError, match=r"at most|more than") as caught:
        sm.parse_trace(f"disk x 8\n{line}\n")
    assert (caught.value.line, caught.value.column) == (2, column)


@pytest.mark.spec("TRACE-13")
def test_a_whole_trace_is_bounded() -> None:
    assert TRACE_SECTORS_MAX == 2**23
    sm.numbered_trace("disk x 1000\nstart 1 write x 0 90 #1\nread x 0 5 -> #1+5\n", sectors_max=100)
    with pytest.raises(sm.TraceError, match="names 101 sectors; at most 100") as caught:
        sm.numbered_trace("start 1 write x 0 90 #1\nread x 0 5 -> #1+6\n", sectors_max=100)
    assert caught.value.line == 2


@pytest.mark.spec("TRACE-9")
@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("ok", sm.Done()),
        ("blocked", sm.Blocked()),
        ("error EIO", sm.Failed("EIO")),
        ('error EINVAL "Device lookup failed"', sm.Failed("EINVAL", "Device lookup failed")),
        ('"0 8 snapshot 16/64 16"', sm.Line("0 8 snapshot 16/64 16")),
        ('""', sm.Line("")),
        ("3", sm.Count(3)),
        ("new", sm.Records("new")),
        ("foreign", sm.Records("foreign")),
        ("store valid=1 version=1 chunk_size=8", sm.Records("store", 1, 1, 8)),
        ("store valid=1 version=1 chunk_size=8 0>2 7>3", sm.Records("store", 1, 1, 8, ((0, 2), (7, 3)))),
        ('died "panic"', sm.Died("panic")),
    ],
)
def test_outcomes(text: str, outcome: sm.Outcome) -> None:
    assert sm.parse_outcome(text) == outcome
    assert sm.print_outcome(outcome) == text


MALFORMED = [
    "", "nonsense", "disk a", "disk a 0", "disk a 1 2", "fault d sync 0 1", "suspend d now", "start 1", "start x crash",
    "start 1 start 2 crash", "start 1 finish 1", 'load d "x', 'load d "x\\"', "crash ->", "crash -> ", "crash -> maybe",
    "crash -> #1x0", "crash -> #1x1048577", "crash -> ~12", "crash -> ~00112233445566ff+2", "crash -> #4294967295+2",
    "crash -> #4294967296", "crash -> error", "crash -> error 5", 'crash -> error EIO "a" "b"', 'crash -> "a" "b"',
    "crash -> store", "crash -> store valid=1", "crash -> store valid=1 version=1 chunk_size=8 1>", "crash -> died",
    "crash -> ok -> ok", "crash -> -1", "crash->ok",
]  # fmt: skip


@pytest.mark.spec("TRACE-10")
@pytest.mark.parametrize("line", MALFORMED)
def test_malformed_lines(line: str) -> None:
    with pytest.raises(sm.TraceError):
        sm.parse_operation(line) if "->" not in line else sm.parse_trace(line)


@pytest.mark.spec("TRACE-10")
@given(
    st.text(max_size=60)
    | st.lists(st.sampled_from([*sm.OPERATION_WORDS, "d", "#1", "0", '"', "->", "~"])).map(" ".join)
)
def test_any_text_is_a_trace_or_a_trace_error(text: str) -> None:
    for parse in (sm.parse_trace, sm.parse_operation, sm.parse_outcome):
        try:
            parse(text)
        except sm.TraceError as error:
            assert error.reason


@pytest.mark.spec("TRACE-10")
@given(steps, st.data())
def test_a_broken_line_is_a_line_or_a_trace_error(step: sm.Step, data: st.DataObject) -> None:
    line = sm.print_trace([step])
    at = data.draw(st.integers(0, len(line) - 1))
    try:
        sm.parse_trace(line[:at] + data.draw(st.text('"\\ #~x+>-0a', max_size=3)) + line[at + 1 :])
    except sm.TraceError as error:
        assert error.line in (1, 2)


@pytest.mark.parametrize(
    ("line", "column"), [('load d "x', 8), ('  load d  "x', 11), ('crash -> "x', 10), ('crash -> error EIO "x', 20)]
)
def test_an_unfinished_quote_is_shown_where_it_begins(line: str, column: int) -> None:
    with pytest.raises(sm.TraceError) as caught:
        sm.parse_trace(f"# first\n{line}\n")
    assert (caught.value.line, caught.value.column) == (2, column)
    assert line[column - 1] == '"'
    assert str(caught.value).startswith("line 2: ")


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("flush 1a", 7),
        ("  read d 0 x", 12),
        ("start 1 suspend d now", 19),
        ("fault d sync 0 1", 9),
        ("write d 0 2 #4294967295", 13),
        ("crash -> #1 #2y", 13),
        ('flush "1a"', 7),
    ],
)
def test_a_wrong_word_is_shown_where_it_is(line: str, column: int) -> None:
    with pytest.raises(sm.TraceError) as caught:
        sm.parse_trace(line)
    assert (caught.value.line, caught.value.column) == (1, column)


@pytest.mark.parametrize("line", ["x" * 9999, "flush " + "1" * 9999, 'load d "' + "x" * 9999, "crash -> " + "x" * 9999])
def test_what_is_refused_is_not_repeated_at_length(line: str) -> None:
    with pytest.raises(sm.TraceError) as caught:
        sm.parse_trace(line)
    assert len(caught.value.reason) < 400


def test_the_example_of_the_page_is_canonical() -> None:
    page = (Path(__file__).resolve().parents[3] / "specs" / "trace.md").read_text()
    example = page.partition("## An example\n\n```text\n")[2].partition("```")[0]
    lines = [line for line in example.splitlines() if not line.startswith("#")]
    assert len(lines) == 12
    assert sm.print_trace(sm.parse_trace(example)).splitlines() == lines
