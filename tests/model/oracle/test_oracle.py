import functools
import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.model._mutants import mutated
from tests.model._play import THREE_RUNS, play, setup, verdict

import snapmerge as sm
from snapmerge.format.exceptions import pairs
from snapmerge.format.layout import is_metadata
from snapmerge.format.store import Persistent
from snapmerge.machine.snapshot.state import SnapshotTarget
from snapmerge.records import replace
from snapmerge.trace.kinds import possible

SPECS = Path(__file__).resolve().parents[3] / "specs"
TRACES = sorted((*SPECS.glob("traces/*.trace"), *SPECS.glob("findings/*.trace")))


@pytest.mark.parametrize("path", TRACES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_model_agrees_to_what_is_recorded(path: Path) -> None:
    assert verdict(path.read_text()) is None
    if "crash" not in path.read_text():
        play(path.read_text())


def test_there_are_traces_and_findings() -> None:
    assert {path.parent.name for path in TRACES} == {"traces", "findings"}


# --- what is allowed ---


def statuses(*allocated: int) -> str:
    lines = (f'status origin -> "0 32 snapshot-merge {sectors}/104 16"' for sectors in allocated)
    return THREE_RUNS + "\n".join(lines)


@pytest.mark.spec("ORACLE-1")
@pytest.mark.spec("ORACLE-8")
@pytest.mark.parametrize("seen", [(40, 32, 24, 16), (40, 40, 24), (16, 16), (40, 16), (24,), (32, 16)])
def test_progress_may_be_seen_behind_any_run(seen: tuple[int, ...]) -> None:
    assert verdict(statuses(*seen)) is None


@pytest.mark.spec("ORACLE-1")
@pytest.mark.spec("ORACLE-5")
@pytest.mark.spec("ORACLE-8")
def test_progress_never_goes_back() -> None:
    found = verdict(statuses(24, 40))
    assert isinstance(found, sm.Divergence)
    assert {sm.print_outcome(outcome) for outcome in found.allowed} == {
        f'"0 32 snapshot-merge {sectors}/104 16"' for sectors in (24, 16)
    }


@pytest.mark.spec("ORACLE-8")
def test_a_run_is_merged_as_a_whole_or_not_at_all() -> None:
    two_chunks = setup() + "write snap 8 16 #1\nremove snap\nremove origin\n"
    merge = two_chunks + 'create merge "0 32 snapshot-merge base cow P 8" -> ok\nstatus merge -> '
    assert verdict(merge + '"0 32 snapshot-merge 32/104 16"') is None
    assert isinstance(verdict(merge + '"0 32 snapshot-merge 24/104 16"'), sm.Divergence)


@pytest.mark.spec("ORACLE-9")
def test_a_write_that_overflows_half_way_leaves_one_of_several_stores() -> None:
    text = setup(cow=32) + "write snap 4 24 #1 -> error EIO\nmetadata cow -> store valid=0 version=1 chunk_size=8{}\n"
    for records in ("", " 0>2", " 0>2 1>3"):
        assert verdict(text.format(records)) is None
    assert isinstance(verdict(text.format(" 1>3")), sm.Divergence)
    read = "read cow 16 8 -> {}"
    assert verdict(text.format("") + read.format("#1000+8")) is None  # the copy, and not yet the write behind it
    assert verdict(text.format(" 0>2 1>3") + read.format("#1000+4 #1+4")) is None


LINEAR = """
disk pv 47
create real "0 23 linear pv 8"
create cow0 "0 10 linear pv 31"
create cow1 "0 6 linear pv 41"
write real 0 23 #1
create org "0 23 snapshot-origin real"
create s0 "0 23 snapshot real cow0 P 2"
create s1 "0 23 snapshot real cow1 P 2"
suspend org
resume org
write s1 11 4 #24 -> error EIO
write org 13 2 #28 -> ok
write s0 0 4 #30 -> error EIO
read pv 8 39 -> #1+13 #28+2 #16+8 ~ed73eacfad26bca6 #0 ~e1f0f318d42ccf78 #0 #13+4 #30+2 ~ed73eacfad26bca6 #0 {}
"""
"""What fills the chunks of a snapshot goes through linear devices; the store overflows before it is committed."""


@pytest.mark.spec("ORACLE-9")
def test_a_write_through_linear_devices_that_overflows_has_several_outcomes() -> None:
    assert verdict(LINEAR.format("~20f44ad251ed3378 #0 #11+2")) is None
    assert isinstance(verdict(LINEAR.format("~20f44ad251ed3378 #0 #99+2")), sm.Divergence)


@pytest.mark.spec("ORACLE-5")
def test_a_divergence_is_not_noted() -> None:
    oracle = sm.Oracle()
    for step in sm.parse_trace(setup()):
        assert oracle.observe(step.operation, oracle.expect(step.operation)) is None
    read = sm.parse_operation("read snap 0 2")
    found = oracle.observe(read, sm.Data((1000, 7)))
    assert found == sm.Divergence(sm.Step(read, sm.Data((1000, 7))), (sm.Data((1000, 1001)),))
    assert oracle.observe(read, sm.Data((1000, 1001))) is None


MUTANTS_STEP = 9
"""Of so many mutants one is judged: all take a minute and a half."""


def _judged(steps: list[sm.Step]) -> str:
    oracle = sm.Oracle(budget=sm.Budget(work=5_000))
    for step in steps:
        found = oracle.observe(step.operation, step.outcome)
        if found is not None:
            return "diverged" if isinstance(found, sm.Divergence) else "undecided"
    return "allowed"


@pytest.mark.spec("ORACLE-1")
@pytest.mark.parametrize("path", sorted(SPECS.glob("traces/*.trace")), ids=lambda path: path.stem)
def test_an_outcome_that_is_slightly_wrong_is_a_divergence(path: Path) -> None:
    steps = list(sm.parse_trace(path.read_text()))
    missed = {}
    for at, outcome in itertools.islice(mutated(steps), 0, None, MUTANTS_STEP):
        mutant = sm.Step(steps[at].operation, outcome)
        judged = _judged([*steps[:at], mutant, *steps[at + 1 :]])
        if judged != "diverged":
            missed[sm.print_trace([mutant]).strip()] = judged
    assert missed == {}


LONG = 200
"""Exceptions that do not lie beside each other."""


def ten_statuses(long: int, oracle: sm.Oracle) -> None:
    """Ten statuses, which are allowed, while that many exceptions merge that do not lie beside each other."""
    lines = [f"disk base {2 * long}", f"disk cow {long + long // 16 + 50}"]
    lines += [f'create s "0 {2 * long} snapshot base cow P 1"', *(f"write s {2 * i} 1 #{i + 1}" for i in range(long))]
    lines += ["remove s", f'create m "0 {2 * long} snapshot-merge base cow P 1"']
    for operation in map(sm.parse_operation, lines):
        oracle.observe(operation, oracle.expect(operation))
    status = sm.Status("m")
    places, world = [], oracle.world
    while world.flights:
        world = sm.advance(world)
        places.append(sm.operate(sm.Session(replace(world, flights=type(world.flights)())), status)[0])
    for place in places[:: len(places) // 10]:
        assert isinstance(place, sm.Line)
        assert oracle.observe(status, place) is None


@pytest.mark.spec("ORACLE-8")
def test_many_statuses_of_a_long_merge_cost_no_search() -> None:
    work = []
    for long in (LONG, 2 * LONG):
        ticks = itertools.count()
        oracle = sm.Oracle(budget=sm.Budget(clock=functools.partial(next, ticks)))
        ten_statuses(long, oracle)
        assert oracle.worlds == 0
        work.append(next(ticks))
    assert work[0] < 40 * LONG
    assert work[1] < 2.2 * work[0]


@pytest.mark.spec("ORACLE-7")
def test_what_the_canonical_schedule_explains_costs_no_search() -> None:
    oracle = sm.Oracle()
    for step in sm.parse_trace(THREE_RUNS + "settle origin\nread base 0 32"):
        assert oracle.observe(step.operation, oracle.expect(step.operation)) is None
    assert oracle.worlds == 0


@pytest.mark.spec("ORACLE-10")
@pytest.mark.parametrize(
    ("outcome", "agrees"),
    [
        ("error EINVAL", True),
        ('error EINVAL "snapshot: requires 4 or more arguments"', True),
        ('error EINVAL "snapshot: something else"', False),
        ("error ENOMEM", False),
        ("ok", False),
    ],
)
def test_texts_count_where_there_are_two(outcome: str, agrees: bool) -> None:
    text = f'disk base 8\ncreate dev\nload dev "0 8 snapshot base" -> {outcome}'
    assert (verdict(text) is None) == agrees


@pytest.mark.spec("ORACLE-10")
@pytest.mark.parametrize(
    "line",
    [
        "write x 0 1 #1 -> error EIO{}",
        "start 1 write x 0 1 #1\nfinish 1 -> error EIO{}",
        "read x 0 1\nmetadata x -> new\nstatus y -> error ENXIO{}",
    ],
)
def test_only_tables_and_messages_have_texts(line: str) -> None:
    text = f"disk x 8\nfault x write 0 1\n{line}"
    assert verdict(text.format("")) is None
    found = verdict(text.format(' "nonsense"'))
    assert isinstance(found, sm.Divergence)
    assert found.allowed == (sm.parse_trace(text.format(""))[-1].outcome,)
    assert verdict(f'{text.format("")}\nstart 2 load y "0 8 linear"\nfinish 2 -> error ENXIO "any"') is None


@pytest.mark.spec("ORACLE-11")
@pytest.mark.parametrize("outcome", ["error ENODEV", "error ENOENT"])
def test_a_missing_device_is_either_of_two_errors(outcome: str) -> None:
    assert verdict(f'create dev\nload dev "0 8 linear nobody 0" -> {outcome}') is None


@pytest.mark.spec("ORACLE-11")
def test_a_message_to_a_device_without_a_table_may_be_taken() -> None:
    text = 'disk d 8\ncreate dev\nmessage dev "x" -> {}\nload dev "0 8 linear d 0"\nresume dev\nmessage dev "x" -> {}'
    assert verdict(text.format("ok", "error EINVAL")) is None
    assert verdict(text.format("error EINVAL", "error EINVAL")) is None
    assert isinstance(verdict(text.format("ok", "ok")), sm.Divergence)


@pytest.mark.spec("ORACLE-1")
@pytest.mark.spec("ORACLE-3")
@pytest.mark.parametrize("ask", ["metadata cow -> {}", "start 1 metadata cow\nfinish 1 -> {}"])
def test_what_a_store_was_seen_as_is_what_its_sectors_are(ask: str) -> None:
    text = "disk cow 8\nwrite cow 0 1 #7\ncrash\n" + ask + "\nread cow 0 1 -> {}"
    assert verdict(text.format("foreign", "#7")) is None
    assert verdict(text.format("new", "#0")) is None
    assert isinstance(verdict(text.format("foreign", "#0")), sm.Divergence)
    assert isinstance(verdict(text.format("new", "#7")), sm.Divergence)


@pytest.mark.spec("ORACLE-3")
def test_a_store_of_many_unknown_sectors_is_learnt_sector_by_sector() -> None:
    lost = 'disk base 64\ndisk cow 96\ncreate s "0 64 snapshot base cow P 32" -> ok\nwrite cow 32 32 #1\ncrash\n'
    oracle = sm.Oracle(budget=sm.Budget(work=50))
    for step in sm.parse_trace(lost):
        assert oracle.observe(step.operation, oracle.expect(step.operation)) is None
    records = tuple((tag << 32 | tag,) * 2 for tag in range(1, 17) for _ in range(32))
    ask = sm.Metadata("cow")
    assert isinstance(oracle.observe(ask, sm.Records("store", 1, 1, 32, (*records, (7, 7)))), sm.Divergence)
    assert oracle.observe(ask, sm.Records("store", 1, 1, 32, records)) is None
    assert oracle.world.disks["cow"].read(sm.Sector(47), 2) == (16, 0)
    assert oracle.observe(ask, sm.Records("store", 1, 1, 32, records)) is None
    assert isinstance(oracle.observe(sm.parse_operation("read cow 47 1"), sm.Data((0,))), sm.Divergence)
    assert oracle.observe(sm.parse_operation("read cow 49 1"), sm.Data((18,))) is None


# --- whatever the model does ---

LINES = [
    "write snap 0 4 #100",
    "write snap 2 4 #200",
    "write origin 0 8 #300",
    "write origin 5 2 #400",
    "write other 2 2 #500",
    "read snap 0 8",
    "read other 0 8",
    "read origin 0 8",
    "status snap",
    "flush snap",
    "suspend snap",
    "resume snap",
    "suspend origin",
    "resume origin",
    'load origin "0 8 snapshot-merge base cow P 2"',
    "remove snap",
    "status origin",
    "metadata cow",
]
TWO = (
    setup("P 2", base=8, cow=12)
    + """
disk cow2 12
create other "0 8 snapshot base cow2 P 1"
suspend origin
resume origin
"""
)


def chooser(data: st.DataObject) -> Callable[[int, int], int]:
    return lambda n, _: data.draw(st.integers(0, n - 1))


def check_exceptions(world: sm.World) -> None:
    """No chunk has two exceptions, none lives in metadata; when nothing is under way, the disk has them all."""
    for snap in world.stack.targets.values():
        if not isinstance(snap, SnapshotTarget) or not snap.valid or not isinstance(snap.store, Persistent):
            continue
        made = dict(pairs(snap.completed)) | {p.old: p.new for p in snap.pending.values()}
        assert len(set(made.values())) == len(made)
        assert not any(is_metadata(new, snap.store.per_area) for new in made.values())
        if not world.flights and not snap.pending and snap.store.chunk_size:
            found, _ = sm.operate(sm.Session(world), sm.Metadata(snap.cow))
            assert isinstance(found, sm.Records)
            assert sorted(found.records) == sorted(pairs(snap.completed))
            allocated, _, metadata = snap.store.usage(0)
            assert allocated - metadata == len(made) * snap.store.chunk_size


@pytest.mark.spec("EXC-1")
@pytest.mark.spec("STORE-1")
@pytest.mark.spec("STORE-2")
@pytest.mark.spec("ORACLE-2")
@pytest.mark.spec("DEV-5")
@settings(max_examples=60)
@given(st.data(), st.lists(st.sampled_from(LINES), max_size=8))
def test_the_oracle_allows_whatever_the_model_does_by_any_schedule(data: st.DataObject, lines: list[str]) -> None:
    session, oracle = sm.Session.new(), sm.Oracle(budget=sm.Budget(work=3_000))
    for step in sm.parse_trace(TWO):
        _, session = sm.operate(session, step.operation)
        oracle.observe(step.operation, oracle.expect(step.operation))
    for operation in map(sm.parse_operation, lines):
        try:
            oracle.expect(operation)
            result, after = sm.operate(session, operation, chooser(data))
        except sm.OperationError:
            continue
        session = after
        check_exceptions(session.world)
        outcome = result.seen() if isinstance(result, sm.Raw) else result
        assert outcome is not None
        assert isinstance(operation, sm.Finish) or possible(operation, outcome)
        assert not isinstance(oracle.observe(operation, outcome), sm.Divergence)
    check_exceptions(sm.settle(session.world))


# --- what was overtaken ---------------------------------------------------------------------------------------------

OVERTAKEN = """\
disk base 16 -> ok
disk cow 64 -> ok
create origin "0 16 snapshot-origin base" -> ok
suspend origin -> ok
start 1 create dev "0 16 snapshot origin cow P 4" -> ok
load dev "0 16 zero" -> ok
"""
"""The create is blocked before it has loaded its table or after, so a read of the device may be one of zeroes."""


@pytest.mark.spec("ORACLE-4")
def test_what_makes_sense_by_some_order_is_allowed() -> None:
    assert verdict(f"{OVERTAKEN}read dev 1 12 -> #0x12\n") is None


@pytest.mark.spec("ORACLE-4")
def test_an_outcome_that_no_order_gives_diverges_and_what_would_be_right_is_said() -> None:
    found = verdict(f"{OVERTAKEN}read dev 1 2 -> #5x2\n")
    assert isinstance(found, sm.Divergence)
    assert found.allowed == (sm.Data((0, 0)),)


@pytest.mark.spec("ORACLE-4")
@pytest.mark.parametrize("line", ["read nobody 0 1 -> #0", "read dev 15 2 -> #0x2", "read cow 64 1 -> #0"])
def test_what_makes_sense_by_no_order_is_refused(line: str) -> None:
    with pytest.raises(sm.OperationError):
        verdict(f"{OVERTAKEN}{line}\n")


@pytest.mark.spec("ORACLE-4")
def test_what_was_overtaken_and_has_ended_is_remembered() -> None:
    text = f'{OVERTAKEN}resume origin -> ok\nfinish 1 -> ok\ncreate above "0 16 linear dev 0" -> ok\nread above 0 2 -> '
    assert verdict(f"{text}#0x2\n") is None
