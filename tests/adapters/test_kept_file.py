import os
import resource
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snapmerge_adapters.kept_file import can_keep, keep, keep_new

LONG = "x" * 100_000
WRITERS = [keep, keep_new]


@contextmanager
def little_room(size: int = 4096) -> Iterator[None]:
    """No file can grow beyond ``size`` bytes: a write fails half way, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("write", WRITERS)
def test_a_file_is_written(write: Callable[[Path, str], None], tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    before = os.umask(0o027)
    try:
        write(path, "crash\n\ud7ff")
    finally:
        os.umask(before)
    assert path.read_text(encoding="utf-8") == "crash\n\ud7ff"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert names(tmp_path) == ["a.trace"]


def test_a_file_that_is_there_is_replaced_with_its_permissions(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    path.write_text("old")
    path.chmod(0o604)
    keep(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o604)


def test_a_new_file_replaces_none(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    path.symlink_to("nowhere")
    with pytest.raises(FileExistsError):
        keep_new(path, "new")
    assert names(tmp_path) == ["a.trace"]


def test_a_new_file_that_comes_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.trace"
    monkeypatch.setattr(os, "fsync", lambda _: path.write_text("other"))
    with pytest.raises(FileExistsError):
        keep_new(path, "new")
    assert (path.read_text(), names(tmp_path)) == ("other", ["a.trace"])


def test_a_file_system_without_links_has_new_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", link)
    keep_new(tmp_path / "a.trace", "new")
    assert names(tmp_path) == ["a.trace"]


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/a.trace")
    keep(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "folder" / "a.trace").read_text() == "new"


def test_a_device_is_written_to() -> None:
    keep(Path("/dev/null"), "new")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="No space left"):
        keep(Path("/dev/full"), "new")


@pytest.mark.parametrize("write", WRITERS)
def test_a_full_disk_leaves_nothing_half_written(write: Callable[[Path, str], None], tmp_path: Path) -> None:
    with little_room(), pytest.raises(OSError, match="File too large"):
        write(tmp_path / "a.trace", LONG)
    assert names(tmp_path) == []


def test_a_full_disk_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    path.write_text("old")
    with little_room(), pytest.raises(OSError, match="File too large"):
        keep(path, LONG)
    assert (path.read_text(), names(tmp_path)) == ("old", ["a.trace"])


@pytest.mark.parametrize("what", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyboardInterrupt()])
def test_whatever_fails_leaves_the_file_that_was_there(
    what: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    path = tmp_path / "a.trace"
    path.write_text("old")
    monkeypatch.setattr(os, what, fail)
    with pytest.raises(type(error)):
        keep(path, "new")
    assert (path.read_text(), names(tmp_path)) == ("old", ["a.trace"])


@pytest.mark.parametrize("write", [lambda path: keep(path, "new"), can_keep])
def test_a_file_that_is_read_only_stays(
    write: Callable[[Path], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.trace"
    path.write_text("old")
    monkeypatch.setattr(os, "access", lambda *_: False)  # as it is for a file without w, but not to root
    with pytest.raises(PermissionError, match="Permission denied"):
        write(path)
    assert (path.read_text(), names(tmp_path)) == ("old", ["a.trace"])


def test_whether_a_file_can_be_made_is_found_without_making_it(tmp_path: Path) -> None:
    path = tmp_path / "a.trace"
    can_keep(path)
    assert names(tmp_path) == []
    path.write_text("old")
    can_keep(path)
    can_keep(Path("/dev/full"))
    assert (path.read_text(), names(tmp_path)) == ("old", ["a.trace"])
    for no in (tmp_path, tmp_path / "no" / "a.trace", path / "a.trace"):
        for write in (can_keep, lambda place: keep(place, "new")):
            with pytest.raises(OSError, match="directory"):
                write(no)
    assert names(tmp_path) == ["a.trace"]
