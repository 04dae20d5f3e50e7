"""The check: agrees with what agrees, finds and shrinks what does not, and reaches everything."""

import re
from dataclasses import replace
from functools import partial

import pytest

from snapmerge import (
    MAINLINE,
    Blocked,
    Capabilities,
    Died,
    Disk,
    Operation,
    OperationError,
    Outcome,
    Reset,
    Status,
    Step,
    WouldBlock,
    Write,
    print_operation,
)
from snapmerge.machine.snapshot.rules import SnapshotRules
from snapmerge.machine.snapshot.state import SnapshotTarget
from snapmerge.machine.snapshot.status import snapshot_status
from snapmerge_adapters import Memory
from snapmerge_specs import DEFECTS, REACHED_NAMES, check


def _off_by_one(snap: SnapshotTarget, total: int) -> str:
    return snapshot_status(snap, total + 1)


class Mortal(Memory):
    """Dies when it is asked for a status the third time."""

    asked = 0

    def apply(self, operation: Operation) -> Outcome:
        if isinstance(operation, Status):
            Mortal.asked += 1
            if Mortal.asked == 3:
                return Died("it was too much")
        return super().apply(operation)


def test_the_model_agrees_with_itself_in_any_schedule() -> None:
    report = check(lambda: Memory(seed=7), runs=20, seed=1)
    assert report.found is None
    assert report.runs == 20
    assert len(report.undecided) <= 4  # a search that is given up claims nothing; most must come to an end


def test_the_scenarios_reach_everything_that_matters() -> None:
    reached: set[str] = set()
    for seed in range(12):
        reached |= {name for name, _ in check(Memory, runs=150, seed=seed).reached}
        if reached == set(REACHED_NAMES):
            return
    assert reached == set(REACHED_NAMES)


def test_a_divergence_is_found_and_shrunk() -> None:
    report = check(lambda: Memory(rules=MAINLINE.changed(SnapshotRules, status=_off_by_one)), runs=100, seed=0)
    assert report.found is not None
    assert report.found.known is None
    lines = [print_operation(step.operation) for step in report.found.trace]
    assert lines[-1].startswith("status")
    assert len(lines) <= 6
    assert all(number in "0123" for line in lines for number in re.findall(r"\b\d+\b", line))


def test_the_same_seed_makes_the_same_scenarios() -> None:
    one, other = (check(Memory, runs=20, seed=5) for _ in range(2))
    assert (one.kinds, one.reached) == (other.kinds, other.reached)


def test_progress_is_told_of_every_scenario() -> None:
    heard: list[tuple[int, int]] = []
    check(Memory, runs=10, seed=0, progress=lambda done, of: heard.append((done, of)))
    assert [done for done, _ in heard] == list(range(1, len(heard) + 1))


def test_an_implementation_that_dies_is_a_divergence_and_is_made_anew() -> None:
    Mortal.asked = 0
    made: list[Mortal] = []

    def make() -> Mortal:
        made.append(Mortal())
        return made[-1]

    report = check(make, runs=20, seed=0)
    assert report.found is not None
    assert len(made) > 1


class Sticky(Memory):
    """Can't be reset any more after a write; with ``always`` not even when it is new."""

    always = False
    written = False

    def apply(self, operation: Operation) -> Outcome:
        if isinstance(operation, Reset) and (self.written or self.always):
            return Died("it sticks")
        self.written = self.written or isinstance(operation, Write)
        return super().apply(operation)


def test_a_death_in_the_reset_between_two_scenarios_is_shrunk() -> None:
    report = check(Sticky, runs=10, seed=0)
    assert report.found is not None
    assert [type(step.operation) for step in report.found.trace] == [Disk, Write, Reset]
    assert report.found.divergence.step == Step(Reset(), Died("it sticks"))


def test_what_can_never_be_reset_is_a_divergence() -> None:
    class Stuck(Sticky):
        always = True

    report = check(Stuck, runs=10, seed=0)
    assert report.found is not None
    assert [step.operation for step in report.found.trace] == [Reset()]


class Small(Memory):
    """Has disks of ``most`` sectors together, and refuses any that are larger."""

    most = 8

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, sectors_max=self.most)


@pytest.mark.parametrize("most", [*range(8, 24), 64, 100, 150])
def test_disks_are_as_small_as_the_implementation_wants_them(most: int) -> None:
    class Smaller(Small):
        pass

    Smaller.most = most
    report = check(Smaller, runs=12, seed=most)
    assert (report.found, report.runs) == (None, 12)
    assert dict(report.kinds)["write"] > 0


@pytest.mark.parametrize("most", [7, 0, -1])
def test_too_few_sectors_for_any_disk_are_said_so(most: int) -> None:
    class Smaller(Small):
        pass

    Smaller.most = most
    with pytest.raises(OperationError, match=f"at most {most} sectors together; a check needs 8"):
        check(Smaller)


@pytest.mark.parametrize("name", ["ignores readers", "keeps queue"])
def test_random_scenarios_meet_a_defect(name: str) -> None:
    # The benchmark "defects" has the figures of all; these need a schedule, or a look, that is rare by chance.
    rules = next(defect.rules for defect in DEFECTS if defect.name == name)
    for seed in range(150):
        make = partial(Memory, seed=seed, rules=rules)
        if check(make, runs=1, steps=10, seed=seed, shrink_tries=0).found is not None:
            return
    pytest.fail("150 scenarios do not meet it")


def test_an_implementation_that_blocks_where_the_model_ends_is_a_divergence() -> None:
    class Stuck(Memory):
        def apply(self, operation: Operation) -> Outcome:
            if isinstance(operation, Status):
                raise WouldBlock("it waits for what never comes")
            return super().apply(operation)

    report = check(Stuck, runs=50, seed=0)
    assert report.found is not None
    assert report.found.trace[-1].outcome == Blocked()


def test_shrinking_is_bounded_by_tries_and_by_the_clock() -> None:
    heard: list[tuple[int, int]] = []
    clock = iter(range(10_000))
    report = check(
        lambda: Memory(rules=MAINLINE.changed(SnapshotRules, status=_off_by_one)),
        runs=100,
        shrinking=lambda *now: heard.append(now),
        shrink_seconds=5,
        clock=lambda: float(next(clock)),
    )
    assert report.found is not None
    assert [tries for tries, _ in heard] == [1, 2, 3, 4]
