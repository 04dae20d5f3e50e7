"""That the benchmarks run; what they measure is nothing that a test could assert."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FIGURES = {
    "calibration",
    "memory",
    "lockstep",
    "unflushed",
    "exceptions-sequential",
    "exceptions-random",
    "concept",
    "defects",
    "guest",
}


def run(*arguments: str) -> str:
    command = [sys.executable, "-m", "tests.benchmarks", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=True).stdout


def test_every_benchmark_gives_figures() -> None:
    found = json.loads(run("--quick", "--json"))
    assert {figure["name"] for figure in found} == FIGURES
    for figure in found:
        assert figure["skipped"] or (figure["value"] >= 0 and figure["ratio"] >= 0 and figure["to"])


def test_the_table_has_a_line_for_each_figure() -> None:
    lines = run("--quick", "--only", "memory", "--only", "lockstep").splitlines()
    assert [line.split()[0] for line in lines] == ["name", "memory", "lockstep"]
    assert lines[1].endswith(">= 5,000/s")


def test_without_a_kernel_its_figures_are_skipped_with_the_reason() -> None:
    found = json.loads(run("--quick", "--json", "--only", "guest", "--kernel", "no-such-kernel"))
    assert [figure["value"] for figure in found] == [None]
    assert "no-such-kernel" in found[0]["skipped"]


def test_help_says_what_there_is() -> None:
    told = run("--help")
    assert all(name.partition("-")[0] in told for name in FIGURES)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        run("--only", "nothing")
    assert refused.value.returncode == 2
