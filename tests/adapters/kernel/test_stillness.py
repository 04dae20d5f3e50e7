from pathlib import Path

from snapmerge_adapters.kernel.stillness import Stillness, stuck_tasks


def looks(tmp_path: Path, loads: list[str], seen: list[object]) -> list[bool]:
    file = tmp_path / "loadavg"
    still = Stillness(str(file), samples=2, apart=0)
    answers = []
    for load, value in zip(loads, seen, strict=True):
        file.write_text(f"0.00 0.00 0.00 {load}/50 99\n")
        answers.append(still.reached(value))
    return answers


def test_it_is_still_when_nothing_runs_several_times_in_a_row(tmp_path: Path) -> None:
    assert looks(tmp_path, ["1", "2", "1", "1", "1"], [None] * 5) == [False, False, False, True, True]


def test_what_changes_is_not_still(tmp_path: Path) -> None:
    assert looks(tmp_path, ["1"] * 5, ["a", "b", "b", "c", "c"]) == [False] * 5


def test_stuck_tasks_are_named_with_their_functions(tmp_path: Path) -> None:
    for number, state in ((7, "D"), (8, "S")):
        task = tmp_path / f"{number}/task/{number}"
        task.mkdir(parents=True)
        (task / "stat").write_text(f"{number} (a (b) c) {state} 1 1\n")
        (task / "stack").write_text("[<0>] io_schedule+0x1/0x2\n[<0>] dm_suspend+0x9a/0xc0 [dm_mod]\n")
    assert stuck_tasks(tmp_path) == "stuck: a (b) c in dm_suspend"
