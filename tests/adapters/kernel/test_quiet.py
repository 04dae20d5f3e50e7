import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from snapmerge_adapters.kernel.quiet import Quiet


class Proc:
    """Files as in /proc of a kernel with one processor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        (path / "self/task").mkdir(parents=True)
        self.load("1")

    def load(self, running: str, newest: int = 7) -> None:
        (self.path / "loadavg").write_text(f"0.00 0.01 0.05 {running}/40 {newest}\n")

    def task(
        self, number: int, *, state: str = "D", stack: str = "msleep+0x1/0x2", slept: int = 1, comm: str = "kworker/0:1"
    ) -> None:
        folder = self.path / str(number)
        folder.mkdir(exist_ok=True)
        (folder / "comm").write_text(f"{comm}\n")
        (folder / "stat").write_text(f"{number} (kworker) {state} 2 0\n")
        (folder / "stack").write_text(f"[<0>] {stack}\n")
        (folder / "status").write_text(f"Name:\tkworker\nvoluntary_ctxt_switches:\t{slept}\nx:\t1\n")


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


@pytest.fixture
def looking(proc: Proc) -> Iterator[Callable[..., Quiet]]:
    made: list[Quiet] = []

    def make(patience: float = 20.0) -> Quiet:
        made.append(Quiet(str(proc.path), patience=patience))
        return made[-1]

    yield make
    for one in made:
        one.close()


@contextmanager
def waited_for(quiet: Quiet, meanwhile: Callable[[], None] = lambda: None) -> Iterator[None]:
    """What is done in the block is waited for, and what is done ``meanwhile`` does not suffice."""
    waiting = threading.Thread(target=quiet.wait)
    waiting.start()
    meanwhile()
    waiting.join(0.1)
    assert waiting.is_alive()
    yield
    waiting.join(10)
    assert not waiting.is_alive()


def test_it_is_quiet_when_one_task_runs(looking: Callable[..., Quiet]) -> None:
    looking().wait()


@pytest.mark.spec("CONTROL-1")
def test_while_another_task_can_run_it_is_not_quiet(proc: Proc, looking: Callable[..., Quiet]) -> None:
    proc.load("2")
    with pytest.raises(TimeoutError, match=r"something to do for more than 0\.05 s"):
        looking(0.05).wait()


@pytest.mark.spec("CONTROL-1")
@pytest.mark.parametrize("sleep", ["msleep", "usleep_range_state"])
def test_a_task_that_sleeps_has_looked_once_more(proc: Proc, looking: Callable[..., Quiet], sleep: str) -> None:
    """It is waited for until it has slept again."""
    proc.task(12, stack=f"{sleep}+0x1/0x2")
    with waited_for(looking()):
        proc.task(12, slept=2)


def test_a_task_that_waits_for_something_else_is_not_waited_for(proc: Proc, looking: Callable[..., Quiet]) -> None:
    proc.task(12, stack="io_schedule+0x1/0x2")
    proc.task(13, state="S")
    looking().wait()


def test_a_new_task_is_noticed(proc: Proc, looking: Callable[..., Quiet]) -> None:
    quiet = looking()
    quiet.wait()
    proc.task(14)
    proc.load("1", newest=14)
    with waited_for(quiet):
        proc.task(14, slept=2)


def test_a_grace_period_is_waited_for_to_its_end(proc: Proc, looking: Callable[..., Quiet]) -> None:
    proc.task(12, stack="synchronize_srcu+0x1/0x2")
    quiet = looking()
    with waited_for(quiet, meanwhile=lambda: proc.task(12, stack="synchronize_srcu+0x1/0x2", slept=2)):
        proc.task(12, stack="dm_wait_for_completion+0x1/0x2", slept=2)


def test_a_thread_that_has_no_name_yet_is_looked_at_again(proc: Proc, looking: Callable[..., Quiet]) -> None:
    proc.task(2, comm="kthreadd", state="S")
    proc.task(14, comm="kthreadd", state="R")
    quiet = looking()
    quiet.wait()
    proc.task(14)
    with waited_for(quiet):
        proc.task(14, slept=2)
