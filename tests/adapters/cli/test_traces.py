import io
from pathlib import Path
from types import SimpleNamespace

import pytest

from snapmerge import Capabilities, parse_outcome
from snapmerge_adapters.cli.errors import CommandError
from snapmerge_adapters.cli.traces import Trace, check_capabilities, read_trace, same_outcome
from snapmerge_adapters.model.memory import model_capabilities

ALL = model_capabilities("a kernel")


def trace(tmp_path: Path, text: str | bytes) -> Trace:
    path = tmp_path / "a.trace"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_trace(str(path))


def test_steps_know_their_lines(tmp_path: Path) -> None:
    read = trace(tmp_path, "# a\n\ndisk base 8\r\n   # b\n\t\n  flush base\x0b\ncrash\n")
    assert read.lines == (3, 6, 7)
    assert read.where(1) == f"{tmp_path / 'a.trace'}:6"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("disk base 8\nfrob\n", ":2: unknown operation: 'frob'"),
        ("disk base\n", ":1: disk is written: disk NAME SECTORS"),
        ('create x "0 8\n', ":1:10: unfinished quoted text"),
        (b"disk base 8\n\xff\n", ":2: not UTF-8 text"),
        ("disk base 8\nread base 0 8 -> #0", ":2: line 2 has no end: the trace is cut off"),
        ("disk base 8\n# a note", ":2: line 2 has no end"),
        (b"disk base 8\ncreate \xc3", ":2: line 2 has no end"),
        (f"flush {'x' * 101}\n", ":1:7: a name of 101 characters: 'xxx"),
        ("# nothing\n", ": there are no steps in it"),
        ("", ": there are no steps in it"),
    ],
)
def test_what_is_no_trace_says_where(text: str | bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        trace(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'a.trace'}{message}")


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    assert trace(tmp_path, b"\xef\xbb\xbfdisk base 8\n").lines == (1,)
    assert trace(tmp_path, b"\xef\xbb\xbf# a note\ndisk base 8\n").lines == (2,)
    with pytest.raises(CommandError, match=r":2: unknown operation: '\\ufeffdisk'"):
        trace(tmp_path, b"disk base 8\n\xef\xbb\xbfdisk base 8\n")


LONG = "x" * 2**20


@pytest.mark.parametrize("line", [LONG, f'create d "0 8 {LONG} base 0"', f"read {LONG} 0 8", f"crash -> {LONG}"])
def test_a_message_does_not_repeat_a_long_line(line: str, tmp_path: Path) -> None:
    with pytest.raises(CommandError) as caught:
        check_capabilities(trace(tmp_path, f"{line}\n"), Capabilities(frozenset(), frozenset()))
    assert len(str(caught.value)) < 600


def test_a_folder_is_no_trace(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="can't be read: Is a directory"):
        read_trace(str(tmp_path))


def test_a_dash_is_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"\ncrash\n")))
    assert read_trace("-").where(0) == "<stdin>:2"


def test_input_without_end_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"#" * 11)))
    with pytest.raises(CommandError, match="longer than"):
        read_trace("-", bytes_max=10)


FEW = Capabilities(ALL.operations - {"crash"}, frozenset({"linear"}), frozenset({"read"}), frozenset(), 100, "a few")


@pytest.mark.parametrize(
    ("line", "lacks"),
    [
        ("crash", "the operation crash; --volatile makes it possible"),
        ('create s "0 8 snapshot base cow P 8"', "the target snapshot"),
        ('start 1 load s "0 8 linear base 0; 8 8 snapshot-origin base"', "the target snapshot-origin"),
        ("fault base write 0 1", "faults of kind write"),
        ("discard base 0 1", "discards"),
        ("disk cow 93", "more than 100 sectors of disks (101 by now)"),
    ],
)
def test_what_is_lacking_is_said_with_its_line(line: str, lacks: str, tmp_path: Path) -> None:
    read = trace(tmp_path, f"disk base 8\n\n{line}\n")
    with pytest.raises(CommandError) as caught:
        check_capabilities(read, FEW)
    assert str(caught.value) == f"{tmp_path / 'a.trace'}:3: {line}: a few lacks this: {lacks}"
    check_capabilities(read, ALL)


def test_what_is_there_is_not_lacking(tmp_path: Path) -> None:
    text = 'disk a 60\nreset\ndisk b 60\nfault b read 0 1\ncreate x "0 8 nonsense b"\ncreate y "odd"\nstart 1 flush b\n'
    check_capabilities(trace(tmp_path, text), FEW)


@pytest.mark.parametrize(
    ("recorded", "seen", "same"),
    [
        ("ok", "ok", True),
        ("ok", "error EIO", False),
        ("error EIO", 'error EIO "text"', True),
        ('error EIO "other"', 'error EIO "text"', False),
        ("error ENODEV", "error ENOENT", True),
        ("error ENODEV", "error EIO", False),
        ("#1x2", "#1 #1", True),
    ],
)
def test_same_outcomes(recorded: str, seen: str, same: bool) -> None:
    assert same_outcome(parse_outcome(recorded), parse_outcome(seen)) is same
    assert same_outcome(None, parse_outcome(seen))
