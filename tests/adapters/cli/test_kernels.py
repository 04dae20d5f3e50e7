import json
from pathlib import Path

import pytest

from snapmerge_adapters import Kernel, Unavailable
from snapmerge_adapters.cli.main import main

VERSIONS = (
    ("linear", "1.4.0"),
    ("snapshot", "1.16.0"),
    ("snapshot-else", "1.0.0"),
    ("snapshot-merge", "1.5.0"),
    ("snapshot-origin", "1.9.0"),
)
GUEST = Kernel("6.1.0", Path("/opt/linux.uml"), VERSIONS)
OWN = Kernel("6.5.0", None, VERSIONS)


def having(monkeypatch: pytest.MonkeyPatch, *found: Kernel) -> None:
    def unavailable(**_: object) -> None:
        raise Unavailable("it does not boot\nfor a long reason")

    monkeypatch.setattr("snapmerge_adapters.cli.kernels.kernels", lambda: list(found))
    monkeypatch.setattr("snapmerge_adapters.cli.kernels.find_kernel", lambda path: Path(path or "/usr/bin/linux.uml"))
    monkeypatch.setattr("snapmerge_adapters.cli.kernels.Guest", unavailable)
    monkeypatch.setenv("COLUMNS", "200")


def test_what_can_be_used_is_listed_with_its_targets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    having(monkeypatch, OWN, GUEST)
    assert main(["kernels"]) == 0
    targets = "snapshot 1.16.0, snapshot-merge 1.5.0, snapshot-origin 1.9.0"
    assert capsys.readouterr().out == (
        f"--adapter devicemapper   Linux 6.5.0 (this machine's): {targets}\n"
        f"--adapter guest          Linux 6.1.0 (/opt/linux.uml): {targets}\n"
    )


def test_what_can_not_says_why(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    having(monkeypatch)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert main(["kernels"]) == 2
    out = capsys.readouterr().out
    assert "--adapter guest          no: it does not boot for a long reason\n" in out
    assert "--adapter devicemapper   no: this machine's device-mapper is for root only" in out


def test_a_kernel_that_was_asked_for_is_not_left_out_and_must_be_usable(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    having(monkeypatch, GUEST)
    assert main(["kernels", "--kernel", "/elsewhere/linux", "--json"]) == 2
    asked, guest, own = json.loads(capsys.readouterr().out)["kernels"]
    assert (asked["kernel"], asked["usable"]) == ("/elsewhere/linux", False)
    assert asked["problem"].startswith("it does not boot")
    assert (guest["usable"], guest["targets"]["snapshot-merge"]) == (True, "1.5.0")
    assert own["usable"] is False


@pytest.mark.kernel
def test_the_guests_kernel_is_listed(guest: object, capsys: pytest.CaptureFixture[str]) -> None:
    assert guest is not None
    assert main(["kernels", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["kernels"]
    assert any(row["adapter"] == "guest" and row["usable"] and "snapshot-merge" in row["targets"] for row in rows)
