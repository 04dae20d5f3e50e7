"""Schedules on the command line: what is none, and what contradicts itself or the trace, is refused."""

from pathlib import Path

import pytest

from snapmerge_adapters.cli.main import main


@pytest.mark.parametrize(
    "word", ["", "1", "1:2", "0:1=1", "1:1=0", "1:1=1,", "1:1=1;2:1=1", "1:1=9999999", "1:\u0661=1"]
)
def test_a_schedule_that_is_none_is_refused(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--adapter", "memory", "--schedule", word]) == 2
    assert "argument --schedule: not OPERATION:CHOICE=CHOSEN, numbers from 1: " in capsys.readouterr().err


@pytest.mark.parametrize("word", ["5:1=1,5:1=2", "5:1=2,5:2=1,5:1=2", "5:1=2,6:1=2,5:1=1"])
def test_a_choice_is_given_once(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--adapter", "memory", "--schedule", word]) == 2
    err = capsys.readouterr().err
    assert "argument --schedule: choice 1 of operation 5 is given twice; give it once" in err


def test_a_choice_of_an_operation_beyond_the_trace_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("short.trace").write_text("disk base 8\n")
    assert main(["replay", "short.trace", "--adapter", "memory", "--schedule", "2:1=1"]) == 2
    assert "--schedule has a choice of operation 2; short.trace has 1 operation\n" in capsys.readouterr().err
    assert main(["replay", "short.trace", "--adapter", "memory", "--schedule", "1:1=1"]) == 0
