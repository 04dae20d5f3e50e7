from pathlib import Path

import pytest

from snapmerge_adapters.cli.main import main

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
    assert "merge finished" in out
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


def test_a_kernel_has_one_generation_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--adapter", "guest", "--generation", "concept"]) == 2
    assert capsys.readouterr().err == (
        "snapmerge: --generation is not for --adapter guest; it is for --adapter memory or --adapter file\n"
    )
