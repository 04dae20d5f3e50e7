"""Whether a call that has not ended waits for another operation."""

from pathlib import Path

import pytest

from snapmerge_adapters.kernel.jobs import Poll, is_waiting


@pytest.mark.parametrize(
    ("state", "stack", "waits"),
    [
        ("D", "[<0>] io_schedule+0x1/0x2\n[<0>] blkdev_direct_IO+0x1/0x2", True),
        ("S", "[<0>] dm_wait_for_completion+0x1/0x2 [dm_mod]", True),
        ("R", "", False),
        ("D", "[<0>] synchronize_srcu+0x7d/0x85\n[<0>] __dm_suspend+0xce/0x1b6 [dm_mod]", False),
    ],
)
def test_a_task_waits_when_it_sleeps_for_more_than_a_grace_period(
    tmp_path: Path, state: str, stack: str, waits: bool
) -> None:
    (tmp_path / "stat").write_text(f"12 (a) name) {state} 1 1")
    (tmp_path / "stack").write_text(stack)
    assert is_waiting(tmp_path) is waits


def test_a_task_that_has_ended_is_not_waited_for(tmp_path: Path) -> None:
    assert is_waiting(tmp_path / "gone")


def test_a_question_is_asked_again_until_it_has_an_answer() -> None:
    answers: list[int | None] = [None, None, 7, 8]
    poll = Poll(lambda: answers.pop(0))
    assert not poll.ended(0)  # nothing was asked
    for left in (3, 2):
        poll.begin()
        assert not poll.ended(10)
        assert len(answers) == left
    with pytest.raises(ValueError, match="no answer"):
        poll.result()
    poll.begin()
    assert poll.ended(10)
    poll.begin()  # it has its answer
    assert poll.ended(10)
    assert poll.result() == 7
    assert poll.error() is None
