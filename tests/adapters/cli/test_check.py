import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from snapmerge import (
    MAINLINE,
    Data,
    Died,
    Divergence,
    Implementation,
    NotModelled,
    OperationError,
    Oracle,
    Reset,
    Rules,
    Step,
    Undecided,
    parse_operation,
    parse_trace,
)
from snapmerge_adapters import Memory
from snapmerge_adapters.cli.main import main
from snapmerge_specs import (
    DEFECTS,
    BrokenPromise,
    DivergenceReport,
    FindingMet,
    Kept,
    PromiseReport,
    Report,
    ScheduledStep,
)

TRACE = parse_trace("disk base 8\nwrite base 0 1 #7 -> ok\nread base 0 1 -> #8\n")
AGREED = Report(
    "the model over image files", 7, 12, 340, (("write", 200), ("read", 140)), (("merging", 9), ("invalid", 2)), 1.25
)
DIVERGED = replace(AGREED, found=DivergenceReport(TRACE, Divergence(TRACE[-1], (Data((7,)), Data((0,))))))
Given = dict[str, object]


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Given:
    """What the check was called with; its report is under "report".  The current directory is an empty one."""
    calls: Given = {"report": AGREED}

    def check(make: Callable[[], Implementation], **options: object) -> Report:
        calls["implementation"] = implementation = make()
        implementation.apply(Reset())
        calls.update(options)
        report = calls["report"]
        if isinstance(report, BaseException):
            raise report
        assert isinstance(report, Report)
        return report

    monkeypatch.setattr("snapmerge_adapters.cli.check.check", check)
    monkeypatch.chdir(tmp_path)
    return calls


@pytest.mark.spec("ORACLE-6")
@pytest.mark.parametrize(("words", "seconds"), [([], 5), (["--budget", "2"], 2)], ids=["default", "given"])
def test_a_search_has_a_budget_of_seconds(given: Given, words: list[str], seconds: int) -> None:
    assert main(["check", *words]) == 0
    make_oracle = given["make_oracle"]
    assert isinstance(make_oracle, partial)
    budget = make_oracle.keywords["budget"]
    assert (make_oracle.func, budget.seconds, budget.clock) == (Oracle, seconds, time.monotonic)


def test_agreement_is_a_table_and_0(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--runs", "12", "--steps", "9", "--seed", "7"]) == 0
    assert (given["runs"], given["steps"], given["seed"]) == (12, 9, 7)
    out, err = capsys.readouterr()
    rows = dict(line.split("   ", 1) for line in out.splitlines())
    assert {name: text.strip() for name, text in rows.items()} == {
        "implementation": "the model over image files",
        "runs": "12 in 1.2 s, seed 7",
        "operations": "340",
        "kinds": "write 200, read 140",
        "states reached": "merging 9, invalid 2",
        "divergences": "none",
        "known findings": "none met",
        "undecided": "none",
    }
    assert err == ""
    assert list(Path().iterdir()) == []


def test_without_a_seed_it_is_another_each_time(given: Given) -> None:
    seeds = set()
    for _ in range(4):
        assert main(["check"]) == 0
        seeds.add(given["seed"])
    assert len(seeds) > 1


def test_a_divergence_is_shown_saved_and_1(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given["report"] = DIVERGED
    assert main(["check", "--adapter", "memory", "--schedule-seed", "3"]) == 1
    out = capsys.readouterr().out
    assert "read base 0 1 -> #8\n" in out
    assert "allowed   #7, or #0\n" in out
    assert "seen      #8\n" in out
    assert "replay    snapmerge replay diverged-7.trace --adapter memory\n" in out  # by the canonical schedule
    assert "again     snapmerge check --seed 7 --runs 200 --steps 30 --adapter memory --schedule-seed 3\n" in out
    assert "check --seed 7 " in out
    assert parse_trace(Path("diverged-7.trace").read_text()) == TRACE


def test_the_replay_command_works(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given["report"] = DIVERGED
    assert main(["check", "--save", "a folder"]) == 1
    command = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("replay "))
    words = shlex.split(command)
    assert words[1:3] == ["snapmerge", "replay"]
    assert main(words[2:]) == 0  # the adapter has no such defect: it agrees with the model, not with the record
    assert "1 of 3 lines differ from the record" in capsys.readouterr().out


READ_LATE = """
disk base 1 -> ok
disk cow 3 -> ok
create origin "0 1 snapshot-origin base" -> ok
create snap "0 1 snapshot base cow P 1" -> ok
start 1 read snap 0 1 -> ok
write origin 0 1 #1 -> ok
finish 1 -> #1
"""


def test_the_replay_command_has_the_schedule(
    given: Given, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    careless = next(defect.rules for defect in DEFECTS if defect.name == "ignores readers")

    def memory(*, seed: int | None, rules: Rules) -> Memory:
        assert rules == MAINLINE
        return Memory(seed=seed, rules=careless)

    monkeypatch.setattr("snapmerge_adapters.cli.adapters.Memory", memory)
    steps = list(parse_trace(READ_LATE))
    steps[5] = ScheduledStep(steps[5].operation, steps[5].outcome, tuple((number, 1) for number in range(6)))
    divergence = Divergence(steps[-1], (Data((0,)),))
    given["report"] = replace(AGREED, found=DivergenceReport(tuple(steps), divergence))
    assert main(["check", "--adapter", "memory", "--schedule-seed", "3"]) == 1
    command = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("replay "))
    assert command.endswith("--adapter memory --schedule 6:1=2,6:2=2,6:3=2,6:4=2,6:5=2,6:6=2")
    assert main(shlex.split(command)[2:]) == 1
    assert "finish 1 -> #1" in capsys.readouterr().out
    assert main([*shlex.split(command)[2:-1], "6:1=2"]) == 0  # by another schedule it agrees


def test_what_a_finding_may_explain_is_said_beside_the_divergence(
    given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    found = DIVERGED.found
    assert found is not None
    given["report"] = replace(DIVERGED, found=replace(found, cut_off=("misaligned-discard",)))
    assert main(["check"]) == 1
    assert "\nknown     the search was given up before it was known whether this is misaligned-discard\n" in (
        capsys.readouterr().out
    )
    assert main(["check", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["divergence"]["cut_off"] == ["misaligned-discard"]


def test_no_saved_trace_is_overwritten(given: Given) -> None:
    given["report"] = DIVERGED
    for _ in range(3):
        assert main(["check"]) == 1
    assert sorted(path.name for path in Path().iterdir()) == [
        "diverged-7-2.trace",
        "diverged-7-3.trace",
        "diverged-7.trace",
    ]


def test_a_directory_that_can_not_be_written_is_replaced_by_a_temporary_one(
    given: Given, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given["report"] = DIVERGED
    place, gone = tmp_path / "temporary", tmp_path / "gone"
    place.mkdir()
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    assert main(["check"]) == 1
    assert f"saved     {place / 'diverged-7.trace'}\n" in capsys.readouterr().out


def test_a_folder_that_can_not_be_made_is_found_before_the_check(
    given: Given, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("file").touch()
    assert main(["check", "--save", "file/folder"]) == 2
    assert "--save file/folder" in capsys.readouterr().err
    assert "seed" not in given


def test_json_is_one_object(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given["report"] = DIVERGED
    assert main(["check", "--json"]) == 1
    out, err = capsys.readouterr()
    assert (out.count("\n"), err) == (1, "")
    result = json.loads(out)
    assert result["agrees"] is False
    assert result["kinds"] == {"write": 200, "read": 140}
    divergence = result["divergence"]
    assert parse_trace(divergence["trace"]) == TRACE
    assert (divergence["allowed"], divergence["seen"]) == (["#7", "#0"], "#8")
    assert Path(divergence["file"]).is_file()


def test_known_findings_and_undecided_steps_are_shown(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    undecided = Undecided(Step(parse_operation("status snap")), 50_000)
    finding = FindingMet("lost-flush", "it forgets to flush", 3, "MERGE-6")
    given["report"] = replace(AGREED, known=(finding,), undecided=(undecided,))
    assert main(["check"]) == 0
    out = capsys.readouterr().out
    assert "lost-flush" in out
    assert "met 3 times: it forgets to flush (MERGE-6)" in out
    assert "status snap after 50000 worlds" in out
    assert main(["check", "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    known = {"name": "lost-flush", "summary": "it forgets to flush", "met": 3, "statement": "MERGE-6"}
    assert result["known"] == [known]
    assert result["undecided"][0]["operation"] == "status snap"


def test_what_is_not_modelled_is_one_line_and_2(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given["report"] = NotModelled("the target raid is not modelled", "raid")
    assert main(["check", "--seed", "5"]) == 2
    said = "the check (seed 5) can't continue: the target raid is not modelled"
    assert capsys.readouterr() == ("", f"snapmerge: {said}\n")
    assert main(["check", "--seed", "5", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"command": "check", "error": said}


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (OperationError("no such thing"), 2)])
def test_whatever_happens_nothing_is_left(
    error: BaseException, code: int, given: Given, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    given["report"] = error
    assert main(["check"]) == code
    assert list(tmp_path.iterdir()) == []


def test_last_words_are_printed_once_in_lines(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    words = "Traceback (most recent call last):\n  File x\nKeyError: 'base'\x1b[2J" + "\nmore" * 200
    step = Step(TRACE[-1].operation, Died(words))
    given["report"] = replace(AGREED, found=DivergenceReport((*TRACE[:-1], step), Divergence(step, (Data((7,)),))))
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "\nread base 0 1 -> died\n" in out
    lines = ["seen      died", "          Traceback (most recent call last):", "            File x"]
    assert "\n".join([*lines, "          KeyError: 'base'\\x1b[2J\n"]) in out
    assert out.count("Traceback") == 1
    assert out.count("more\n") < 60
    saved = Path("diverged-7.trace").read_text()
    assert saved.count("Traceback") == 1
    assert parse_trace(saved)[-1] == step


REFUSES = """
import json, sys
can = {"operations": ["disk", "write", "read"], "about": "sulky"}
print(json.dumps({"snapmerge": 1, "capabilities": can}), flush=True)
for line in sys.stdin:
    print(json.dumps({"illegal": "not today"}), flush=True)
"""


def test_a_program_that_refuses_everything_has_not_passed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    program = ["--", sys.executable, "-I", "-S", "-c", REFUSES]
    assert main(["check", "--runs", "2", "--seed", "1", *program]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("snapmerge: nothing was checked: ")
    assert "the first: disk base " in err
    assert err.endswith(": not today\n")
    assert "left out         targets error, linear, snapshot, snapshot-merge, snapshot-origin, zero\n" in out
    assert main(["check", "--runs", "2", "--seed", "1", "--json", *program]) == 2
    found = json.loads(capsys.readouterr().out)
    assert (found["agrees"], found["checked"]) == (False, 0)
    assert found["refused"]["disk"] > 0
    assert found["left_out"]["targets"] == ["error", "linear", "snapshot", "snapshot-merge", "snapshot-origin", "zero"]


def test_a_program_without_anything_has_not_passed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    program = REFUSES.replace('["disk", "write", "read"]', "[]")
    assert main(["check", "--runs", "2", "--save", str(tmp_path), "--", sys.executable, "-I", "-S", "-c", program]) == 2
    assert "nothing was checked: its capabilities name too little" in capsys.readouterr().err


def test_strictly_a_known_finding_is_1_and_it_never_agrees(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given["report"] = replace(AGREED, known=(FindingMet("misaligned-discard", "zeroes sectors", 3),))
    assert main(["check", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["agrees"] is False
    assert main(["check", "--strict"]) == 1


# --- promises ----------------------------------------------------------------------------------------------------

BROKEN = PromiseReport(TRACE, BrokenPromise("PROMISE-1", "read base 0 1: sector 0 holds #8, and may hold #7", 2))
COMPARED = (("disk", 5),)


@pytest.mark.spec("PROMISE-9")
@pytest.mark.parametrize(
    ("report", "code", "verdict"),
    [
        (replace(AGREED, kept=Kept(None, diverged=False, compared=COMPARED)), 0, "agrees with Linux; keeps"),
        (replace(DIVERGED, kept=Kept(None, diverged=True, compared=COMPARED)), 0, "diverges from Linux; keeps"),
        (replace(AGREED, kept=Kept(BROKEN, diverged=True, compared=COMPARED)), 1, "breaks PROMISE-1: a disk does not"),
        (
            replace(AGREED, kinds=(), operations=0, kept=Kept(None, diverged=False, compared=())),
            2,
            "nothing was checked",
        ),
    ],
)
def test_only_a_broken_promise_is_1_when_promises_are_asked_for(
    given: Given, capsys: pytest.CaptureFixture[str], report: Report, code: int, verdict: str
) -> None:
    given["report"] = report
    assert main(["check", "--promises"]) == code
    assert given["promises"] is True
    out = capsys.readouterr().out
    assert f"verdict          {verdict}" in out
    assert ("BROKEN PROMISE" in out) == (code == 1)
    assert main(["check", "--promises", "--json"]) == code
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"].startswith(verdict)
    assert found["keeps_promises"] is {0: True, 1: False, 2: None}[code]
    assert found["agrees"] is (report.kept is not None and not report.kept.diverged and code == 0)
    assert (found["broken"] or {}).get("statement") == ("PROMISE-1" if code == 1 else None)


def test_a_broken_promise_is_saved_and_the_replay_asks_for_it(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given["report"] = replace(AGREED, kept=Kept(BROKEN, diverged=True, compared=COMPARED))
    assert main(["check", "--promises", "--adapter", "memory"]) == 1
    out = capsys.readouterr().out
    assert "breaks    PROMISE-1: a disk does not hold what was written to it\n" in out
    assert "seen      read base 0 1: sector 0 holds #8, and may hold #7\n" in out
    assert "replay    snapmerge replay broken-7.trace --promises --adapter memory\n" in out
    assert "again     snapmerge check --seed 7 --runs 200 --steps 30 --promises --adapter memory\n" in out
    assert parse_trace(Path("broken-7.trace").read_text()) == TRACE
    assert main(["judge", "--promises", "broken-7.trace"]) == 1


def test_a_divergence_names_the_promise_that_it_breaks(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given["report"] = DIVERGED
    assert main(["check"]) == 1
    assert "\nbreaks    PROMISE-1: a disk does not hold what was written to it\n" in capsys.readouterr().out
    assert main(["check", "--json"]) == 1
    broken = json.loads(capsys.readouterr().out)["divergence"]["breaks"]
    assert broken == "PROMISE-1: a disk does not hold what was written to it"


def test_promises_of_which_nothing_was_compared_are_not_kept(given: Given, capsys: pytest.CaptureFixture[str]) -> None:
    given["report"] = replace(AGREED, kept=Kept(None, diverged=False, compared=(("nothing promised", 9),)))
    assert main(["check", "--promises"]) == 2
    out, err = capsys.readouterr()
    assert "verdict          nothing was checked\n" in out
    assert "no read was compared with what is promised" in err


def test_promises_are_those_of_the_kernel_s_merge(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--promises", "--generation", "concept"]) == 2
    assert "--promises is for the kernel's snapshot-merge" in capsys.readouterr().err


def test_a_merger_without_its_flush_loses_data(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    program = Path(__file__).parents[1] / "protocol" / "merger.py"
    command = ["--", sys.executable, "-I", "-S", str(program), "runs", "careless"]
    assert main(["check", "--promises", "--runs", "25", "--seed", "3", *command]) == 1
    out = capsys.readouterr().out
    assert "breaks    MERGE-7: a power cut during or after a merge has lost what was there" in out
    assert main(["replay", "broken-3.trace", "--promises", *command]) == 1
    assert "promise broken at line " in capsys.readouterr().out
    assert main(["replay", "broken-3.trace", "--promises", *command[:-1]]) == 0
