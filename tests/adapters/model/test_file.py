from pathlib import Path

import pytest

from snapmerge import Done, OperationError, Outcome, parse_operation, parse_outcome
from snapmerge_adapters import Files, Unavailable
from snapmerge_adapters.cli.main import main


def do(files: Files, line: str) -> Outcome:
    return files.apply(parse_operation(line))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("disk big 8000000000000000", "8000000000000008 sectors of disks; at most 1048576"),
        ("disk big 1048569", "1048577 sectors of disks"),
        ("disk there 8", "the image of there can't be made: File exists"),
        ("disk base 8", "base is there already"),
    ],
)
def test_a_disk_that_can_not_be_made_changes_nothing(line: str, reason: str, tmp_path: Path) -> None:
    files = Files(tmp_path)
    do(files, "disk base 8")
    (tmp_path / "there.img").touch()
    with pytest.raises(OperationError, match=reason):
        do(files, line)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base.img", "there.img"]
    assert do(files, "disk other 8") == Done()
    files.close()


def test_an_image_that_is_too_large_for_its_file_system_is_not_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_fd: int, _size: int) -> None:
        raise OSError(27, "File too large")

    files = Files(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("os.ftruncate", refuse)
        with pytest.raises(OperationError, match="the image of base can't be made: File too large"):
            do(files, "disk base 8")
    assert list(tmp_path.iterdir()) == []
    assert do(files, "disk base 8") == Done()
    files.close()


def test_images_that_are_there_take_no_room(tmp_path: Path) -> None:
    with (tmp_path / "large.img").open("wb") as file:
        file.truncate(1 << 31)
    files = Files(tmp_path)
    assert files.capabilities.sectors_max == (1 << 22) + (1 << 20)
    assert do(files, "disk base 1048576") == Done()
    files.close()


def test_a_directory_has_one_user_at_a_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = Files(tmp_path)
    with pytest.raises(Unavailable, match="is in use by another snapmerge"):
        Files(tmp_path)
    assert main(["serve", "--directory", str(tmp_path)]) == 2
    out, err = capsys.readouterr()
    assert (out, err) == ("", f"snapmerge: {tmp_path} is in use by another snapmerge; name another directory\n")
    first.close()
    first.close()
    Files(tmp_path).close()


def test_a_directory_that_can_not_be_used_is_free_again(tmp_path: Path) -> None:
    (tmp_path / "base.img").touch()
    for _ in range(2):
        with pytest.raises(OperationError, match="no whole sector"):
            Files(tmp_path)


def test_what_is_refused_does_nothing_again(tmp_path: Path) -> None:
    files = Files(tmp_path, keep=False)
    for line in (
        "disk base 32",
        "disk cow 64",
        "write base 0 32 #1",
        'create origin "0 32 snapshot-origin base"',
        'create snap "0 32 snapshot base cow P 8"',
        "start 1 write origin 0 8 #100",
    ):
        assert do(files, line) == Done()
    with pytest.raises(OperationError):
        do(files, "read nobody 0 1")
    assert do(files, "read snap 0 8") == parse_outcome("#1+8")
    assert do(files, "read origin 0 8") == parse_outcome("#100+8")
    files.close()


def test_a_creation_that_failed_leaves_its_name_free(tmp_path: Path) -> None:
    files = Files(tmp_path, keep=False)
    do(files, 'start 1 create x "0 8 linear nobody 0"')
    assert do(files, "disk x 8") == Done()
    files.close()
