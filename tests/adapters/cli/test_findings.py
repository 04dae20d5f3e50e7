import json

import pytest

from snapmerge_adapters.cli.findings import finding_ids
from snapmerge_adapters.cli.main import main
from snapmerge_specs import FINDINGS, finding_trace

NAMES = finding_ids()


def test_all_are_listed_with_statement_and_length(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["findings"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith("  ")] == NAMES
    one = FINDINGS[1]
    line = next(line for line in lines if line.split()[:1] == [one.name])
    count = f"{len(finding_trace(one.name))} operations"
    assert " ".join(line.split()) == (
        f"{one.name} {one.summary} ({one.statement}; {count}; Linux {', '.join(one.releases)})"
    )


def test_those_in_kernels_are_listed_first() -> None:
    assert NAMES[: len(FINDINGS)] == [finding.name for finding in FINDINGS]


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
    assert main(["findings", "misaligned-discard", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["id"] == "misaligned-discard"
    assert {one["operation"].split()[0] for one in found["steps"] if one["expected"] != one["actual"]} == {"read"}


def test_an_unknown_one_is_told_those_that_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["findings", "S99"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("snapmerge: there is no finding S99; there are misaligned-discard, ")
    assert error.count("\n") == 1
