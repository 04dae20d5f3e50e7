"""What may wait beside an operation, against a plain twin that leaves out nothing."""

from collections.abc import Callable
from random import Random

import pytest
from tests.model._play import play
from tests.model.oracle._plain import everything, explains, plainly

import snapmerge as sm
from snapmerge.oracle import beside


def case(seed: int) -> tuple[sm.Session, list[str]]:
    """A world with one snapshot or two, and I/O on it that is mostly begun and not waited for."""
    random = Random(seed)
    chunk_size, chunks = random.choice(((1, 2), (1, 3), (2, 2)))
    size, snaps = chunk_size * chunks, random.choice((1, 1, 2))
    room = chunks + 6 if random.random() < 0.7 else chunks + random.choice((-1, 1))
    text = f"disk base {size}\n" + "".join(f"disk cow{i} {chunk_size * room}\n" for i in range(snaps))
    text += f"write base 0 {size} #1000\nflush base\n"
    for i in range(snaps):
        text += f'create s{i} "0 {size} snapshot base cow{i} {random.choice("PN")} {chunk_size}"\n'
    text += f'create org "0 {size} snapshot-origin base"\n'
    return play(text), script(random, chunk_size, size, ["org", "org", *(f"s{i}" for i in range(snaps))])


def script(random: Random, chunk_size: int, size: int, devices: list[str]) -> list[str]:
    """Some I/O, often on the same sectors, and its ends in any order."""
    lines: list[str] = []
    started: list[int] = []
    looks = random.random() < 0.3
    for tag in range(1, random.choice((2, 3, 3, 4)) + 1):
        sector = random.randrange(size)
        if random.random() < 0.4:
            sector = sector // chunk_size * chunk_size
        count = random.randint(1, min(size - sector, 2 * chunk_size))
        device = random.choice(devices)
        kinds = [f"write {device} {sector} {count} #{tag}00"] * 3 + [f"read {device} {sector} {count}"] * 2
        line = random.choice([*kinds, f"flush {device}"])
        if random.random() < 0.6:
            started.append(tag)
            line = f"start {tag} {line}"
        lines += [line, f"status {device}"] if looks and random.random() < 0.5 else [line]
        if started and random.random() < 0.25:
            lines.append(f"finish {started.pop(random.randrange(len(started)))}")
    if random.random() < 0.2:
        return [*lines, "crash", random.choice(("metadata cow0", "read base 0 2"))]
    return [*lines, *(f"finish {key}" for key in started), f"read {random.choice(devices)} 0 {size}"]


def world(cow: int, store: str) -> str:
    """A snapshot of four chunks, on a COW device of so many sectors."""
    disks = f"disk base 4\ndisk cow0 {cow}\nwrite base 0 4 #1000\nflush base\n"
    return f'{disks}create s0 "0 4 snapshot base cow0 {store}"\ncreate org "0 4 snapshot-origin base"\n'


POINTED = {
    "no room": (world(2, "N 1"), ["start 1 write org 0 3 #100", "read s0 0 1", "finish 1"]),
    "writes of three chunks": (
        world(16, "N 1"),
        ["start 1 write s0 0 3 #100", "start 2 write s0 0 3 #200", "finish 1", "finish 2", "read s0 0 3"],
    ),
    "two writes and a read": (
        world(16, "P 1"),
        ["start 1 write org 2 1 #100", "start 2 write org 2 1 #300", "read org 1 2", "finish 1", "read org 0 3"],
    ),
    "a copy and a read": (
        world(16, "P 1"),
        ["start 1 write org 0 1 #100", "start 2 read org 0 1", "finish 2", "metadata cow0"],
    ),
}
"""Worlds, and operations in which one reduction would be wrong."""


def compare(seed: int, monkeypatch: pytest.MonkeyPatch) -> bool | None:
    """Whether nothing is left out and nothing made up in a random case; None: it would take too long."""
    return same(*case(seed), monkeypatch)


def same(session: sm.Session, lines: list[str], monkeypatch: pytest.MonkeyPatch, *, most: int = 1_200) -> bool | None:
    """Whether what can be seen is found, told what was or not, and nothing else is; None: it would take too long."""
    plain = plainly(session, lines, monkeypatch, most=most)
    if plain is None:
        return None
    if not everything(session, lines) == plain == everything(session, lines, told=False):
        return False
    some = sorted(plain)[:8]
    return all(explains(session, lines, seen) for seen in some) and not any(
        explains(session, lines[: len(wrong)], wrong) for seen in some[:3] for wrong in _wrong(seen, plain)
    )


def _wrong(seen: tuple[str, ...], plain: frozenset[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The beginnings of a sequence with a read at the end that shows what it can't, though it may elsewhere."""
    found = []
    for at, outcome in enumerate(seen):
        if outcome.startswith("#"):
            right = {other[at] for other in plain if other[:at] == seen[:at]}
            elsewhere = sorted({other[at] for other in plain} - right)[:2]
            found += [(*seen[:at], wrong) for wrong in elsewhere]
    return found


@pytest.mark.spec("WORLD-14")
def test_nothing_is_left_out_beside_what_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = [compare(seed, monkeypatch) for seed in range(SEEDS)]
    assert [seed for seed, same in enumerate(compared) if same is False] == []
    assert sum(same is not None for same in compared) >= SEEDS / 2


SEEDS = 24


@pytest.mark.spec("WORLD-14")
@pytest.mark.parametrize("name", POINTED)
def test_nothing_is_left_out_where_a_reduction_is_near(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    text, lines = POINTED[name]
    assert same(play(text), lines, monkeypatch, most=20_000)


@pytest.mark.spec("WORLD-14")
@pytest.mark.parametrize(
    ("name", "wrong", "where"),
    [
        ("meet", lambda *_: False, 4),
        ("shows", lambda *_: True, 73),
    ],
)
def test_a_wrong_reduction_is_met(
    name: str, wrong: Callable[..., object], where: str | int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, name, wrong)
    session, lines = case(where) if isinstance(where, int) else (play(POINTED[where][0]), POINTED[where][1])
    assert same(session, lines, monkeypatch, most=20_000) is False


HALF_MAPPED = """
disk base 16 -> ok
disk cow 64 -> ok
create a "0 16 snapshot base cow P 4" -> ok
start 1 write a 0 12 #9800 -> ok
read a 2 8 -> #9802+6 #0x2
"""
OVERFLOWS_LATER = """
disk base 16 -> ok
disk cow 16 -> ok
create a "0 16 snapshot base cow P 4" -> ok
create o "0 16 snapshot-origin base" -> ok
start 2 write a 12 2 #9400 -> ok
read a 5 9 -> #0x9
start 1 write o 6 8 #8200 -> ok
finish 2 -> error EIO
"""

READ_BETWEEN = """
disk base 4 -> ok
disk cow 16 -> ok
write base 0 4 #1000 -> ok
create s "0 4 snapshot base cow N 2" -> ok
create o "0 4 snapshot-origin base" -> ok
start 1 read o 1 3 -> ok
start 2 write o 0 3 #200 -> ok
write o 2 1 #300 -> ok
finish 1 -> #201 #1002+2
finish 2 -> ok
read o 0 4 -> #200+2 #300 #1003
"""
"""The read is after the first half of one write and before the other, which has nothing to do with that half."""

READ_BEFORE = """
disk base 2 -> ok
write base 0 2 #1000 -> ok
create o "0 2 snapshot-origin base" -> ok
start 1 write o 1 1 #100 -> ok
start 2 read o 1 1 -> ok
read o 1 1 -> #100
finish 1 -> ok
finish 2 -> #1001
"""
"""One read is before the write, the other after it."""


@pytest.mark.spec("ORACLE-2")
@pytest.mark.parametrize("trace", [HALF_MAPPED, OVERFLOWS_LATER, READ_BETWEEN, READ_BEFORE])
def test_what_the_model_was_seen_to_do_is_allowed(trace: str) -> None:
    oracle = sm.Oracle()
    assert [oracle.observe(step.operation, step.outcome) for step in sm.parse_trace(trace)][-1] is None
