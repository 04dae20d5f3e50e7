import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from snapmerge import Capabilities, Done, Implementation, Operation, Outcome
from snapmerge_adapters import Memory
from snapmerge_adapters.cli.main import main

SMALL = ["--sectors", "130", "--seed", "3"]


def rows(text: str) -> dict[str, str]:
    return {name: rest.strip() for name, _, rest in (line.partition("   ") for line in text.splitlines())}


@pytest.mark.parametrize("adapter", ["memory", "file"])
@pytest.mark.parametrize("cuts", [[], ["--power-cuts"]])
def test_a_rollback_is_right_and_0(adapter: str, cuts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "rollback", "--adapter", adapter, *SMALL, *cuts]) == 0
    shown = rows(capsys.readouterr().out)
    assert shown["verdict"] == "right"
    assert shown["origin"] == "is what it was before the upgrade"
    assert shown["before"] == shown["after"] == "shows what it showed"
    assert (shown["power cuts"] != "none") == bool(cuts)


@pytest.mark.parametrize("adapter", ["memory", "file"])
@pytest.mark.parametrize("cuts", [[], ["--power-cuts"]])
def test_a_backup_is_right_and_0(adapter: str, cuts: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "backup", "--rounds", "2", "--adapter", adapter, *SMALL, *cuts, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["right"], found["wrong"]) == (True, [])
    assert [one["full"] for one in found["rounds"]] == [True, False, False]
    assert found["copied_bytes"] == 512 * sum(one["copied"] for one in found["rounds"][1:])
    assert found["full_bytes"] == 2 * 130 * 512
    assert (found["power_cuts"] > 0) == bool(cuts)


def test_a_seed_does_the_same_again(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name in ("a.trace", "b.trace"):
        assert main(["recipe", "backup", "--adapter", "memory", *SMALL, "--trace", str(tmp_path / name)]) == 0
    one, other = (capsys.readouterr().out, (tmp_path / "a.trace").read_text()), (tmp_path / "b.trace").read_text()
    assert one[1] == other
    assert main(["recipe", "backup", "--adapter", "memory", "--sectors", "130", "--seed", "4"]) == 0
    assert capsys.readouterr().out != one[0]


def test_a_trace_can_be_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "done.trace"
    assert main(["recipe", "rollback", "--adapter", "memory", *SMALL, "--trace", str(path)]) == 0
    assert main(["judge", str(path)]) == 0
    capsys.readouterr()


def test_what_cannot_be_done_is_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "backup", "--adapter", "memory", *SMALL, "--cow", "24", "--chunk", "8"]) == 2
    assert "make its COW device larger" in capsys.readouterr().err
    assert main(["recipe", "backup", "--adapter", "memory", "--sectors", "131072", "--cow", "524288"]) == 2
    assert "not a number from 1 to 262144" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["rollback", "--generation", "mainline", "--adapter", "guest"], "--generation is not for --adapter guest"),
        (["backup", "--schedule-seed", "1"], "--schedule-seed is not for --adapter file"),
        (["backup", "--chunk", "3"], "not a power of two from 1 to 512: '3'"),
        (["backup", "--rounds", "0"], "snapmerge recipe backup: argument --rounds: not a number from 1"),
        (["rollback", "--trace", "/nowhere/at/all"], "/nowhere/at/all: No such file or directory"),
        (["rollback", "--trace", "/dev/full"], "/dev/full: No space left on device"),
        ([], "the following arguments are required: RECIPE"),
    ],
)
def test_options_that_do_not_go_together_are_one_line(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["recipe", *words]) == 2
    err = capsys.readouterr().err
    assert problem in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("recipe", ["rollback", "backup"])
def test_help_has_examples_and_exit_codes(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", recipe, "--help"]) == 0
    out = capsys.readouterr().out
    assert f"  snapmerge recipe {recipe} --adapter guest" in out
    assert "exit codes:" in out


class Forgetful(Memory):
    """Loses every write to the copy but the first."""

    def __init__(self) -> None:
        super().__init__()
        self._written = 0

    def apply(self, operation: Operation) -> Outcome:
        if getattr(operation, "where", None) == "copy" and hasattr(operation, "tag"):
            self._written += 1
            if self._written > 1:
                return Done()
        return super().apply(operation)


class Uncuttable(Memory):
    """Has no power cuts."""

    @property
    def capabilities(self) -> Capabilities:
        all_of_it = super().capabilities
        return replace(all_of_it, operations=all_of_it.operations - {"crash"})


@pytest.mark.parametrize(
    ("made", "words", "code", "said"),
    [
        (Forgetful, [], 1, "round 0: the copy is not snap0 in"),
        (Uncuttable, ["--power-cuts"], 2, "the power of this implementation can't be cut: the model in memory"),
    ],
)
def test_the_implementation_decides(
    made: type[Implementation],
    words: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("snapmerge_adapters.cli.adapters.Memory", lambda **_options: made())
    assert main(["recipe", "backup", "--adapter", "memory", *SMALL, *words]) == code
    out, err = capsys.readouterr()
    assert said in out + err


@pytest.mark.kernel
@pytest.mark.parametrize("recipe", ["rollback", "backup"])
def test_a_real_kernel_does_both_through_power_cuts(recipe: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--adapter", "guest", "--volatile", "--power-cuts", *SMALL]
    code = main(["recipe", recipe, *words])
    out, err = capsys.readouterr()
    if "no user-mode Linux" in err or "no modules" in err:
        pytest.skip(err)
    assert (code, err) == (0, "")
    assert "right" in out


SERVED = [sys.executable, "-c", "import sys; from snapmerge_adapters.cli.main import main; sys.exit(main())", "serve"]


def test_a_program_has_recipes_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "rollback", *SMALL, "--", *SERVED, "--adapter", "memory"]) == 0
    shown = rows(capsys.readouterr().out)
    assert (shown["verdict"], shown["implementation"]) == ("right", "the model in memory")


def test_what_a_program_lacks_for_a_recipe_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    less = replace(Memory().capabilities, targets=frozenset({"snapshot-merge"}), about="less")
    monkeypatch.setattr(Memory, "capabilities", property(lambda _: less))
    assert main(["recipe", "rollback", *SMALL, "--adapter", "memory"]) == 2
    err = capsys.readouterr().err
    assert "the recipe can't be done: create " in err
    assert "less lacks this: the target snapshot-origin" in err


def test_no_program_has_a_recipe_as_posted(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["recipe", "backup", "--as-posted", "--", "true"]) == 2
    assert "--as-posted is not for a command" in capsys.readouterr().err
