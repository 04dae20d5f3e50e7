from collections.abc import Callable, Iterator

import pytest
from tests.model._play import Bench, allowed, play, setup

import snapmerge as sm
from snapmerge.oracle import reductions as _reductions
from snapmerge.oracle import schedules as _schedules
from snapmerge.oracle.calm import ANYTHING, Ahead, ahead, calm
from snapmerge.oracle.schedules import Node
from snapmerge.world.power import resolutions

OVERFLOW = setup(base=32, cow=32)
"""Room for two exceptions."""


def every_end(bench: Bench, key: int) -> set[str | None]:
    """Every outcome of an operation over every order of finishing, with nothing left out: the plain twin."""
    found: set[str | None] = set()
    seen: set[sm.Session] = set()
    left = [bench.session]
    while left:
        session = left.pop()
        if session in seen:
            continue
        seen.add(session)
        here = Bench("")
        here.session = session
        outcome = here.ended(key)
        if outcome is not None:
            found.add(outcome)
            continue
        left += [sm.Session(world, session.tasks) for world in sm.moves(session.world)]
    return found


@pytest.mark.spec("WORLD-14")
@pytest.mark.parametrize(
    "line", ["read snap 0 24", "write snap 0 16 #1", "write snap 4 8 #1", "write snap 0 24 #1", "write origin 4 8 #1"]
)
@pytest.mark.parametrize("before", ["", "start 1 write snap 8 8 #50", "start 1 write origin 8 4 #50"])
def test_no_outcome_is_left_out(before: str, line: str) -> None:
    session = play(OVERFLOW + before)
    bench = Bench("")
    bench.session = session
    ends = every_end(bench, bench.start(line))
    assert allowed(session, line) == ends


def counted(spent: list[None]) -> Callable[[sm.Session, bool], None]:
    """Counts the sessions that are looked at."""

    def spend(_session: sm.Session, _worth: bool) -> None:
        spent.append(None)

    return spend


def sequences(session: sm.Session, lines: list[str], *, known: bool = True) -> tuple[set[tuple[sm.Result, ...]], int]:
    """All that can be seen of operations, one after the other, and how many worlds were looked at for it.

    ``known``: what comes after each operation is known to the search.
    """
    spent: list[None] = []
    found: set[tuple[tuple[sm.Result, ...], sm.Session]] = {((), session)}
    operations = tuple(map(sm.parse_operation, lines))
    disks = tuple(sm.Disk(name, sm.Sectors(disk.size)) for name, disk in session.world.disks.items())
    afters = ahead((*disks, *operations))[len(disks) :] if known else [ANYTHING] * len(operations)
    for operation, after in zip(operations, afters, strict=True):
        found = {
            ((*seen, result), later)
            for seen, before in found
            for result, later in _outcomes(before, operation, counted(spent), after)
        }
    return {seen for seen, _ in found}, len(spent)


def _outcomes(
    session: sm.Session, operation: sm.Operation, spend: Callable[[sm.Session, bool], None], after: Ahead
) -> list[tuple[sm.Result, sm.Session]]:
    """What makes no sense by any schedule has no outcome."""
    try:
        return list(sm.outcomes(session, operation, spend, after=after))
    except sm.OperationError:
        return []


def every_world(
    _key: int | None, session: sm.Session, _operation: sm.Operation, _after: Ahead, _seen: sm.Outcome | None
) -> tuple[Iterator[sm.World], bool]:
    """The plain twin of what the search goes by: all moves."""
    return sm.moves(session.world), False


@pytest.mark.spec("WORLD-14")
@pytest.mark.parametrize("store", ["P 4", "PO 4", "N 4"])
@pytest.mark.parametrize(
    "lines",
    [
        ["write snap 2 14 #1", "metadata cow"],
        ["write snap 2 14 #1", "read cow 2 6"],
        ["write snap 2 14 #1", "status snap", "read base 0 16"],
        ["write snap 2 14 #1", "write origin 8 4 #60", "read cow 0 8"],
        ["write origin 4 4 #1", "write snap 0 16 #60", "metadata cow", "read cow 0 8"],
    ],
    ids="; ".join,
)
def test_nothing_is_left_out_that_is_seen_later(store: str, lines: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    session = play(setup(store, base=16, cow=8 if store == "N 4" else 16))
    seen, spent = sequences(session, lines)
    monkeypatch.setattr(_schedules, "next_worlds", every_world)
    plain, more = sequences(session, lines)
    assert seen == plain
    assert spent < more


TWO = """
disk base {base}
disk cowa 24
disk cowb {cow}
write base 0 {base} #1
create a "0 {base} snapshot base cowa {a}" -> ok
create b "0 {base} snapshot base cowb {b}" -> ok
create origin "0 {base} snapshot-origin base" -> ok
"""
"""Two snapshots; an origin write waits for the first, and may find the second lost when it comes back."""


@pytest.mark.spec("WORLD-14")
@pytest.mark.parametrize(
    ("sizes", "lines"),
    [
        ({"base": 8, "cow": 4, "a": "N 8", "b": "N 4"}, ["write origin 0 8 #60", "read cowb 0 4"]),
        ({"base": 8, "cow": 4, "a": "N 8", "b": "N 4"}, ["write origin 0 8 #60", "status b", "read cowb 0 4"]),
        ({"base": 8, "cow": 12, "a": "P 8", "b": "P 4"}, ["write origin 0 8 #60", "read cowb 8 4"]),
        ({"base": 6, "cow": 4, "a": "N 8", "b": "N 2"}, ["write origin 0 6 #60", "read cowb 0 4"]),
        (
            {"base": 4, "cow": 1, "a": "N 2", "b": "N 1"},
            ["write origin 0 2 #70", "write origin 0 2 #60", "read cowb 0 1"],
        ),
        ({"base": 8, "cow": 4, "a": "N 4", "b": "N 4"}, ["write origin 0 8 #60", "read cowb 0 4", "read cowa 0 8"]),
    ],
)
def test_a_copy_for_a_snapshot_that_is_lost_may_read_what_has_been_written(
    sizes: dict[str, str], lines: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = play(TWO.format(**sizes))
    seen, spent = sequences(session, lines)
    on_disk = {
        sector for results in seen for found in results[1:] if isinstance(found, sm.Raw) for sector in found.sectors
    }
    assert on_disk > {0, 60}  # nothing yet, and what only the origin should have
    monkeypatch.setattr(_schedules, "next_worlds", every_world)
    plain, more = sequences(session, lines)
    assert seen == plain
    assert spent < more


@pytest.mark.spec("WORLD-14")
def test_a_long_read_takes_no_more_worlds_than_pieces() -> None:
    session = play(setup(base=256) + "write snap 0 64 #1")
    spent: list[None] = []
    operation = sm.parse_operation("read snap 0 256")
    found = list(sm.outcomes(session, operation, counted(spent)))
    assert len(found) == 1
    assert len(spent) < 200


@pytest.mark.spec("WORLD-14")
def test_a_world_is_calm_while_no_exception_can_fail() -> None:
    assert calm(play(setup() + "start 1 write snap 0 8 #1").world)
    assert calm(play(setup(cow=24) + "start 1 write snap 0 8 #1").world)  # the header, the area, and it just fits
    assert not calm(play(setup(cow=24) + "start 1 write snap 0 9 #1").world)
    assert not calm(play(setup() + "fault cow write 0 1\nstart 1 write snap 0 8 #1").world)


UNSURE = setup("P 2", base=8, cow=16) + "write snap 0 2 #1\nwrite cow 0 1 #0\nwrite cow 2 1 #0\nwrite cow 8 2 #7\ncrash"
"""A store of which nobody knows the header and the area, on a disk of which nobody knows more than that."""


@pytest.mark.spec("ORACLE-1")
@pytest.mark.parametrize("before", ["", "read cow 0 1", "fault cow read 2 1", "fault cow read 8 1"])
def test_no_store_is_left_out_that_a_power_cut_may_leave(before: str) -> None:
    session = play(UNSURE + "\n" + before)
    operation = sm.parse_operation("metadata cow")
    plain = {sm.operate(sm.Session(world), operation)[0] for world in resolutions(session.world)}
    found = list(sm.outcomes(session, operation))
    assert {result for result, _ in found} == plain
    for result, after in found:
        assert {sm.operate(sm.Session(world), operation)[0] for world in resolutions(after.world)} == {result}


def test_what_a_store_is_not_read_from_stays_unknown() -> None:
    spent: list[None] = []
    list(sm.outcomes(play(UNSURE), sm.parse_operation("metadata cow"), counted(spent)))
    assert len(spent) == 1 + 3  # a header that is none, and one with an area or without


def test_the_canonical_outcome_comes_first() -> None:
    session = play(OVERFLOW + "write snap 0 8 #1")
    operation = sm.parse_operation("write snap 8 16 #1")
    result, _ = next(sm.outcomes(session, operation))
    assert result == sm.operate(session, operation)[0]


def test_what_would_block_by_any_schedule_is_refused() -> None:
    with pytest.raises(sm.WouldBlock):
        allowed(play(setup() + "suspend snap"), "read snap 0 1")
    assert allowed(play(setup() + "suspend snap\nstart 1 read snap 0 1"), "finish 1") == {"blocked"}


PAIR = """
disk base 4
disk cowa 16
disk cowb 16
write base 0 4 #1
create origin "0 4 snapshot-origin base"
create a "0 4 snapshot base cowa P 1"
create b "0 4 snapshot base cowb P 2"
suspend origin
resume origin
"""


@pytest.mark.parametrize(
    ("setting", "started", "line", "most"),
    [
        # The sessions that were looked at while work was named by the smallest free number, and what is in flight had
        # an order, are behind each.
        (PAIR, ["write origin 0 2 #11", "write a 0 1 #21"], "read b 0 4", 1_323),  # 16,353
        (PAIR, ["write origin 0 3 #11"], "crash", 1_228),  # 11,204
        (
            PAIR.replace("cowa 16", "cowa 3"),
            ["write origin 0 3 #11", "write a 1 1 #21"],
            "read a 0 4",
            2_040,
        ),  # 145,329
    ],
)
def test_a_search_looks_once_at_sessions_that_are_alike(setting: str, started: list[str], line: str, most: int) -> None:
    bench, looked_at = Bench(setting), 0

    def spend(_session: sm.Session, _worth: bool) -> None:
        nonlocal looked_at
        looked_at += 1

    for operation in started:
        bench.start(operation)
    assert list(sm.outcomes(bench.session, sm.parse_operation(line), spend))
    assert looked_at <= most


@pytest.mark.spec("WORLD-14")
def test_of_a_lost_snapshot_only_its_header_and_what_it_refuses_is_done_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    session = play(TWO.format(base=8, cow=4, a="N 8", b="N 4"))
    lines = ["write origin 0 8 #60", "read cowb 0 4"]
    right, _ = sequences(session, lines)
    monkeypatch.setattr(_reductions, "is_of_lost", lambda *_: True)
    assert sequences(session, lines)[0] < right


@pytest.mark.spec("WORLD-14")
@pytest.mark.spec("ORACLE-9")
def test_a_long_write_that_overflows_is_no_long_search_before_a_power_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    session = play(setup("P 1", base=9, cow=8))
    lines = ["write snap 0 9 #1", "crash", "metadata cow"]
    found, spent = sequences(session, lines)
    records = {len(results[-1].records) for results in found if isinstance(results[-1], sm.Records)}
    assert records == set(range(7))
    monkeypatch.setattr(_reductions, "flight_of_lost", lambda *_: None)
    longer, more = sequences(session, lines)
    assert longer == found
    assert more > 1.5 * spent


def test_what_has_been_looked_at_for_the_operation_is_not_looked_at_again() -> None:
    bench = Bench(setup())
    bench.start("write origin 0 16 #1")
    read, met = sm.parse_operation("read snap 0 8"), set[Node]()
    found = {result for result, _ in sm.outcomes(bench.session, read, met=met)}
    before = [session for key, session in met if key is None]
    assert len(before) > 1
    for session in before:
        assert {result for result, _ in sm.outcomes(session, read)} <= found
        assert list(sm.outcomes(session, read, met=met)) == []
