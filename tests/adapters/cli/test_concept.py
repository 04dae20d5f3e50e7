"""The generation of 2009 on the command line."""

import json
from pathlib import Path

import pytest

from snapmerge import CONCEPT, parse_trace, print_trace
from snapmerge_adapters import Memory
from snapmerge_adapters.cli.findings import finding_ids
from snapmerge_adapters.cli.main import main
from snapmerge_specs import finding_trace
from snapmerge_specs.concept import AS_POSTED, CONCEPT_DEFECTS

SMALL = ["--sectors", "130", "--seed", "3"]

TRACE = """\
disk base 2
disk cow 8
create snap "0 2 snapshot base cow P 1"
write snap 0 1 #7
suspend snap
create merge "0 2 snapshot-merge base cow P 1"
settle merge
message merge "lookup 0"
events merge -> {events}
"""


@pytest.mark.parametrize("adapter", ["memory", "file"])
@pytest.mark.parametrize("generation", ["concept", "corrected"])
def test_a_generation_is_checked_in_lockstep(adapter: str, generation: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--adapter", adapter, "--generation", generation, "--runs", "25", "--seed", "3"]
    assert main(["check", *options]) == 0
    out = capsys.readouterr().out
    assert "divergences      none" in out
    assert "merge finished" in " ".join(out.split())  # wherever the line is broken
    assert "I/O waiting" in out


@pytest.mark.parametrize(("generation", "code"), [("mainline", 1), ("concept", 0), ("corrected", 0)])
def test_a_trace_is_judged_by_the_generation(
    generation: str, code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.trace"
    path.write_text(TRACE.format(events=1).replace("settle merge\n", ""))
    assert main(["judge", "--generation", generation, str(path)]) == code
    assert capsys.readouterr().err == ""


def test_a_replay_is_by_the_generation(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    path.write_text(TRACE.format(events=1))
    assert main(["replay", str(path), "--adapter", "memory", "--generation", "concept", "--strict"]) == 0


# --- findings ----------------------------------------------------------------------------------------------------


def test_the_findings_in_the_patch_are_listed_with_statement_and_length(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert {one.id for one in CONCEPT_DEFECTS} <= set(finding_ids())
    assert main(["findings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if line.split()[:1] == ["S2"])
    assert (
        line == f"  S2    a partial chunk at the end is not counted (CONCEPT-1; {len(finding_trace('S2'))} operations)"
    )


def test_one_of_them_as_json_has_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["findings", "S7", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    last = found["steps"][-1]
    assert (found["id"], last["operation"].split()[0]) == ("S7", "read")
    assert last["expected"] != last["actual"]


# --- recipes -----------------------------------------------------------------------------------------------------


def test_the_generation_of_2009_rolls_back_into_the_virtual_origin(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "rollback", "--generation", "corrected", *SMALL]) == 0
    assert "verdict          right" in capsys.readouterr().out


def test_as_posted_siblings_are_safe_there_and_a_chunk_is_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    """Its COW chunk has a higher number than the origin has chunks, which the patch takes for too high (S1)."""
    assert main(["recipe", "rollback", "--generation", "concept", *SMALL, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["wrong"] == ["the origin is not what it was in 8 sectors, chunks 4"]
    assert found["different"]["before"] == found["different"]["after"] == []


def test_as_posted_the_real_origin_is_wrong_and_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "done.trace"
    wanted = ["--destination", "real", *SMALL, "--trace", str(path)]
    assert main(["recipe", "rollback", "--generation", "concept", *wanted, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["right"] is False
    assert any(text.startswith("after has changed in ") for text in found["wrong"])
    assert found["different"]["after"]
    assert found["different"]["before"] == []  # it has its own exception of whatever was written to the origin
    steps = parse_trace(path.read_text())
    for rules, same in ((AS_POSTED, True), (CONCEPT, False)):
        memory = Memory(rules=rules)
        seen = print_trace(type(step)(step.operation, memory.apply(step.operation)) for step in steps)
        assert (seen == print_trace(steps)) == same
    assert main(["recipe", "rollback", "--generation", "corrected", *wanted]) == 0
    assert "verdict          right" in capsys.readouterr().out


def test_the_backup_as_posted_is_wrong_and_1(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "backup", "--as-posted", "--rounds", "1", *SMALL]) == 1
    text = " ".join(capsys.readouterr().out.split())
    assert "verdict round 1: the copy is not snap1 in" in text
    assert text.endswith("it is what it was a round ago")


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["rollback", "--destination", "real"], "--destination real is for --generation concept or corrected"),
        (
            ["rollback", "--generation", "concept", "--adapter", "guest"],
            "--generation is not for --adapter guest",
        ),
        (["backup", "--as-posted", "--adapter", "guest"], "--as-posted is not for --adapter guest, which has no such"),
        (["backup", "--as-posted", "--generation", "mainline"], "--as-posted is not for --generation mainline"),
        (["backup", "--as-posted", "--power-cuts"], "--as-posted goes without --power-cuts"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recipe", *words]) == 2
    err = capsys.readouterr().err
    assert problem in err
    assert len(err.splitlines()) == 1
