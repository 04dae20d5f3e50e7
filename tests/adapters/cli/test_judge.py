import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from snapmerge import Died, Divergence, Done, Load, OperationError, Reset, Undecided, parse_trace
from snapmerge_adapters.cli import judge as judge_command
from snapmerge_adapters.cli.main import main
from snapmerge_adapters.model.memory import Memory
from snapmerge_specs.lockstep.texts import allowed_text

TRACES = sorted((Path(__file__).parents[3] / "specs" / "traces").glob("*.trace"))
GOOD = "# a comment\n\ndisk base 8\nread base 0 8 -> #0x8\n"
BAD = GOOD + "write base 0 2 #5 -> ok\nread base 0 3 -> #5 #5 #0\nread base 0 8\n"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("good.trace").write_text(GOOD)
    Path("bad.trace").write_text(BAD)
    Path("wrong.trace").write_text("disk base 8\nfrob base\n")
    Path("senseless.trace").write_text("disk base 8\nread cow 0 1 -> #0\n")
    Path("crash.trace").write_text("disk base 8\nwrite base 0 1 #7\ncrash\nread base 0 1 -> #0\n")


pytestmark = pytest.mark.usefixtures("files")


def test_judge_agrees_with_the_repository_s_traces(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", *map(str, TRACES)]) == 0
    assert capsys.readouterr().out == "".join(f"{path}: ok\n" for path in TRACES)


def test_judge_says_where_and_what(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "good.trace", "bad.trace"]) == 1
    assert capsys.readouterr().out == (
        "good.trace: ok\nbad.trace: diverged at line 6: read base 0 3: allowed #5+2 #0, seen #5x2 #0\n"
        "    promise broken at line 6: a disk does not hold what was written to it (PROMISE-1): read base 0 3: "
        "sector 1 holds #5, and may hold #6\n"
    )


def test_judge_goes_on_behind_a_file_that_it_can_not_judge(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "wrong.trace", "senseless.trace", "good.trace"]) == 2
    out, err = capsys.readouterr()
    assert out == "good.trace: ok\n"
    wrong, senseless = err.splitlines()
    assert wrong.startswith("snapmerge: wrong.trace:2: unknown operation: 'frob'; one of disk, ")
    assert senseless == "snapmerge: senseless.trace:2: read cow 0 1: there is no device or disk cow"


@pytest.mark.spec("ORACLE-20")
def test_what_is_not_modelled_is_one_line_and_2(capsys: pytest.CaptureFixture[str]) -> None:
    Path("raid.trace").write_text('create x "0 8 raid" -> ok\n')
    said = 'raid.trace: not modelled at line 1: create x "0 8 raid": the target raid is not modelled\n'
    assert main(["judge", "raid.trace"]) == 2
    assert capsys.readouterr() == (said, "")
    assert main(["judge", "raid.trace", "bad.trace"]) == 1
    capsys.readouterr()
    assert main(["judge", "--json", "raid.trace"]) == 2
    assert json.loads(capsys.readouterr().out)["files"] == [
        {
            "file": "raid.trace",
            "line": 1,
            "result": "not modelled",
            "operation": 'create x "0 8 raid"',
            "seen": "ok",
            "reason": "the target raid is not modelled",
        }
    ]


@pytest.mark.spec("ORACLE-20")
@pytest.mark.spec("PROMISE-11")
@pytest.mark.parametrize("options", [[], ["--promises"]])
def test_a_refusal_of_larger_blocks_is_not_modelled_and_breaks_no_promise(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    refusal = 'create x "0 8 linear base 0" -> error EINVAL'
    text = "device-mapper: table: 254:0: start=1 not aligned to h/w logical block size 4096 of base"
    Path("blocks.trace").write_text(f'disk base 8 -> ok\n{refusal} "{text}"\nread base 0 1 -> #0\n')
    assert main(["judge", *options, "blocks.trace"]) == 2
    out, err = capsys.readouterr()
    assert (out.count("\n"), err) == (1, "")
    assert "not modelled at line 2" in out
    Path("blocks.trace").write_text(f"disk base 8 -> ok\n{refusal}\n")
    assert main(["judge", *options, "blocks.trace"]) == 1
    assert "PROMISE-11" in capsys.readouterr().out


def test_judge_of_a_divergence_and_an_error_is_1() -> None:
    assert main(["judge", "wrong.trace", "bad.trace"]) == 1


def test_judge_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["judge", "--json", "good.trace", "bad.trace", "wrong.trace"]) == 1
    result = json.loads(capsys.readouterr().out)
    good, bad, wrong = result["files"]
    assert result["agrees"] is False
    assert good == {"file": "good.trace", "result": "ok", "steps": 2, "unrecorded": 1}
    assert bad["line"] == 6
    assert (bad["allowed"], bad["seen"]) == (["#5+2 #0"], "#5x2 #0")
    assert wrong["result"] == "error"


def test_judge_reads_standard_input(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(GOOD.encode())))
    assert main(["judge", "-"]) == 0
    assert capsys.readouterr().out == "<stdin>: ok\n"


def test_judge_that_gives_up_is_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (step,) = parse_trace("disk base 8")
    monkeypatch.setattr(judge_command, "judge", lambda _steps, _rules, **_budget: iter([(step, Undecided(step, 99))]))
    assert main(["judge", "good.trace"]) == 2
    out = capsys.readouterr().out
    assert "good.trace: undecided at line 3: disk base 8: " in out
    assert "given up after 99 worlds; fewer operations under way at once" in out


@pytest.mark.parametrize("options", [[], ["--promises"]])
def test_replay_that_gives_up_is_2(monkeypatch: pytest.MonkeyPatch, options: list[str]) -> None:
    (step,) = parse_trace("disk base 8 -> ok")
    gives_up = iter([(step, Undecided(step, 99))])
    monkeypatch.setattr(judge_command, "replay", lambda *_trace, **_budget: gives_up)
    Path("one.trace").write_text("disk base 8\n")
    assert main(["replay", "one.trace", "--adapter", "memory", *options]) == 2


def test_many_allowed_outcomes_are_cut_short() -> None:
    (step,) = parse_trace("read base 0 1")
    allowed = [outcome.outcome for number in range(20) for outcome in parse_trace(f"read base 0 1 -> #{number}")]
    text = allowed_text(Divergence(step, tuple(one for one in allowed if one is not None)))
    assert text.endswith("#7, or 12 other outcomes")


# --- replay ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("adapter", ["file", "memory"])
@pytest.mark.parametrize("path", TRACES, ids=lambda path: str(path.stem))
def test_replay_agrees_on_the_repository_s_traces(path: Path, adapter: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(path), "--adapter", adapter]) == 0
    out = capsys.readouterr().out
    assert " differs " not in out
    assert "agrees with the model in all" in out


def test_replay_shows_what_differs_from_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "bad.trace"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "    3  ok         disk base 8 -> ok"
    assert lines[3] == "    6  differs    read base 0 3 -> #5+2 #0"
    assert lines[4].split() == ["recorded:", "#5x2", "#0"]
    assert lines[-1].endswith("agrees with the model in all 5 steps; 1 of 5 lines differ from the record")


def test_replay_strict_takes_a_difference_for_a_divergence() -> None:
    assert main(["replay", "bad.trace", "--strict"]) == 1
    assert main(["replay", "good.trace", "--strict"]) == 0


class Forgetful(Memory):
    """Reads zeroes, or refuses."""

    def apply(self, operation: object) -> object:  # type: ignore[override]
        (zeroes,) = parse_trace("read x 0 3 -> #0x3")
        if getattr(operation, "count", 0) == 2:
            raise OperationError("two\nare too many")
        return zeroes.outcome if getattr(operation, "count", 0) == 3 else super().apply(operation)  # type: ignore[arg-type]


def test_replay_shows_a_divergence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("snapmerge_adapters.cli.adapters.Memory", Forgetful)
    Path("x.trace").write_text("disk base 8\nwrite base 0 4 #1\nread base 0 3\nread base 0 1\n")
    assert main(["replay", "x.trace", "--adapter", "memory"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:4] == ["    3  diverged   read base 0 3 -> #0x3", " " * 18 + "allowed:  #1+3"]
    assert lines[4] == "x.trace: the model in memory: diverged at line 3: allowed #1+3, seen #0x3"
    assert lines[5].startswith("    promise broken at line 3: a disk does not hold what was written to it (PROMISE-1)")
    assert len(lines) == 6
    assert main(["replay", "x.trace", "--adapter", "memory", "--json"]) == 1
    result = json.loads(capsys.readouterr().out)
    assert result["broken"]["statement"] == "PROMISE-1"
    assert result["agrees"] is False
    assert [one["result"] for one in result["steps"]] == ["ok", "ok", "diverged"]
    assert result["steps"][-1]["allowed"] == ["#1+3"]


class Deaf(Memory):
    """Dies of a reset."""

    def apply(self, operation: object) -> object:  # type: ignore[override]
        return Died("no more\nafter this") if isinstance(operation, Reset) else super().apply(operation)  # type: ignore[arg-type]


@pytest.mark.parametrize("options", [[], ["--promises"]])
def test_a_replay_whose_reset_fails_is_a_divergence(
    options: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("snapmerge_adapters.cli.adapters.Memory", Deaf)
    assert main(["replay", "good.trace", "--adapter", "memory", *options]) == 1
    out, err = capsys.readouterr()
    assert out.startswith("    3  diverged   reset -> died\n" + " " * 18 + "no more\n" + " " * 18 + "after this\n")
    assert "recorded" not in out
    assert "PROMISE-6" in out
    assert err == ""
    assert main(["replay", "good.trace", "--adapter", "memory", "--json", *options]) == 1
    assert json.loads(capsys.readouterr().out)["broken"]["statement"] == "PROMISE-6"


def test_replay_says_who_refuses(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "senseless.trace"]) == 2
    assert capsys.readouterr().err.endswith("senseless.trace:2: read cow 0 1: there is no device or disk cow\n")
    monkeypatch.setattr("snapmerge_adapters.cli.adapters.Memory", Forgetful)
    Path("x.trace").write_text("disk base 8\nread base 0 2\n")
    assert main(["replay", "x.trace", "--adapter", "memory"]) == 2
    err = capsys.readouterr().err
    assert err == "snapmerge: x.trace:2: read base 0 2: the implementation refuses: two are too many\n"


class Zeroes(Memory):
    """Has the target raid."""

    def apply(self, operation: object) -> object:  # type: ignore[override]
        return Done() if isinstance(operation, Load) else super().apply(operation)  # type: ignore[arg-type]


def test_replay_of_what_is_not_modelled_is_one_line_and_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("snapmerge_adapters.cli.adapters.Memory", Zeroes)
    Path("x.trace").write_text('create x\nload x "0 8 raid"\nstatus x\n')
    said = 'x.trace:2: load x "0 8 raid": the target raid is not modelled'
    assert main(["replay", "x.trace", "--adapter", "memory"]) == 2
    assert capsys.readouterr() == ("    1  ok         create x -> ok\n", f"snapmerge: {said}\n")
    assert main(["replay", "x.trace", "--adapter", "memory", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {"command": "replay", "error": said}


def test_replay_of_a_power_cut_takes_volatile_disks(monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, object] = {}

    def guest(**options: object) -> Memory:
        given.update(options)
        return Memory()

    monkeypatch.setattr("snapmerge_adapters.cli.adapters.Guest", guest)
    for path, volatile in (("crash.trace", True), ("good.trace", False)):
        assert main(["replay", path, "--adapter", "guest"]) == 0
        assert given["volatile"] is volatile


def test_replay_keeps_images_when_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", "good.trace", "--directory", "images"]) == 0
    assert [path.name for path in Path("images").iterdir()] == ["base.img"]
    assert main(["replay", "good.trace", "--directory", "images"]) == 2
    assert "has disk images already (base.img); name an empty one" in capsys.readouterr().err


@pytest.mark.spec("PROMISE-1")
def test_judge_says_which_promise_is_broken_behind_a_divergence(capsys: pytest.CaptureFixture[str]) -> None:
    head = "disk base 4 -> ok\nwrite base 0 1 #7 -> ok\nmetadata base -> new\n"
    Path("both.trace").write_text(head + "read base 0 1 -> #9\n")
    assert main(["judge", "--json", "both.trace"]) == 1
    (both,) = json.loads(capsys.readouterr().out)["files"]
    assert (both["result"], both["line"]) == ("diverged", 3)
    assert (both["broken"]["statement"], both["broken"]["line"]) == ("PROMISE-1", 4)


SAFE = """\
disk base 32 -> ok
disk cow 64 -> ok
write base 0 32 #1 -> ok
create snap "0 32 snapshot base cow P 8" -> ok
write snap 0 8 #101 -> ok
write snap 8 8 #201 -> ok
suspend snap -> ok
create merge "0 32 snapshot-merge base cow P 8" -> ok
metadata cow -> store valid=1 version=1 chunk_size=8 0>2 1>4
read merge 0 16 -> #101+8 #201+8
"""
"""A store that is laid out as no kernel would, and shows what it should."""


def test_what_differs_from_linux_and_breaks_no_promise_is_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "safe.trace"
    path.write_text(SAFE)
    assert main(["judge", str(path)]) == 1
    assert "diverges from Linux; keeps its promises so far" in capsys.readouterr().out
    assert main(["judge", "--promises", str(path)]) == 0
    capsys.readouterr()
    assert main(["judge", "--promises", "--json", str(path)]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["agrees"], found["keeps_promises"]) == (False, True)
    path.write_text(SAFE.replace("#201+8\n", "#9+8\n"))
    assert main(["judge", "--promises", str(path)]) == 1
    assert "promise broken at line 10" in capsys.readouterr().out


def test_a_replay_goes_on_to_its_end_for_what_a_user_may_count_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever answers a status in its own words differs from Linux; whoever loses data breaks a promise."""
    program = tmp_path / "own.py"
    program.write_text(OWN)
    path = tmp_path / "short.trace"
    path.write_text("disk base 8\nwrite base 0 8 #1\nmetadata base\nread base 0 8\n")
    command = ["--", sys.executable, str(program)]
    assert main(["replay", str(path), *command]) == 1
    assert "diverges from Linux; keeps its promises so far" in capsys.readouterr().out
    capsys.readouterr()
    assert main(["replay", "--promises", "--json", str(path), *command]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["agrees"], found["keeps_promises"]) == (False, True)
    assert main(["replay", "--promises", str(path), *command, "lossy"]) == 1
    assert "promise broken at line 4" in capsys.readouterr().out


OWN = """\
import json, sys
names = ["disk", "write", "read", "metadata", "reset"]
print(json.dumps({"snapmerge": 1, "capabilities": {"operations": names, "about": "own"}}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    if "close" in request:
        break
    word = request["do"].split()[0]
    data = "#1+8" if "lossy" not in sys.argv else "#1+7 #0"
    saw = {"read": data, "metadata": "new"}.get(word, "ok")
    print(json.dumps({"saw": saw}), flush=True)
"""
