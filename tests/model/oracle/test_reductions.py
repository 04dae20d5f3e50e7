"""What the search leaves out, against a plain twin that leaves out nothing: in small random worlds."""

from collections.abc import Iterator
from random import Random
from types import ModuleType

import pytest
from tests.model._play import play
from tests.model.oracle._plain import everything, plainly

import snapmerge as sm
from snapmerge.machine.snapshot.state import SnapshotTarget
from snapmerge.oracle import calm as _calm
from snapmerge.oracle import reductions as _reductions
from snapmerge.oracle.calm import Ahead
from snapmerge.world.state import Flight


def tables(random: Random, chunk_size: int, chunks: int) -> tuple[str, list[str]]:
    """A small world, with linear devices between or without, and the devices that there is I/O on."""
    size, stores, kinds = chunk_size * chunks, random.choice((1, 2)), random.choice(("P", "P", "N"))
    cows = [chunk_size * random.choice((3, 4)) for _ in range(stores)]
    text = ""
    if random.random() < 0.5:
        text += f'disk pv {1 + size + sum(cows)}\ncreate base "0 {size} linear pv 1"\n'
        at = 1 + size
        for i, cow in enumerate(cows):
            text += f'create cow{i} "0 {cow} linear pv {at}"\n'
            at += cow
    else:
        text += f"disk base {size}\n" + "".join(f"disk cow{i} {cow}\n" for i, cow in enumerate(cows))
    text += f"write base 0 {size} #1000\nflush base\n"
    text += "".join(f'create s{i} "0 {size} snapshot base cow{i} {kinds} {chunk_size}"\n' for i in range(stores))
    text += f'create org "0 {size} snapshot-origin base"\n'
    return text, ["org", *(f"s{i}" for i in range(stores))]


def script(random: Random, chunk_size: int, chunks: int, devices: list[str]) -> list[str]:
    """A few operations: much is written, then it is looked at."""
    size, cut = chunk_size * chunks, random.random() < 0.4
    lines, key = [], 0
    for tag in range(1, random.choice((2, 3)) + 1):
        sector = random.randrange(size)
        count = random.randint(1, min(size - sector, 2 * chunk_size))
        device, write = random.choice(devices), random.random() < 0.8
        line = f"write {device} {sector} {count} #{tag}00" if write else f"read {device} {sector} {count}"
        if random.random() < 0.25:
            key += 1
            lines.append(f"start {key} {line}")
        else:
            lines.append(line)
    looks = ["status s0", "events s0", "metadata cow0", f"read s0 0 {size}", f"read org 0 {size}", "read cow0 0 2"]
    lines += random.sample(looks, 2)
    lines += [f"finish {k}" for k in range(1, key + 1)] * (not cut)
    return [*lines, "crash", random.choice(("metadata pv", "metadata cow0", "read base 0 2"))] if cut else lines


def case(seed: int) -> tuple[sm.Session, list[str]]:
    """A world and operations on it."""
    random = Random(seed)
    chunk_size, chunks = random.choice(((1, 3), (2, 2), (1, 4)))
    text, devices = tables(random, chunk_size, chunks)
    session = play(text)
    if random.random() < 0.3:
        merge = f'"0 {chunk_size * chunks} snapshot-merge base cow0 P {chunk_size}"'
        lines = [f"write s0 {chunk_size} {chunk_size} #7", "suspend org", "suspend s0", f"load org {merge}"]
        session = _played(session, lines)
        lines = ["resume org", *script(random, chunk_size, chunks, ["org", *devices[2:]])]
    else:
        lines = script(random, chunk_size, chunks, devices)
    return session, lines


def _played(session: sm.Session, lines: list[str]) -> sm.Session:
    for line in lines:
        _, session = sm.operate(session, sm.parse_operation(line))
    return session


def compare(seed: int, monkeypatch: pytest.MonkeyPatch) -> bool | None:
    """Whether nothing is left out and nothing made up; None: the plain twin would take too long."""
    session, lines = case(seed)
    plain = plainly(session, lines, monkeypatch)
    return None if plain is None else everything(session, lines) == plain == everything(session, lines, told=False)


@pytest.mark.spec("WORLD-14")
@pytest.mark.parametrize("first", range(0, 120, 40))
def test_nothing_is_left_out_in_random_worlds(first: int, monkeypatch: pytest.MonkeyPatch) -> None:
    compared = [compare(seed, monkeypatch) for seed in range(first, first + 40)]
    assert [first + i for i, same in enumerate(compared) if same is False] == []
    assert sum(same is not None for same in compared) >= 15


def _first_only(world: sm.World) -> Iterator[sm.WorkId]:
    """A reduction that is wrong: of all that is in flight only the oldest may end."""
    yield from (flight.effect.id for flight in world.flights[1:])


def _always(_session: sm.Session, _key: int | None, flight: Flight, _after: Ahead) -> bool:
    """A reduction that is wrong: any data may be moved at once."""
    return isinstance(flight.effect, sm.Io)


def _one_more(world: sm.World, snap: SnapshotTarget) -> int:
    """A reduction that is wrong: a store has room for an exception more than it has."""
    return _ROOM(world, snap) + 1


_ROOM = _calm.free_exceptions


@pytest.mark.spec("WORLD-14")
@pytest.mark.parametrize(
    ("where", "name", "wrong", "first"),
    [
        (_reductions, "out_of_turn", _first_only, 76),
        (_reductions, "commutes", _always, 0),
        (_calm, "free_exceptions", _one_more, 100),
        (_calm, "needed_exceptions", lambda _snap, _writes: 0, 100),
    ],
    ids=["order", "at once", "room", "needs"],
)
def test_a_wrong_reduction_is_met(
    where: ModuleType, name: str, wrong: object, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, name, wrong)
    assert any(compare(seed, monkeypatch) is False for seed in range(first, 120))
