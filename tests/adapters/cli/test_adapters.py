import shlex
from argparse import Namespace
from pathlib import Path

import pytest

from snapmerge import MAINLINE
from snapmerge_adapters.cli import adapters
from snapmerge_adapters.cli.adapters import adapter_name, check_options, maker, options_again
from snapmerge_adapters.cli.errors import CommandError
from snapmerge_adapters.cli.main import _parse
from snapmerge_adapters.model.memory import Memory

GOOD = [
    "--adapter memory --schedule-seed 3",
    "--adapter file",
    "--adapter guest --kernel './my linux' --modules modules --volatile --crash-seed 5 --timeout 9",
    "--adapter devicemapper --disk /dev/loop7 --nbd /dev/nbd0 --nbd /dev/nbd1",
    "--timeout 5 -- ./implementation --adapter file -- 'a b'",
    "--adapter memory --schedule 3:1=2,5:2=1",
]


def options(text: str, command: str = "check") -> Namespace:
    return _parse([command, *shlex.split(text)])


@pytest.mark.parametrize("text", GOOD)
def test_options_can_be_written_again(text: str) -> None:
    check_options(options(text))
    assert options_again(options(text)) == text


def test_the_seed_of_the_power_cuts_is_always_named() -> None:
    assert options_again(options("--adapter guest --volatile")) == "--adapter guest --volatile --crash-seed 0"
    assert options_again(options("--adapter guest")) == "--adapter guest"


def test_another_schedule_replaces_the_one_that_was_drawn() -> None:
    drawn = options("--adapter memory --schedule-seed 3")
    assert options_again(drawn, schedule="3:1=2") == "--adapter memory --schedule 3:1=2"
    assert options_again(drawn, schedule="") == "--adapter memory"


def test_the_directory_is_not_named_again() -> None:
    assert options_again(options("--directory images")) == "--adapter file"


@pytest.mark.parametrize(("text", "name"), [("", "file"), ("-- true", "command"), ("--adapter guest", "guest")])
def test_the_adapter_has_a_default(text: str, name: str) -> None:
    assert adapter_name(options(text)) == name


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--adapter file --volatile", "--volatile is not for --adapter file; it is for --adapter guest or"),
        ("--adapter memory --schedule-seed 0 --schedule 1:1=2", "both --schedule and --schedule-seed; give one"),
        ("--schedule 1:1=2", "--schedule is not for --adapter file"),
        ("--schedule-seed 0", "--schedule-seed is not for --adapter file"),
        ("--kernel x -- true", "--kernel is not for a command"),
        ("--adapter memory --timeout 3", "--timeout is not for --adapter memory"),
    ],
)
def test_options_of_another_adapter_are_refused(text: str, message: str) -> None:
    with pytest.raises(CommandError) as caught:
        check_options(options(text))
    assert str(caught.value).startswith(message)


def test_every_adapter_is_given_its_options(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[tuple[object, ...], dict[str, object]]] = []

    def make(*args: object, **named: object) -> Memory:
        given.append((args, named))
        return Memory()

    for name in ("Memory", "Files", "Guest", "DeviceMapper", "Process"):
        monkeypatch.setattr(adapters, name, make)
    for text in GOOD:
        with maker(options(text)) as opened:
            opened()
    assert given[0] == ((), {"seed": 3, "rules": MAINLINE})
    assert given[1][1] == {"keep": False, "rules": MAINLINE}
    guest = {"kernel": "./my linux", "modules": "modules", "volatile": True, "seed": 5, "timeout": 9.0}
    assert given[2] == ((), guest)
    disks = {"nbd": ["/dev/nbd0", "/dev/nbd1"], "volatile": False, "hang": 30.0, "seed": 0}
    assert given[3] == (("/dev/loop7",), disks)
    assert given[4] == ((["./implementation", "--adapter", "file", "--", "a b"],), {"timeout": 5.0})


def test_whatever_was_made_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    closed: list[Memory] = []

    class Closing(Memory):
        def close(self) -> None:
            closed.append(self)

    monkeypatch.setattr(adapters, "Memory", Closing)

    def fail_with_the_second() -> None:
        with maker(options("--adapter memory")) as make:
            make()
            make()
            assert len(closed) == 1
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_with_the_second()
    assert len(closed) == 2


def test_the_temporary_directory_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with maker(options("")) as make:
        make()
        assert len(list(tmp_path.iterdir())) == 1
    assert list(tmp_path.iterdir()) == []
