"""The promises: kept by the model in any schedule, broken by what loses data, and silent where nothing is promised."""

from random import Random

import pytest

from snapmerge import (
    MAINLINE,
    Operation,
    OperationError,
    Outcome,
    Reset,
    Rules,
    Session,
    Step,
    World,
    parse_operation,
    parse_trace,
)
from snapmerge_adapters import Memory
from snapmerge_specs import DEFECTS, FINDINGS, Scenario
from snapmerge_specs.promises.checker import BrokenPromise, Promises, broken_promise


class Watched:
    """Drives the model in memory, and looks at the promises."""

    def __init__(self, rules: Rules, seed: int | None) -> None:
        self.rules, self.steps = MAINLINE, list[Step]()
        self._memory, self.promises = Memory(rules=rules, seed=seed), Promises()
        self.broken: list[BrokenPromise] = []
        self.capabilities = self._memory.capabilities
        self.world: World = Session.new().world
        self._memory.apply(Reset())

    def do(self, operation: Operation) -> Outcome:
        outcome = self._memory.apply(operation)
        self.steps.append(Step(operation, outcome))
        if (broken := self.promises.observe(operation, outcome)) is not None:
            self.broken.append(broken)
        return outcome


def _scenario(rules: Rules, run: int, seed: int | None) -> Watched:
    driver, draw = Watched(rules, seed), Random(f"promises {run}").randint
    scenario = Scenario(driver)
    scenario.begin(draw)
    for _ in range(30):
        scenario.move(draw)
    scenario.end()
    return driver


def _first_broken(rules: Rules, trace: str) -> BrokenPromise | None:
    memory = Memory(rules=rules)
    return broken_promise([Step(s.operation, memory.apply(s.operation)) for s in parse_trace(trace)])


@pytest.mark.parametrize("seed", [None, 7])
def test_the_model_keeps_every_promise_in_any_schedule(seed: int | None) -> None:
    for run in range(60):
        assert _scenario(MAINLINE, run, seed).broken == []


CAUGHT = {
    "asks first only": (10, None, "MERGE-5"),
    "counts cleared": (14, None, "MERGE-1"),
    "ends in metadata": (8, None, "SNAP-1"),
    "fails silently": (14, 14, "DEV-5"),
    "forgets cleared": (5, None, "PROMISE-11"),
    "forgets records": (6, None, "SNAP-1"),
    "skips siblings": (10, None, "MERGE-5"),
    "never waits": (8, 8, "SNAP-1"),
    "reads early": (8, 8, "SNAP-1"),
    "reuses chunks": (8, None, "SNAP-1"),
    "silent invalidation": (8, None, "SNAP-13"),
    "writes into run": (3, 3, "MERGE-8"),
}
"""Seeded defects that a random scenario shows to a user: its number, the seed of the schedule, what is broken first.

Another scenario shows it after a change of what is drawn; then the first fifty are gone through.
"""


@pytest.mark.parametrize("name", CAUGHT)
def test_a_seeded_defect_breaks_a_promise_in_a_scenario(name: str) -> None:
    run, seed, statement = CAUGHT[name]
    rules = next(defect.rules for defect in DEFECTS if defect.name == name)
    scenarios = (_scenario(rules, number, seed) for number in (run, *range(50)))
    assert any([broken.statement for broken in scenario.broken][:1] == [statement] for scenario in scenarios)


@pytest.mark.spec("PROMISE-1")
def test_a_write_that_is_lost_is_noticed() -> None:
    broken = broken_promise(parse_trace("disk a 4 -> ok\nwrite a 0 2 #5 -> ok\nread a 0 3 -> #5 #0x2\n"))
    assert broken is not None
    assert (broken.statement, broken.index) == ("PROMISE-1", 2)


@pytest.mark.spec("PROMISE-2")
@pytest.mark.parametrize(("left", "statement"), [("#5 #7", None), ("#5 #8", None), ("#6 #7", "PROMISE-2")])
def test_a_power_cut_may_take_only_what_was_not_flushed(left: str, statement: str | None) -> None:
    before = "disk a 2 -> ok\nwrite a 0 1 #5 -> ok\nwrite a 1 1 #7 -> ok\nflush a -> ok\n"
    text = f"{before}write a 1 1 #8 -> ok\ncrash -> ok\nread a 0 2 -> {left}\n"
    broken = broken_promise(parse_trace(text))
    assert (broken and broken.statement) == statement


SNAPSHOT = """\
disk base 8 -> ok
disk cow 64 -> ok
write base 0 8 #1 -> ok
create origin "0 8 snapshot-origin base" -> ok
suspend origin -> ok
create snap "0 8 snapshot base cow P 1" -> ok
resume origin -> ok
write origin 2 1 #50 -> ok
"""


def test_a_power_cut_before_there_was_a_snapshot_is_not_to_blame() -> None:
    written = "write base 0 8 #1 -> ok\n"
    text = SNAPSHOT.replace(written, f"{written}flush base -> ok\ncrash -> ok\n") + "read snap 2 1 -> #50\n"
    broken = broken_promise(parse_trace(text))
    assert broken is not None
    assert broken.statement == "SNAP-1"


@pytest.mark.parametrize(
    ("line", "statement"),
    [
        ("read snap 2 1 -> #3", None),
        ("read snap 2 1 -> #50", "SNAP-1"),
        ("read base 3 1 -> #9", "SNAP-2"),
        ("write origin 3 1 #51 -> error EIO", "ORIGIN-2"),
        ("read origin 0 8 -> #1+8", "SNAP-2"),
        pytest.param(
            'status snap -> "0 8 snapshot Invalid"', "PROMISE-3", marks=pytest.mark.spec("PROMISE-3"), id="invalid"
        ),
        pytest.param("read snap 0 1 -> error EIO", "PROMISE-5", marks=pytest.mark.spec("PROMISE-5"), id="fails"),
        pytest.param('flush snap -> died "panic"', "PROMISE-6", marks=pytest.mark.spec("PROMISE-6"), id="dies"),
        pytest.param(
            "write base 4 1 #60 -> ok\nread snap 4 1 -> #60", None, marks=pytest.mark.spec("PROMISE-8"), id="around"
        ),
        pytest.param(
            "write cow 0 1 #60 -> ok\nread snap 4 1 -> #99", None, marks=pytest.mark.spec("PROMISE-8"), id="overwritten"
        ),
    ],
)
def test_what_a_snapshot_promises(line: str, statement: str | None) -> None:
    broken = broken_promise(parse_trace(f"{SNAPSHOT}{line}\n"))
    assert (broken and broken.statement) == statement


CLEARED = (
    SNAPSHOT
    + """\
suspend origin -> ok
suspend snap -> ok
load origin "0 8 snapshot-merge base cow P 1" -> ok
clear origin -> ok
resume origin -> ok
resume snap -> ok
write origin 3 1 #60 -> ok
"""
)


@pytest.mark.spec("DEV-24")
@pytest.mark.parametrize(
    ("line", "statement"),
    [("read snap 2 2 -> #3+2", None), ("read snap 3 1 -> #60", "SNAP-1"), ("read origin 2 2 -> #3+2", "SNAP-2")],
)
def test_a_table_that_was_dropped_changes_nothing_of_what_a_snapshot_promises(line: str, statement: str | None) -> None:
    broken = broken_promise(parse_trace(f"{CLEARED}{line}\n"))
    assert (broken and broken.statement) == statement


MERGE = (
    SNAPSHOT
    + """\
flush origin -> ok
suspend origin -> ok
suspend snap -> ok
load origin "0 8 snapshot-merge base cow P 1" -> ok
resume origin -> ok
"""
)


@pytest.mark.parametrize(
    ("lines", "statement"),
    [
        ("read origin 2 1 -> #3", None),
        ("read origin 2 1 -> #50", "MERGE-1"),
        ("read base 2 1 -> #50", None),
        ("settle origin -> ok\nread base 2 1 -> #3", None),
        ("settle origin -> ok\nread base 2 1 -> #50", "MERGE-8"),
        ("settle origin -> ok\ncrash -> ok\nread base 2 1 -> #50", "MERGE-7"),
        ('crash -> ok\ncreate origin "0 8 snapshot-merge base cow P 1" -> ok\nread origin 2 1 -> #50', "MERGE-7"),
        pytest.param("read base 2 1 -> #77", "PROMISE-7", marks=pytest.mark.spec("PROMISE-7"), id="junk"),
        pytest.param(
            'status origin -> "0 8 snapshot-merge Merge failed"',
            "PROMISE-4",
            marks=pytest.mark.spec("PROMISE-4"),
            id="fails",
        ),
    ],
)
def test_what_a_merge_promises(lines: str, statement: str | None) -> None:
    broken = broken_promise(parse_trace(f"{MERGE}{lines}\n"))
    assert (broken and broken.statement) == statement


@pytest.mark.parametrize(
    ("name", "statement"),
    [
        ("misaligned-discard", "SNAP-12"),
        ("merge-repeats-cleared-records", "PROMISE-7"),
        ("invalidation-is-volatile", "SNAP-13"),
    ],
)
def test_what_kernels_do_wrong_breaks_a_promise(name: str, statement: str) -> None:
    from pathlib import Path

    rules = next(finding.rules for finding in FINDINGS if finding.name == name)
    steps = parse_trace((Path(__file__).parents[3] / "specs" / "findings" / f"{name}.trace").read_text())
    found = set()
    for seed in range(20):
        memory, seen = Memory(rules=rules, seed=seed), []
        for step in steps:
            try:
                seen.append(Step(step.operation, memory.apply(step.operation)))
            except OperationError:
                break
        broken = broken_promise(seen)
        found.add(broken and broken.statement)
    assert statement in found


def test_an_area_that_a_merge_skips_is_lost_when_it_is_loaded_again() -> None:
    rules = next(finding.rules for finding in FINDINGS if finding.name == "merge-skips-area")
    text = """disk base 80\ndisk cow 128\nwrite base 0 80 #1\ncreate snap "0 80 snapshot base cow P 1"
write snap 0 65 #101\nflush snap\nremove snap\ncreate merge\nload merge "0 80 snapshot-merge base cow P 1"
fault cow read 34 1\nresume merge\nsettle merge\nheal cow\nsuspend merge\nresume merge\nsettle merge\nremove merge
create merge "0 80 snapshot-merge base cow P 1"\nsettle merge\nread merge 0 80\n"""
    broken = _first_broken(rules, text)
    assert broken is not None
    assert broken.statement == "MERGE-8"
    assert _first_broken(MAINLINE, text) is None


DOUBT = """\
disk base 2 -> ok
disk cow 16 -> ok
write base 0 2 #1 -> ok
create origin "0 2 snapshot-origin base" -> ok
create snap "0 2 snapshot base cow P 1" -> ok
load origin "0 2 snapshot-merge base cow P 1" -> ok
resume origin -> error EINVAL
load origin "0 2 snapshot-origin base" -> ok
resume origin -> ok
read base 0 1 -> #1
"""
STARTED = """\
disk base 8 -> ok
disk cow 3 -> ok
start 1 create snap "0 8 snapshot base cow P 1" -> ok
write snap 0 2 #1 -> error EIO
remove snap -> ok
create snap "0 8 snapshot base cow P 1" -> ok
read snap 0 1 -> error EIO
"""
HALF_MADE = """\
disk base 8 -> ok
disk cow 16 -> ok
create snap "0 8 snapshot base cow P 1" -> ok
write snap 0 1 #7 -> ok
remove snap -> ok
write cow 0 1 #0 -> ok
fault cow write 1 1 -> ok
create snap "0 8 snapshot base cow P 1" -> error EIO
heal cow -> ok
create snap "0 8 snapshot base cow P 1" -> ok
read snap 0 1 -> #7
"""
JOINED = """\
disk base 8 -> ok
disk cow0 5 -> ok
disk cow1 2 -> ok
create snap0 "0 8 snapshot base cow0 P 1" -> ok
write snap0 0 8 #1 -> error EIO
status snap0 -> "0 8 snapshot Invalid"
write cow0 0 1 #0 -> ok
remove snap0 -> ok
create snap0 "0 8 snapshot base cow0 P 1" -> ok
write snap0 0 2 #11 -> ok
remove snap0 -> ok
create merge "0 8 snapshot-merge base cow0 P 1" -> ok
create snap1 "0 8 snapshot base cow1 P 1" -> ok
status snap1 -> "0 8 snapshot Invalid"
"""
REFUSED_AND_CLEARED = """\
disk base 24 -> ok
disk cow0 21 -> ok
disk cow1 18 -> ok
create origin "0 24 snapshot-origin base" -> ok
load origin "0 24 zero" -> ok
resume origin -> ok
create snap1 "0 24 snapshot base cow1 P 1" -> ok
load origin "0 24 snapshot-merge base cow1 P 1" -> ok
resume origin -> error EINVAL "snapshots: Unable to perform snapshot handover until source is suspended."
clear origin -> ok
load snap1 "0 24 snapshot-merge base cow0 P 4" -> ok
resume snap1 -> ok
write snap1 0 3 #136 -> ok
start 9 write origin 0 4 #148 -> ok
resume origin -> ok
read base 0 24 -> #148+4 #0x20
"""
HANDED_OVER = """\
disk base 4 -> ok
disk cow 16 -> ok
create snap "0 4 snapshot base cow P 1" -> ok
suspend snap -> ok
create merge "0 4 snapshot-merge base cow P 1" -> ok
remove merge -> ok
load snap "0 4 snapshot base cow P 1" -> ok
resume snap -> ok
read snap 0 4 -> error EIO
"""
MAY_BE_LIVE = """\
disk base 4 -> ok
disk cow 16 -> ok
write base 0 4 #1 -> ok
create bare
create origin "0 4 snapshot-origin base" -> ok
create snap "0 4 snapshot base cow P 1" -> ok
write snap 0 1 #101 -> ok
suspend snap -> ok
load bare "0 4 snapshot base cow P 1" -> ok
clear bare -> ok
remove snap -> ok
load origin "0 4 snapshot-merge base cow P 1" -> ok
resume origin -> ok
read origin 0 4 -> #101 #2+3
"""


@pytest.mark.spec("PROMISE-8")
@pytest.mark.parametrize(
    "trace",
    [
        f"{DOUBT}crash -> ok\nread base 0 1 -> #0\n",
        STARTED,
        HALF_MADE,
        JOINED,
        REFUSED_AND_CLEARED,
        HANDED_OVER,
        MAY_BE_LIVE,
    ],
)
def test_nothing_is_said_where_a_user_may_count_on_nothing(trace: str) -> None:
    assert broken_promise(parse_trace(trace)) is None


def test_what_was_read_after_a_doubt_is_durable_once_it_is_flushed() -> None:
    text = f"{DOUBT}flush base -> ok\ncrash -> ok\nread base 0 1 -> #0\n"
    broken = broken_promise(parse_trace(text))
    assert broken is not None
    assert broken.statement == "PROMISE-2"


@pytest.mark.parametrize(
    ("operation", "blocks"),
    [
        ("read snap 0 1", False),
        ("read origin 0 1", True),
        ("read top 0 1", True),
        ("read base 0 1", False),
        ("settle origin", True),
        ("suspend snap", False),
        ("suspend top", True),
        ("remove top", True),
        ("resume origin", False),
        ('create more "0 8 linear origin 0"', True),
        ("status origin", False),
        ("crash", False),
    ],
)
def test_what_lies_on_a_suspended_device_may_block(operation: str, *, blocks: bool) -> None:
    promises = Promises()
    for step in parse_trace(f'{SNAPSHOT}create top "0 8 linear origin 0" -> ok\nsuspend origin -> ok\n'):
        promises.observe(step.operation, step.outcome)
    assert promises.would_block(parse_operation(operation)) is blocks
