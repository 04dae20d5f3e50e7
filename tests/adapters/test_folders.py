import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from snapmerge_adapters.folders import _MARK, Folder, sweep

DEAD = "snapmerge-4194305-1-abcdefgh"  # no process has this number: it is above the kernel's bound


def environment(base: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(base), "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


HOLDER = """
import sys
from snapmerge_adapters.folders import Folder
folder = Folder()
(folder.path / "base.img").write_bytes(bytes(512))
print(flush=True)
sys.stdin.read()
"""


def holder(base: Path) -> "subprocess.Popen[bytes]":
    """A process with a temporary folder, which it has made when this returns."""
    child = subprocess.Popen([sys.executable, "-c", HOLDER], stdin=-1, stdout=-1, env=environment(base))
    assert child.stdout is not None
    child.stdout.readline()
    return child


def names(base: Path) -> set[str]:
    return {path.name for path in base.iterdir()}


def test_a_folder_is_there_and_goes(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        assert folder.path.is_dir()
        assert list(folder.path.iterdir()) == []
        (folder.path / "something").touch()
    folder.close()
    assert names(tmp_path) == set()


def test_what_a_killed_process_has_left_goes_with_the_next_run_and_nothing_else(tmp_path: Path) -> None:
    with holder(tmp_path) as lives, holder(tmp_path) as dies:
        of_both = names(tmp_path)
        assert len(of_both) == 2
        dies.kill()
        dies.wait(10)
        assert names(tmp_path) == of_both
        with Folder(tmp_path):
            left = names(tmp_path) & of_both
        assert len(left) == 1
        assert next(iter(left)).startswith(f"snapmerge-{lives.pid}-")
        lives.kill()
    sweep(tmp_path)
    assert names(tmp_path) == set()


def dead(base: Path, name: str = DEAD, *, mark: bytes = _MARK) -> Path:
    folder = base / name
    (folder / "files").mkdir(parents=True)
    (folder / "owner").write_bytes(mark)
    return folder


def test_what_is_ours_and_dead_is_removed(tmp_path: Path) -> None:
    (dead(tmp_path) / "files" / "image").touch()
    dead(tmp_path, DEAD + "2", mark=b"")  # killed before it wrote more
    (tmp_path / (DEAD + "3")).mkdir()  # killed before that
    sweep(tmp_path)
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    "name", ["snapmerge-notes", "snapmerge-1", "snapmerge-1-1-", f"{DEAD}.old", "my-snapmerge-1-1-a", "Snapmerge-1-1-a"]
)
def test_a_folder_of_another_name_stays(name: str, tmp_path: Path) -> None:
    dead(tmp_path, name)
    (tmp_path / f"{name}-empty").mkdir()
    sweep(tmp_path)
    assert names(tmp_path) == {name, f"{name}-empty"}


def test_what_is_not_provably_ours_stays(tmp_path: Path) -> None:
    dead(tmp_path, mark=b"my notes")
    (tmp_path / (DEAD + "2")).write_text("a file")
    other = tmp_path / "other"
    dead(other)
    (tmp_path / (DEAD + "3")).symlink_to(other / DEAD)
    full = tmp_path / (DEAD + "4")
    full.mkdir()
    (full / "letter").touch()
    linked = dead(tmp_path, DEAD + "5")
    (linked / "owner").unlink()
    (linked / "owner").symlink_to(other / DEAD / "owner")
    more = dead(tmp_path, DEAD + "6")
    (more / "letter").touch()
    before = names(tmp_path)
    sweep(tmp_path)
    assert names(tmp_path) == before
    assert (more / "letter").exists()
    assert (other / DEAD / "owner").read_bytes() == _MARK


def test_an_empty_folder_of_a_living_process_stays(tmp_path: Path) -> None:
    with Folder(tmp_path) as folder:
        name = folder.path.parent.name + "2"
    (tmp_path / name).mkdir()
    sweep(tmp_path)
    assert names(tmp_path) == {name}


def test_links_in_it_are_not_followed(tmp_path: Path) -> None:
    keep = tmp_path / "keep"
    keep.mkdir()
    (keep / "letter").touch()
    (dead(tmp_path) / "files" / "link").symlink_to(keep)
    sweep(tmp_path)
    assert names(tmp_path) == {"keep"}
    assert (keep / "letter").exists()


def test_another_users_folder_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dead(tmp_path)
    monkeypatch.setattr("os.geteuid", lambda: 12345)
    sweep(tmp_path)
    assert names(tmp_path) == {DEAD}


def test_runs_at_the_same_time_leave_each_other_alone(tmp_path: Path) -> None:
    def run(number: int) -> None:
        for _ in range(30):
            with Folder(tmp_path) as folder:
                (folder.path / "mine").write_text(str(number))
                sweep(tmp_path)
                assert (folder.path / "mine").read_text() == str(number)

    for number in range(20):
        dead(tmp_path, f"{DEAD}{number}")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, range(4)))
    assert names(tmp_path) == set()


def test_a_place_that_is_not_there_is_said(tmp_path: Path) -> None:
    sweep(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        Folder(tmp_path / "nowhere")
