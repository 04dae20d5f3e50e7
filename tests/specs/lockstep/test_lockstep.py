"""The conformance suite, written once against the port: every adapter passes it."""

import itertools
import sys
from collections.abc import Iterator
from dataclasses import replace as replace_fields
from pathlib import Path
from random import Random

import pytest

from snapmerge import (
    Blocked,
    Budget,
    Capabilities,
    Data,
    Died,
    Disk,
    Divergence,
    Done,
    Failed,
    Implementation,
    Load,
    NotModelled,
    Operation,
    OperationError,
    Oracle,
    Outcome,
    Read,
    Reset,
    Resume,
    Sector,
    Sectors,
    Step,
    Suspend,
    Undecided,
    WouldBlock,
    operation_word,
    parse_operation,
    parse_trace,
    print_trace,
)
from snapmerge_adapters import Files, Guest, Memory, Process
from snapmerge_specs import Lockstep, VerdictError, check, judge, replay

TRACES = sorted((Path(__file__).parents[3] / "specs" / "traces").glob("*.trace"))
ADAPTERS = ("memory", "drawn", "file", "process", pytest.param("guest", marks=pytest.mark.kernel))


@pytest.fixture
def implementation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Implementation]:
    made: Implementation
    match request.param:
        case "memory":
            made = Memory()
        case "drawn":
            made = Memory(seed=11)
        case "file":
            made = Files(tmp_path)
        case "process":
            made = Process([sys.executable, "-m", "snapmerge_adapters", "serve", "--adapter", "memory"])
        case _:
            guest: Guest = request.getfixturevalue("guest")
            yield guest
            return
    yield made
    made.close()


def _possible(steps: tuple[Step, ...], can: Capabilities) -> bool:
    return all(operation_word(step.operation) in can.operations for step in steps)


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
@pytest.mark.parametrize("implementation", ADAPTERS, indirect=True)
def test_the_traces_play_as_recorded(implementation: Implementation, path: Path) -> None:
    steps = parse_trace(path.read_text())
    assert _possible(steps, implementation.capabilities)
    seen = [(step, verdict) for step, verdict in replay(steps, implementation)]
    assert [verdict for _, verdict in seen] == [None] * len(steps)
    for step, (got, _) in zip(steps, seen, strict=True):
        if step.outcome is not None:
            assert print_trace([got]) == print_trace([step])


@pytest.mark.parametrize("implementation", ADAPTERS, indirect=True)
def test_random_scenarios_agree(implementation: Implementation) -> None:
    class Kept:
        """The implementation, which is not the check's to close."""

        capabilities = implementation.capabilities

        def apply(self, operation: Operation) -> Outcome:
            return implementation.apply(operation)

        def close(self) -> None:
            implementation.apply(Reset())

    report = check(Kept, runs=20, seed=3, deadly_once_in=10**9)
    assert report.found is None, print_trace(report.found.trace)


@pytest.mark.parametrize("implementation", ADAPTERS, indirect=True)
def test_what_makes_no_sense_changes_nothing(implementation: Implementation) -> None:
    implementation.apply(Reset())
    implementation.apply(Disk("base", Sectors(8)))
    for nonsense in (
        "read base 4 8",
        "read nothing 0 1",
        "write base 8 1 #1",
        "finish 1",
        "disk base 8",
        "heal nothing",
    ):
        with pytest.raises(OperationError):
            implementation.apply(parse_operation(nonsense))
    assert implementation.apply(Read("base", Sector(0), Sectors(8))) == Data((0,) * 8)


@pytest.mark.parametrize("implementation", ADAPTERS, indirect=True)
def test_what_can_not_end_waits_for_its_time(implementation: Implementation) -> None:
    text = 'disk base 8\ncreate d "0 8 linear base 0"\nsuspend d\nstart 1 write d 0 8 #5\nfinish 1\nresume d\nfinish 1'
    implementation.apply(Reset())
    seen = [implementation.apply(step.operation) for step in parse_trace(text)]
    assert seen == [Done(), Done(), Done(), Done(), Blocked(), Done(), Done()]
    assert implementation.apply(Read("base", Sector(0), Sectors(8))) == Data(tuple(range(5, 13)))


@pytest.mark.parametrize("implementation", ADAPTERS, indirect=True)
def test_reset_forgets_what_is_suspended_and_blocked(implementation: Implementation) -> None:
    text = 'disk base 8\ncreate d "0 8 linear base 0"\nsuspend d\nstart 1 read d 0 8\nreset\nstatus d'
    seen = [implementation.apply(step.operation) for step in parse_trace(text)]
    assert seen[-2:] == [Done(), Failed("ENXIO")]


def test_a_disagreement_carries_the_trace_and_the_verdict() -> None:
    class Liar(Memory):
        def apply(self, operation: Operation) -> Outcome:
            return Data((7,)) if isinstance(operation, Read) else super().apply(operation)

    lockstep = Lockstep(Liar())
    lockstep.do(Disk("base", Sectors(1)))
    with pytest.raises(VerdictError) as caught:
        lockstep.do(Read("base", Sector(0), Sectors(1)))
    assert print_trace(caught.value.trace) == "disk base 1 -> ok\nread base 0 1 -> #7\n"
    assert isinstance(caught.value.verdict, Divergence)
    assert caught.value.verdict.allowed == (Data((0,)),)


def test_neither_side_does_what_would_block() -> None:
    lockstep = Lockstep(Memory())
    for step in parse_trace('disk base 8\ncreate d "0 8 linear base 0"\nsuspend d'):
        lockstep.do(step.operation)
    with pytest.raises(WouldBlock):
        lockstep.do(Read("d", Sector(0), Sectors(1)))
    assert len(lockstep.steps) == 3


def test_judging_stops_at_the_first_outcome_that_is_not_allowed() -> None:
    text = "disk base 2 -> ok\nread base 0 2\nread base 0 1 -> #9\nread base 0 1 -> #0\n"
    judged = list(judge(parse_trace(text)))
    assert [verdict is None for _, verdict in judged] == [True, True, False]
    assert judged[1][0].outcome is None


class Generous(Memory):
    """Takes every table of one target, and says that it has some."""

    def __init__(self, target: str, has: str) -> None:
        super().__init__()
        self._target, self._has = target, has

    @property
    def capabilities(self) -> Capabilities:
        return replace_fields(super().capabilities, targets=frozenset({self._has}))

    def apply(self, operation: Operation) -> Outcome:
        taken = isinstance(operation, Load) and f" {self._target} " in operation.table
        return Done() if taken else super().apply(operation)


@pytest.mark.spec("ORACLE-20")
@pytest.mark.parametrize(("target", "has"), [("striped", "linear"), ("own", "own")])
def test_what_an_implementation_has_beyond_the_model_is_not_modelled(target: str, has: str) -> None:
    lockstep = Lockstep(Generous(target, has))
    lockstep.do(parse_operation("create x"))
    with pytest.raises(NotModelled, match=target):
        lockstep.do(parse_operation(f'load x "0 8 {target} base"'))


@pytest.mark.spec("ORACLE-20")
def test_a_target_that_neither_a_kernel_nor_the_implementation_has_must_be_refused() -> None:
    lockstep = Lockstep(Generous("own", "linear"))
    lockstep.do(parse_operation("create x"))
    with pytest.raises(VerdictError) as caught:
        lockstep.do(parse_operation('load x "0 8 own base"'))
    assert isinstance(caught.value.verdict, Divergence)
    assert caught.value.verdict.allowed == (Failed("EINVAL", "own: unknown target type"),)


def test_a_check_finds_what_takes_any_target_and_stops_at_what_is_not_modelled() -> None:
    assert check(lambda: Generous("snapshots", "snapshot-origin"), runs=600, seed=0).found is not None
    with pytest.raises(NotModelled, match="snapshots"):
        check(lambda: Generous("snapshots", "snapshots"), runs=600, seed=0)


@pytest.mark.spec("ORACLE-20")
def test_a_table_whose_outcome_was_not_recorded_is_taken_for_refused_only_if_no_kernel_has_the_target() -> None:
    with pytest.raises(NotModelled, match="raid"):
        list(judge(parse_trace('create x "0 8 raid"')))
    assert all(verdict is None for _, verdict in judge(parse_trace('create x "0 8 own"')))


@pytest.mark.spec("ORACLE-13")
@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_what_was_not_recorded_constrains_nothing(path: Path) -> None:
    steps = parse_trace(path.read_text())
    random = Random(path.stem)
    for share in (1 / len(steps), 0.1, 0.5, 1):
        some = [Step(step.operation, None) if random.random() < share else step for step in steps]
        assert not any(isinstance(verdict, Divergence) for _, verdict in judge(some, budget=Budget(work=2_000)))


@pytest.mark.spec("ORACLE-13")
def test_an_outcome_after_a_power_cut_that_was_not_recorded_is_not_assumed() -> None:
    text = "disk cow 8\nwrite cow 0 1 #7 -> ok\ncrash -> ok\nmetadata cow\nmetadata cow -> {}\nread cow 0 1 -> {}"
    for outcomes in (("foreign", "#7"), ("new", "#0")):
        assert [verdict for _, verdict in judge(parse_trace(text.format(*outcomes)))] == [None] * 6
    last = [verdict for _, verdict in judge(parse_trace(text.format("new", "#7")))][-1]
    assert isinstance(last, Divergence)


class _Wrong(Memory):
    """Reads of it never show what was written.  ``time`` goes by 3 s when it is looked at, once something was read."""

    def __init__(self) -> None:
        super().__init__()
        self._times: Iterator[int] = itertools.repeat(0)

    def time(self) -> float:
        return next(self._times)

    def apply(self, operation: Operation) -> Outcome:
        outcome = super().apply(operation)
        if not isinstance(operation, Read):
            return outcome
        self._times = itertools.count(0, 3)
        return Data((99,))


@pytest.mark.spec("ORACLE-6")
def test_a_replay_gives_up_when_its_time_is_over() -> None:
    steps = parse_trace('disk base 8\ndisk cow 32\ncreate s "0 8 snapshot base cow P 8"\nwrite s 1 1 #99\nread s 0 1')
    *_, (_, verdict) = replay(steps, _Wrong())
    assert isinstance(verdict, Divergence)
    wrong = _Wrong()
    *_, (step, verdict) = replay(steps, wrong, budget=Budget(seconds=2, clock=wrong.time))
    assert step == Step(steps[-1].operation, Data((99,)))
    assert isinstance(verdict, Undecided)


HELD = """
disk base 8
disk cow 32
create lower "0 8 linear base 0"
create origin "0 8 snapshot-origin lower"
create snap "0 8 snapshot lower cow P 4"
start 1 write origin 0 4 #1
suspend lower
"""


class _Blocks(Memory):
    """It says of no suspend that it ends, but of the first."""

    def apply(self, operation: Operation) -> Outcome:
        if operation == Suspend("origin"):
            raise WouldBlock("it would block for ever")
        return super().apply(operation)


@pytest.mark.spec("WORLD-13")
@pytest.mark.parametrize(("lines", "may"), [(HELD, True), (HELD.replace("suspend lower", ""), False)])
def test_what_some_schedule_has_block_may_be_refused(lines: str, *, may: bool) -> None:
    lockstep = Lockstep(_Blocks())
    for step in parse_trace(lines):
        lockstep.do(step.operation)
    before = list(lockstep.steps)
    with pytest.raises(WouldBlock if may else VerdictError):
        lockstep.do(Suspend("origin"))
    assert lockstep.steps[: len(before)] == before
    assert (len(lockstep.steps) == len(before)) == may
    lockstep.do(Resume("lower"))


class Hanging(Memory):
    """Hangs in a suspend."""

    def apply(self, operation: Operation) -> Outcome:
        return Died("hang: it has not ended") if isinstance(operation, Suspend) else super().apply(operation)


@pytest.mark.parametrize(("may", "verdict"), [(True, Undecided), (False, Divergence)])
def test_a_hang_is_a_divergence_unless_some_schedule_blocks_the_operation(
    may: bool, verdict: type[Undecided | Divergence]
) -> None:
    class Knowing(Oracle):
        def may_block(self, _operation: Operation) -> bool:
            return may

    lockstep = Lockstep(Hanging(), make_oracle=Knowing)
    for text in ("disk base 8", 'create d "0 8 linear base 0"'):
        lockstep.do(parse_operation(text))
    with pytest.raises(VerdictError) as raised:
        lockstep.do(parse_operation("suspend d"))
    assert isinstance(raised.value.verdict, verdict)
