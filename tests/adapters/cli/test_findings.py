import json

import pytest

from snapmerge_adapters.cli.main import main
from snapmerge_specs import CONCEPT_DEFECTS, FINDINGS
from snapmerge_specs.concept.findings import finding_trace

NAMES = [finding.name for finding in FINDINGS] + [defect.id for defect in CONCEPT_DEFECTS]


def test_all_are_listed_with_statement_and_length(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["findings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == NAMES
    line = next(line for line in lines if line.split()[:1] == ["S2"])
    assert (
        line == f"  S2    a partial chunk at the end is not counted (CONCEPT-1; {len(finding_trace('S2'))} operations)"
    )


def test_all_are_listed_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["findings", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["id"] for one in found["findings"]] == NAMES
    assert all(one["operations"] > 0 and one["statement"] and one["summary"] for one in found["findings"])


@pytest.mark.parametrize("name", NAMES)
def test_each_shows_expected_beside_actual(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["findings", name]) == 0
    out = capsys.readouterr().out
    assert out.startswith(f"{name}: ")
    assert ("      expected  " in out and "      actual    " in out) or "the kernel dies of it" in out


def test_one_as_json_has_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["findings", "S7", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    last = found["steps"][-1]
    assert (found["id"], last["operation"].split()[0]) == ("S7", "read")
    assert last["expected"] != last["actual"]


def test_an_unknown_one_is_told_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["findings", "S99"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("snapmerge: there is no finding S99; there are misaligned-discard, ")
    assert error.count("\n") == 1
