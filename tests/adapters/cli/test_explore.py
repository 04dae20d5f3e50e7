"""``snapmerge explore``: the model, implementations under control, and schedules that are played again."""

import json
import shlex
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from snapmerge import Step, print_trace
from snapmerge_adapters.cli.main import main
from snapmerge_adapters.cli.scopes import SCOPES
from snapmerge_specs import SCRIPTS, Exploration, Violation

Capture = pytest.CaptureFixture[str]
Run = Callable[..., tuple[int, str, str]]

WRONG = (
    "import sys; from snapmerge_adapters import Memory, serve; from snapmerge_specs import DEFECTS; "
    "rules = next(defect.rules for defect in DEFECTS if defect.name == sys.argv[1]); "
    "serve(Memory(rules=rules), sys.stdin.buffer, sys.stdout.buffer)"
)


@pytest.fixture
def run(capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in a folder of its own; its code, output and errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def explore(*words: str) -> tuple[int, str, str]:
        code = main(["explore", *words])
        return code, *capsys.readouterr()

    return explore


def wrong(defect: str) -> list[str]:
    """A program that is the model with a defect, whose disks are under control."""
    return ["--", sys.executable, "-c", WRONG, defect]


def test_the_model_is_explored_with_every_power_cut(run: Run) -> None:
    code, out, _ = run("merge", "copy-out")
    assert code == 0
    merge, copy_out = out.splitlines()
    assert merge.startswith("merge   ")
    assert "98 states, 165 moves, 14 power cuts; every property holds; " in merge
    assert "119 states, 218 moves, 98 power cuts; every property holds; " in copy_out


def test_a_property_that_does_not_hold_ends_in_1(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    violation = Violation("reads", "SNAP-1", "snap reads as 7", 3)
    monkeypatch.setattr("snapmerge_adapters.cli.explore.explore", lambda _: Exploration(5, 4, violation=violation))
    code, out, _ = run("merge")
    assert code == 1
    assert "5 states, 4 moves, 0 power cuts; reads does not hold: snap reads as 7" in out


def test_an_implementation_that_agrees_is_exhausted(run: Run) -> None:
    code, out, err = run("merge", "two snapshots", "--adapter", "memory")
    assert (code, err) == (0, "")
    merge, two = out.splitlines()
    assert "exhausted; 24 runs, 215 steps; 89 actions at 49 points; 49 of the model's 49 states (100.0 %); " in merge
    assert two.startswith("two-snapshots  ")


def test_without_a_name_every_scope_with_several_schedules_is_explored(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = [script for script in SCRIPTS if script.name in ("merge", "overflow", "full area")]
    monkeypatch.setattr("snapmerge_adapters.cli.scopes.SCRIPTS", few)
    _, out, _ = run("--adapter", "memory")
    assert [line.split()[0] for line in out.splitlines()] == ["merge", "overflow"]
    assert len(run()[1].splitlines()) == 3


def test_a_divergence_is_saved_and_can_be_played_again(run: Run) -> None:
    code, out, _ = run("merge", *wrong("skips flush"))
    assert code == 1
    assert "DIVERGED; 1 run, 7 steps" in out
    assert "\nanswer base:write:0+2 -> cow:flush\n\nallowed   base:flush\nsaved     diverged-merge.trace\n" in out
    saved = Path("diverged-merge.trace").read_text()
    assert saved.startswith("# Found by snapmerge explore merge on: the model in memory\ndisk base 2 -> ok\n")
    again = shlex.split(next(line for line in out.splitlines() if line.startswith("replay"))[len("replay") :])
    assert again[:3] == ["snapmerge", "explore", "diverged-merge.trace"]
    code, out, _ = run(*again[2:])
    assert (code, "allowed   base:flush" in out) == (1, True)
    code, out, _ = run("diverged-merge.trace", "--adapter", "memory")
    assert (code, out) == (0, "diverged-merge.trace: agrees; 27 steps\n")
    code, out, _ = run("diverged-merge.trace")
    assert (code, "allowed   base:flush" in out) == (1, True)


def test_nothing_that_was_saved_is_overwritten(run: Run) -> None:
    for _ in range(2):
        run("merge", "--save", "found", *wrong("skips flush"))
    assert sorted(path.name for path in Path("found").iterdir()) == ["diverged-merge-2.trace", "diverged-merge.trace"]


def test_a_known_finding_is_named_and_ends_in_1_with_strict(run: Run) -> None:
    code, out, _ = run("overflow", *wrong("volatile invalidation"))
    assert code == 0
    assert "exhausted; 34 runs" in out
    assert "63 of the model's 63 states (100.0 %)" in out
    assert out.rstrip().endswith("met invalidation-is-volatile")
    assert run("overflow", "--strict", *wrong("volatile invalidation"))[0] == 1


def test_a_recorded_finding_is_named_too(run: Run) -> None:
    run("overflow", "--adapter", "memory")
    lines = """\
        disk base 2
        disk cow 3
        create snap "0 2 snapshot base cow P 1"
        create origin "0 2 snapshot-origin base"
        hold -> idle
        start 1 write origin 0 2 #11
        answer base:read:0+1 error
        pending -> cow:write:0+1:~75c2f713b1431444
        """
    Path("recorded.trace").write_text(lines.replace("        ", ""))
    code, out, _ = run("recorded.trace")
    assert (code, out) == (0, "recorded.trace: the model allows the record; 8 steps; met invalidation-is-volatile\n")
    assert run("recorded.trace", "--strict")[0] == 1


def test_a_trace_is_a_scope_of_its_own(run: Run) -> None:
    Path("mine.trace").write_text(print_trace(Step(operation) for operation in SCOPES["merge"].steps))
    code, out, _ = run("mine.trace", "--adapter", "memory")
    assert code == 0
    assert "exhausted; 24 runs" in out
    assert "98 states" in run("mine.trace")[1]


def test_the_scopes_are_listed(run: Run) -> None:
    code, out, _ = run("--list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == list(SCOPES)
    assert "merge-beside-a-snapshot" in SCOPES
    found = json.loads(run("--list", "--json")[1])
    assert [one["name"] for one in found["list"]] == list(SCOPES)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nonsense"], "there is no scope and no file of this name: nonsense; scopes: copy-out, reads-and-flushes,"),
        (["merge", "--adapter", "file"], "has no disks under control (the feature controlled); --adapter memory and"),
        (["full-area", "--adapter", "memory"], "full area: there is one schedule only"),
        (["merge", "--generation", "concept"], "explore is for the kernel's snapshot-merge"),
        (["merge", "--adapter", "memory", "--schedule-seed", "3"], "explore goes through every schedule; leave out"),
        (["merge", "--kernel", "x"], "--kernel is not for --adapter memory"),
        (["bad.trace"], "bad.trace:1:8: not a request: 'nothing';"),
        (["finish.trace", "--adapter", "memory"], "finish has no place in a scope"),
        (["crash.trace", "--adapter", "memory"], "crash is not possible while the disks hold their requests"),
        (["early.trace"], "early.trace:1: the disks hold no requests; write hold before pending"),
        (["early.trace", "--adapter", "memory"], "early.trace:1: the disks hold no requests"),
    ],
)
def test_what_makes_no_sense_is_said_in_one_line(run: Run, words: list[str], message: str) -> None:
    base = 'disk base 2\ncreate low "0 2 linear base 0"\nstart 1 read low 0 1\n'
    Path("bad.trace").write_text("answer nothing\n")
    Path("finish.trace").write_text(f"{base}finish 1\n")
    Path("crash.trace").write_text(f"{base}crash\n")
    Path("early.trace").write_text("pending\n")
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_program_that_lacks_a_target_is_told_so(run: Run) -> None:
    body = (
        "import json, sys\n"
        'print(json.dumps({"snapmerge": 1, "capabilities": {"operations": ["reset"], "features": ["controlled"]}}))\n'
        "sys.stdout.flush()\nsys.stdin.read()\n"
    )
    code, _, err = run("merge", "--", sys.executable, "-c", body)
    assert code == 2
    assert "merge: disk base 2: the implementation lacks this: the operation disk" in err
