"""The check: agrees with what agrees, finds and shrinks what does not, and reaches everything."""

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from snapmerge import (
    MAINLINE,
    Blocked,
    Budget,
    Capabilities,
    Crash,
    Died,
    Disk,
    Divergence,
    Implementation,
    Line,
    Operation,
    OperationError,
    Oracle,
    Outcome,
    Remove,
    Reset,
    Status,
    Step,
    WouldBlock,
    Write,
    parse_trace,
    print_operation,
    print_trace,
)
from snapmerge.machine.snapshot.rules import SnapshotRules
from snapmerge.machine.snapshot.state import SnapshotTarget
from snapmerge.machine.snapshot.status import snapshot_status
from snapmerge_adapters import Memory, Process
from snapmerge_specs import DEFECTS, FINDINGS, REACHED_NAMES, Report, broken_promise, check, judge


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
    report = check(lambda: Memory(rules=MAINLINE.changed(SnapshotRules, status=_off_by_one)), runs=100, steps=5, seed=0)
    assert report.found is not None
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

    report = check(make, runs=20, seed=0, shrink_tries=3)  # it dies by count, so nothing can be left out
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


@pytest.mark.parametrize("name", ["copies at once", "keeps queue"])
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
        steps=5,
        shrinking=lambda *now: heard.append(now),
        shrink_seconds=5,
        clock=lambda: float(next(clock)),
    )
    assert report.found is not None
    assert [tries for tries, _ in heard] == [1, 2, 3, 4]


# --- what a user may count on ------------------------------------------------------------------------------------

MERGER = Path(__file__).parents[2] / "adapters" / "protocol" / "merger.py"


def _asked(make: Callable[[], Implementation], *, runs: int, seed: int, tries: int = 0) -> Report:
    """A check that asks for promises, and in which the oracle does not search for long."""
    oracle = partial(Oracle, budget=Budget(work=500))
    return check(make, runs=runs, seed=seed, promises=True, make_oracle=oracle, shrink_tries=tries)


def _merger(*how: str) -> Callable[[], Implementation]:
    return lambda: Process([sys.executable, "-I", "-S", str(MERGER), *how])


def _steps(seen: str, *how: str) -> tuple[Step, ...]:
    """What the merger answers to the operations of a trace."""
    program = _merger(*how)()
    try:
        return tuple(Step(step.operation, program.apply(step.operation)) for step in parse_trace(seen))
    finally:
        program.close()


def _merge(*writes: int) -> str:
    """A snapshot with exceptions of these sectors, in this order, and its merge beside another snapshot."""
    lines = ["disk base 4", "disk cow0 8", "disk cow1 8", "write base 0 4 #1", "flush base"]
    lines += [f'create snap{i} "0 4 snapshot base cow{i} P 1"' for i in (0, 1)]
    lines += [f"write snap1 {sector} 1 #1{sector}" for sector in writes]
    return "\n".join([*lines, "flush snap1", "remove snap1", 'create origin "0 4 snapshot-merge base cow1 P 1"\n'])


@pytest.mark.parametrize(
    ("how", "trace", "differs"),
    [
        ("runs", f"{_merge(0, 2)}metadata cow0\n", False),
        ("areas", f"{_merge(0, 2)}metadata cow0\n", True),  # both are saved before one is copied
        ("runs", f"{_merge(0, 1)}metadata cow0\n", False),
        ("records", f"{_merge(0, 1)}metadata cow0\n", True),  # one is saved where both are copied together
    ],
)
def test_a_merger_is_like_linux_if_it_clears_records_as_the_kernel_does(how: str, trace: str, *, differs: bool) -> None:
    verdicts = [verdict for _, verdict in judge(_steps(trace, how))]
    assert isinstance(verdicts[-1], Divergence) == differs
    assert broken_promise(_steps(trace, how)) is None


def test_a_merger_that_clears_records_as_the_kernel_does_agrees_in_scenarios() -> None:
    report = _asked(_merger("runs"), runs=12, seed=1)
    assert (report.found, report.runs) == (None, 12)
    assert report.kept is not None
    assert (report.kept.diverged, report.kept.broken) == (False, None)
    assert dict(report.reached)["power cut"] > 1


@pytest.mark.spec("PROMISE-9")
@pytest.mark.parametrize("how", ["areas", "records"])
def test_a_merger_that_is_safe_and_unlike_linux_keeps_its_promises(how: str) -> None:
    report = _asked(_merger(how), runs=25, seed=1)
    assert report.runs == 25
    assert report.kept is not None
    assert report.kept.broken is None
    assert dict(report.kept.compared)["merge after a power cut"] > 1


@pytest.mark.spec("PROMISE-9")
def test_a_merger_that_leaves_out_the_flush_breaks_a_promise_and_the_trace_is_shrunk() -> None:
    report = _asked(_merger("runs", "careless"), runs=100, seed=1, tries=300)
    assert report.kept is not None
    broken = report.kept.broken
    assert broken is not None
    assert broken.promise.statement == "MERGE-7"
    assert len(broken.trace) <= 12
    assert any(isinstance(step.operation, Crash) for step in broken.trace)
    assert broken_promise(broken.trace) == broken.promise


@pytest.mark.spec("PROMISE-9")
def test_a_divergence_that_is_shrunk_to_a_broken_promise_is_one() -> None:
    report = _asked(_merger("runs", "flushless"), runs=10, seed=1, tries=100)
    assert report.kept is not None
    assert report.kept.broken is not None
    assert report.found is None
    trace = report.kept.broken.trace
    assert broken_promise(trace) == report.kept.broken.promise
    assert broken_promise(_steps(print_trace(trace), "runs", "flushless")) == report.kept.broken.promise


def test_a_known_finding_is_not_a_broken_promise_of_its_own() -> None:
    name = "merge-repeats-cleared-records"
    rules = next(finding.rules for finding in FINDINGS if finding.name == name)
    for seed in range(1, 20):
        report = _asked(lambda: Memory(rules=rules), runs=10, seed=seed)
        assert report.kept is not None
        assert report.kept.broken is None
        if report.known:
            assert [(one.name, one.statement) for one in report.known] == [(name, "MERGE-17")]
            return
    pytest.fail("no scenario meets it")


def test_what_dies_is_shrunk_by_that() -> None:
    report = _asked(Fragile, runs=30, seed=0, tries=300)
    assert report.kept is not None
    assert report.kept.broken is not None
    assert report.kept.broken.promise.statement == "PROMISE-6"
    assert [type(step.operation) for step in report.kept.broken.trace] == [Remove]


class Fragile(Memory):
    """Dies of the removal of a snapshot."""

    def apply(self, operation: Operation) -> Outcome:
        if isinstance(operation, Remove) and operation.device.startswith("snap"):
            return Died("it is gone")
        return super().apply(operation)


class Wordy(Memory):
    """Has a status line of its own, so that no oracle follows it."""

    def apply(self, operation: Operation) -> Outcome:
        outcome = super().apply(operation)
        return Line("0 8 mine") if isinstance(operation, Status) else outcome


def test_what_is_unlike_linux_is_followed_through_every_scenario() -> None:
    report = _asked(Wordy, runs=25, seed=0)
    kept, reached = report.kept, dict(report.reached)
    assert report.found is not None
    assert report.runs == 25
    assert kept is not None
    assert (kept.diverged, kept.broken) == (True, None)
    assert reached["merge finished"] > 3
    assert reached["power cut"] > 5
    assert dict(kept.compared)["snapshot after a power cut"] > 5
