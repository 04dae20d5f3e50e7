"""Exceptions that are made at once, and mapping that waits, against a plain twin that leaves out nothing."""

from random import Random

import pytest
from tests.model._play import play
from tests.model.oracle.test_beside import OVERFLOWS_LATER, same

import snapmerge as sm
from snapmerge.oracle import unseen


def case(seed: int) -> tuple[sm.Session, list[str]]:
    """One snapshot or two, mostly with room for every chunk, and I/O that is begun and looked at by reads alone."""
    random = Random(seed)
    chunk_size, chunks = random.choice(((1, 2), (1, 3), (2, 2)))
    size, snaps = chunk_size * chunks, random.choice((1, 1, 2))
    room = chunks + random.choice((0, 2, 3, 6))
    text = f"disk base {size}\n" + "".join(f"disk cow{i} {chunk_size * room}\n" for i in range(snaps))
    text += f"write base 0 {size} #1000\nflush base\n"
    for i in range(snaps):
        text += f'create s{i} "0 {size} snapshot base cow{i} {random.choice("PN")} {chunk_size}"\n'
    text += f'create org "0 {size} snapshot-origin base"\n'
    devices = ["org", "org", *(f"s{i}" for i in range(snaps))]
    lines, started = [], []
    for tag in range(1, random.choice((2, 3)) + 1):
        lines.append(f"start {tag} {_io(random, devices, size, tag)}")
        started.append(tag)
        if random.random() < 0.5:
            lines.append(_read(random, devices, size))
        if random.random() < 0.2:
            lines.append(f"finish {started.pop(random.randrange(len(started)))}")
    random.shuffle(started)
    return play(text), [*lines, *(f"finish {key}" for key in started), f"read {random.choice(devices)} 0 {size}"]


def _io(random: Random, devices: list[str], size: int, tag: int) -> str:
    sector = random.randrange(size)
    if random.random() < 0.3:
        return _read(random, devices, size)
    return f"write {random.choice(devices)} {sector} {random.randint(1, size - sector)} #{tag}00"


def _read(random: Random, devices: list[str], size: int) -> str:
    sector = random.randrange(size)
    return f"read {random.choice(devices)} {sector} {random.randint(1, size - sector)}"


SEEDS = 24


@pytest.mark.spec("WORLD-14")
def test_nothing_is_left_out_when_exceptions_are_made_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = [same(*case(seed), monkeypatch) for seed in range(SEEDS)]
    assert [seed for seed, equal in enumerate(compared) if equal is False] == []
    assert sum(equal is not None for equal in compared) >= SEEDS / 2


@pytest.mark.spec("WORLD-14")
@pytest.mark.parametrize(
    ("name", "seed"),
    [
        ("made_without_data", 20),
        ("mapped_beside", 17),
    ],
)
def test_a_wrong_reduction_is_met(name: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unseen, name, lambda *_: True)
    assert same(*case(seed), monkeypatch, most=4_000) is False


@pytest.mark.spec("WORLD-14")
def test_exceptions_are_not_made_at_once_where_a_later_write_could_take_their_room(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(unseen, "roomy", lambda *_: True)
    oracle = sm.Oracle()
    verdicts = [oracle.observe(step.operation, step.outcome) for step in sm.parse_trace(OVERFLOWS_LATER)]
    assert isinstance(verdicts[-1], sm.Divergence)  # the model can do it: the wrong reduction has lost it


def beside_a_long_write(chunks: int, look: str) -> tuple[sm.Verdict, int]:
    """What a look at two snapshots and their origin is beside a write of so many chunks, and the worlds it took."""
    text = f"disk base {chunks}\ndisk a {2 * chunks + 64}\ndisk b {2 * chunks + 64}\nwrite base 0 {chunks} #100000\n"
    text += f'create s1 "0 {chunks} snapshot base a P 1"\ncreate s2 "0 {chunks} snapshot base b P 1"\n'
    text += f'create o "0 {chunks} snapshot-origin base"\nstart 1 write o 0 {chunks} #1'
    oracle = sm.Oracle()
    for operation in map(sm.parse_operation, text.splitlines()):
        assert oracle.observe(operation, oracle.expect(operation)) is None
    (step,) = sm.parse_trace(look)
    return oracle.observe(step.operation, step.outcome), oracle.worlds


@pytest.mark.spec("ORACLE-6")
@pytest.mark.parametrize(
    ("look", "allowed"),
    [
        ("read o 0 4 -> #1 #100001 #3 #100003", True),
        ("read o 0 4 -> #1 #100002 #3 #100003", False),
        ("read s1 0 3 -> #100000 #2 #100002", False),
        ("read s2 60 3 -> #100060+3", True),
    ],
)
def test_a_read_beside_a_long_write_is_decided_however_long_it_is(look: str, allowed: bool) -> None:
    verdict, worlds = beside_a_long_write(64, look)
    longer, as_many = beside_a_long_write(256, look)
    assert isinstance(verdict, type(None) if allowed else sm.Divergence)
    assert type(longer) is type(verdict)
    assert worlds == as_many < 1_000
