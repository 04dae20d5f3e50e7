import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import immutables
import msgspec
import pytest

import snapmerge
import snapmerge_adapters
from snapmerge import Died, Implementation, Line, OperationError, parse_operation, print_outcome
from snapmerge_adapters import Guest, Unavailable

pytestmark = pytest.mark.kernel

Replay = Callable[[Implementation, str], None]


def booted(*, timeout: float = 30.0) -> Guest:
    try:
        return Guest(timeout=timeout)
    except Unavailable as error:
        pytest.skip(str(error))


def test_reset_ends_whatever_is_stuck(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        """
        disk base 128 -> ok
        write base 0 128 #1000 -> ok
        create origin "0 128 snapshot-origin base" -> ok
        disk cow 256 -> ok
        create snap "0 128 snapshot base cow P 8" -> ok
        create above "0 128 linear origin 0" -> ok
        suspend origin -> ok
        start 1 write above 0 8 #1 -> ok
        start 2 suspend above -> ok
        start 3 read origin 0 8 -> ok
        finish 2 -> blocked
        reset -> ok
        disk base 128 -> ok
        read base 0 128 -> #0x128
        """,
    )


def test_a_reset_may_end_a_create(guest: Guest, replay: Replay) -> None:
    """The device of a create that fails goes while the reset looks through all of them; more devices, more chances."""
    steps = ["disk base 8", "disk cow 64", 'create low "0 64 linear cow 0"', "suspend low"]
    steps += ['start 1 create snap "0 8 snapshot base low P 8"']
    steps += [f'create other{number} "0 8 linear base 0"' for number in range(30)]
    for _ in range(3):
        replay(guest, "".join(f"{step} -> ok\n" for step in steps) + "finish 1 -> blocked\nreset -> ok\n")


def test_large_outcomes_come_through(guest: Guest) -> None:
    guest.apply(parse_operation("disk base 4096"))
    for sector in range(0, 4096, 2):
        guest.apply(parse_operation(f"write base {sector} 1 #{sector * 7 + 1000000}"))
    line = print_outcome(guest.apply(parse_operation("read base 0 4096")))
    assert len(line) > 20_000
    assert line.split() == [word for sector in range(0, 4096, 2) for word in (f"#{sector * 7 + 1000000}", "#0")]


def test_a_panic_is_told_with_the_operation() -> None:
    guest = booted()
    try:
        if "6.1.176" not in guest.capabilities.about:
            pytest.skip("this defect is of Linux 6.1.176")
        for line in ("disk base 128", "disk cow 128"):
            guest.apply(parse_operation(line))
        seen = guest.apply(parse_operation('create m "0 128 snapshot-merge base cow N 8"'))
        assert isinstance(seen, Died)
        assert seen.text.startswith("create m ")
        assert "Kernel panic" in seen.text
        assert "snapshot_merge_next_chunks" in seen.text
        assert guest.apply(parse_operation("status m")) == seen
    finally:
        guest.close()


def test_a_hang_is_told_in_time() -> None:
    guest = booted()
    try:
        for line in ("disk base 8", 'create dev "0 8 linear base 0"', "suspend dev"):
            guest.apply(parse_operation(line))
        before = time.monotonic()
        seen = guest.apply(parse_operation("read dev 0 8"))
        assert isinstance(seen, Died)
        assert seen.text.startswith("hang: read dev 0 8 has not ended")
        assert "stuck: " in seen.text  # the task, and the kernel functions that it is in
        assert time.monotonic() - before < 15  # far from the 30 s that an operation may take
    finally:
        guest.close()


WAITING_MERGE = """
    disk base 64 -> ok
    disk cow0 64 -> ok
    disk cow1 64 -> ok
    create lower "0 64 linear cow1 0" -> ok
    create origin "0 64 snapshot-origin base" -> ok
    create merging "0 64 snapshot base cow0 P 8" -> ok
    create other "0 64 snapshot base lower P 8" -> ok
    write merging 32 1 #1 -> ok
    write merging 16 1 #2 -> ok
    write merging 0 1 #3 -> ok
    write other 0 8 #20 -> ok
    remove merging -> ok
    load origin "0 64 snapshot-merge base cow0 P 8" -> ok
    suspend origin -> ok
    suspend lower -> ok
    resume origin -> ok
"""


def _waits(guest: Guest) -> None:
    """Asks until the merge has done its first run, after which it has to wait."""
    for _ in range(10_000):
        if guest.apply(parse_operation("status origin")) == Line("0 64 snapshot-merge 32/64 16"):
            return
    pytest.fail("the merge has not come so far")


def test_a_started_settle_may_wait_longer_than_the_kernel_has_anything_to_do(guest: Guest, replay: Replay) -> None:
    waits = ["finish 1 -> blocked"] * 40  # more than two seconds, in which nothing runs
    tail = ["resume lower -> ok", "finish 1 -> ok", 'status origin -> "0 64 snapshot-merge 16/64 16"']
    replay(guest, f"reset -> ok\n{WAITING_MERGE}")
    _waits(guest)
    replay(guest, "\n".join(["start 1 settle origin -> ok", *waits, *tail]))


def test_a_merge_that_a_suspend_has_stopped_is_settled_by_start_only(guest: Guest, replay: Replay) -> None:
    stop = ["start 2 suspend origin -> ok", "finish 2 -> blocked", "resume lower -> ok", "finish 2 -> ok"]
    replay(guest, f"reset -> ok\n{WAITING_MERGE}")
    _waits(guest)
    replay(guest, "\n".join(stop))
    seen = guest.apply(parse_operation("status origin"))
    assert isinstance(seen, Line)
    assert seen.text.startswith("0 64 snapshot-merge ")
    assert not seen.text.endswith(" 16/64 16")  # how far it comes is the kernel's, but not to its end
    with pytest.raises(OperationError, match="origin is suspended: its merge would never end; begin it with start"):
        guest.apply(parse_operation("settle origin"))
    replay(guest, "start 1 settle origin -> ok\nfinish 1 -> blocked\nresume origin -> ok\nfinish 1 -> ok")


def test_a_missing_kernel_is_said_in_a_line() -> None:
    with pytest.raises(Unavailable, match="user-mode-linux"):
        Guest(kernel="no-such-kernel")


def test_missing_modules_are_said_in_a_line(guest: Guest, tmp_path: Path) -> None:
    assert guest.capabilities.about.startswith("Linux ")
    with pytest.raises(Unavailable, match="no modules"):
        Guest(modules=tmp_path)


HOLDER = """
import sys
from snapmerge_adapters import Guest
guest = Guest()
print(guest._child.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_behind(guest: Guest, tmp_path: Path, number: signal.Signals) -> None:
    assert guest.capabilities.operations
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
    )
    with holder:
        assert holder.stdout is not None
        guest_processes = _below(int(holder.stdout.readline()))
        holder.send_signal(number)
        holder.wait(10)
    deadline = time.monotonic() + 10
    assert guest_processes
    while any(map(_lives, guest_processes)):
        assert time.monotonic() < deadline, "the guest outlived its owner"
    assert list(tmp_path.iterdir()) == []


def _stat(pid: str) -> tuple[str, str]:
    """A process's state and parent; an orphan's corpse may have to wait for process 1."""
    state, parent = Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[:2]
    return state, parent


def _lives(pid: str) -> bool:
    try:
        return _stat(pid)[0] != "Z"
    except OSError:
        return False


def _below(top: int) -> list[str]:
    """A process and all that descend from it."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parents[folder.name] = _stat(folder.name)[1]
    found = [str(top)]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


@pytest.mark.parametrize("name", ["a blank", "a'quote\"", "\u00e9t\u00e9", "long" * 60])
def test_any_temporary_folder_will_do(name: str, guest: Guest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert guest.capabilities.operations
    place = tmp_path / name
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    other = booted()
    other.close()
    assert other.capabilities.about == guest.capabilities.about
    assert list(place.iterdir()) == []


def test_an_ordinary_user_can_boot_it(guest: Guest) -> None:
    assert guest.capabilities.operations
    if os.geteuid() != 0:
        return  # then every test here shows it
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as packages:
        Path(folder).chmod(0o777)
        Path(packages).chmod(0o755)
        for module in (snapmerge, snapmerge_adapters, immutables, msgspec):  # the user may not be let into the checkout
            shutil.copytree(Path(str(module.__file__)).parent, Path(packages, module.__name__))
        script = "from snapmerge_adapters import Guest; g = Guest(); print(g.capabilities.about); g.close()"
        done = subprocess.run(
            ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "/usr/bin/env", "python3", "-c", script],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": packages, "TMPDIR": folder},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if "SyntaxError" in done.stderr or "ModuleNotFoundError" in done.stderr or "ermission" in done.stderr:
            pytest.skip(f"no Python that an ordinary user may run with these packages: {done.stderr[-200:]}")
        assert done.stdout.startswith("Linux "), done.stderr
        assert list(Path(folder).iterdir()) == []


def test_a_replay_meets_the_same_power_cuts() -> None:
    lines = ("disk d 64", "write d 0 64 #1", "crash", "read d 0 64")
    seen = []
    for seed in (4, 4, 5):
        try:
            guest = Guest(volatile=True, seed=seed)
        except Unavailable as error:
            pytest.skip(str(error))
        with contextlib.closing(guest):
            for _ in range(2):
                guest.apply(parse_operation("reset"))
                seen.append([print_outcome(guest.apply(parse_operation(line))) for line in lines][-1])
    assert seen[0] == seen[1] == seen[2] == seen[3]
    assert seen[4] == seen[5] != seen[0]
