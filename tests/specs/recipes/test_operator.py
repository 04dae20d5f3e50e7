from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

import snapmerge as sm
from snapmerge import Digest, Implementation, Operation, Outcome, parse_operation
from snapmerge_adapters import Files, Guest, Memory
from snapmerge_specs.recipes.backup import COPY, Backup
from snapmerge_specs.recipes.operator import Operator, RecipeError, Shape, runs
from snapmerge_specs.recipes.rollback import Rollback
from snapmerge_specs.recipes.world import Load, Numbers


@pytest.fixture(params=["memory", "file"])
def implementation(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Implementation]:
    made: Implementation = Memory() if request.param == "memory" else Files(tmp_path, keep=False)
    yield made
    made.close()


def busy(implementation: Implementation, size: int, *, longest: int, every: int = 1) -> Load:
    """Others that write all over the origin, always the same."""
    return Load(implementation, size, Random(7).randint, longest=longest, every=every)


def held(implementation: Implementation, where: str, size: int) -> tuple[sm.Seen, ...]:
    seen = implementation.apply(sm.Read(where, sm.Sector(0), sm.Sectors(size)))
    assert isinstance(seen, sm.Data)
    return seen.sectors


class Noting:
    """Notes what was done."""

    def __init__(self, inner: Implementation) -> None:
        self._inner = inner
        self.capabilities = inner.capabilities
        self.done: list[str] = []

    def apply(self, operation: Operation) -> Outcome:
        self.done.append(sm.print_operation(operation))
        return self._inner.apply(operation)

    def close(self) -> None:
        self._inner.close()


# --- runs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sectors", "found"),
    [
        ((), []),
        ((5,), [(0, 1, 5)]),
        ((5, 6, 7, 7, 0, 0, 1), [(0, 3, 5), (3, 1, 7), (4, 1, 0), (5, 2, 0)]),
        ((9, 8, 2**32 - 2, 2**32 - 1), [(0, 1, 9), (1, 1, 8), (2, 2, 2**32 - 2)]),
    ],
)
def test_what_was_read_is_written_in_runs(sectors: tuple[int, ...], found: list[tuple[int, int, int]]) -> None:
    assert list(runs(sectors)) == found
    operator = Operator(memory := Memory(), Shape(8, 1))
    operator.disk("disk", 8)
    operator.write("disk", 1, sectors)
    assert held(memory, "disk", 8)[1 : len(sectors) + 1] == sectors


@pytest.mark.spec("RECIPE-7")
def test_a_sector_without_a_tag_is_not_copied() -> None:
    with pytest.raises(RecipeError, match="sector 1 of what was read holds no tag"):
        list(runs((1, Digest("0" * 16), 2)))


# --- backup ------------------------------------------------------------------------------------------------------


@pytest.mark.spec("RECIPE-2")
@pytest.mark.spec("RECIPE-10")
@pytest.mark.spec("RECIPE-11")
def test_a_backup_under_load_copies_what_has_changed(implementation: Implementation) -> None:
    load = busy(implementation, 66, longest=3, every=3)
    backup = Backup(load, Shape(66, 8))
    backup.begin()
    rounds = []
    for _ in range(4):
        rounds.append(backup.round())
        assert held(implementation, COPY, 66) == load.contents[rounds[-1].snapshot]
    assert [one.full for one in rounds] == [True, False, False, False]
    assert rounds[0].copied == 66
    assert load.writes > 10


@pytest.mark.spec("RECIPE-3")
@pytest.mark.spec("RECIPE-12")
def test_a_round_copies_changed_chunks_from_the_snapshot_and_flushes_before_the_old_one_goes() -> None:
    noting = Noting(Memory())
    backup = Backup(noting, Shape(10, 4), wait=0)
    backup.begin()
    backup.round()
    noting.apply(parse_operation("write origin 9 1 #77"))
    noting.done.clear()
    done = backup.round()
    assert (done.changed, done.copied, done.full) == (1, 2, False)
    taken = noting.done.index('create snap1 "0 10 snapshot base cow1 P 4"')
    assert [op for op in noting.done[taken:] if not op.startswith(("status", "read snap0"))] == [
        'create snap1 "0 10 snapshot base cow1 P 4"',
        "flush cow1",
        "resume origin",
        "metadata cow0",
        "read copy 8 2",
        "read snap1 8 2",
        "write copy 8 1 #9",
        "write copy 9 1 #77",
        "flush copy",
        "read snap1 0 10",
        "read copy 0 10",
        "remove snap0",
    ]


@pytest.mark.spec("RECIPE-9")
@pytest.mark.spec("RECIPE-13")
def test_a_snapshot_is_made_in_one_suspension_with_everything_durable() -> None:
    noting = Noting(Memory())
    operator = Operator(noting, Shape(8, 4))
    for disk in ("base", "cow"):
        operator.disk(disk, 32)
    operator.make_origin(1)
    noting.done.clear()
    operator.take("snap", "cow")
    operator.take("snap", "cow")  # is there
    assert noting.done == [
        "write cow 0 1 #0",
        "flush cow",
        "suspend origin",
        "flush base",
        'create snap "0 8 snapshot base cow P 4"',
        "flush cow",
        "resume origin",
    ]


@pytest.mark.spec("RECIPE-5")
def test_an_invalid_old_snapshot_means_a_full_copy(implementation: Implementation) -> None:
    load = Load(implementation, 32, Numbers([]))
    backup = Backup(load, Shape(32, 4, 16))
    backup.begin()
    backup.round()
    for sector in range(0, 32, 4):
        load.apply(parse_operation(f"write origin {sector} 1 #{sector + 500}"))
    assert backup.is_invalid("snap0")
    done = backup.round()
    assert (done.full, done.copied, done.different) == (True, 32, ())
    assert held(implementation, COPY, 32) == load.contents["snap1"]


class Overflowing(Noting):
    """Others write, once, so much that the snapshot overflows whose chunk 1 is read to be copied."""

    def apply(self, operation: Operation) -> Outcome:
        if sm.print_operation(operation) == "read snap0 4 4" and "write origin 0 32 #900" not in self.done:
            self.apply(parse_operation("write origin 0 32 #900"))
        return super().apply(operation)


@pytest.mark.spec("RECIPE-6")
def test_a_new_snapshot_that_overflows_is_made_again() -> None:
    load = Load(memory := Overflowing(Memory()), 32, Numbers([]))
    backup = Backup(load, Shape(32, 4, 16))
    backup.begin()
    done = backup.round()
    assert (done.retaken, done.full, done.different) == (1, True, ())
    assert held(memory, COPY, 32) == tuple(range(900, 932))


@pytest.mark.spec("RECIPE-7")
def test_a_store_that_is_always_too_small_is_an_error() -> None:
    load = Load(Memory(), 32, lambda _least, most: most - 5 if most > 6 else 1, longest=32)
    backup = Backup(load, Shape(32, 4, 12))
    backup.begin()
    with pytest.raises(RecipeError, match=r"became invalid 21 times while it was copied; make its COW device larger"):
        backup.round()


@pytest.mark.spec("RECIPE-8")
def test_a_snapshot_that_was_written_to_is_noticed() -> None:
    backup = Backup(memory := Memory(), Shape(32, 4))
    backup.begin()
    backup.round()
    memory.apply(parse_operation("write snap0 13 1 #5"))
    with pytest.raises(RecipeError, match="chunk 3 of snap0 has changed since it was copied"):
        backup.round()


# --- rollback ----------------------------------------------------------------------------------------------------


@pytest.mark.spec("RECIPE-1")
def test_a_rollback_leaves_what_was_before_the_upgrade(implementation: Implementation) -> None:
    load = busy(implementation, 66, longest=5)
    rollback = Rollback(load, Shape(66, 8), load.rest)
    done = rollback.run()
    assert done.is_right
    assert done.merged
    assert held(implementation, "origin", 66) == load.contents["upgrade"]
    assert [held(implementation, name, 66) for name in ("before", "after")] == [
        load.contents["before"],
        load.contents["after"],
    ]


@pytest.mark.spec("RECIPE-7")
def test_there_is_no_way_back_to_an_invalid_snapshot() -> None:
    load = busy(Memory(), 66, longest=5)
    with pytest.raises(RecipeError, match="upgrade is invalid and can't be merged back"):
        Rollback(load, Shape(66, 8, 24), load.rest).run()


# --- a real kernel -----------------------------------------------------------------------------------------------


@pytest.mark.kernel
@pytest.mark.spec("RECIPE-2")
def test_a_backup_of_a_real_kernel_under_load(guest: Guest) -> None:
    load = busy(guest, 515, longest=20, every=2)
    backup = Backup(load, Shape(515, 8))
    backup.begin()
    for number in range(4):
        done = backup.round()
        assert (done.full, done.different) == (number == 0, ())
        assert held(guest, COPY, 515) == load.contents[done.snapshot]
    load.rest()
    assert load.writes > 20


@pytest.mark.kernel
@pytest.mark.spec("RECIPE-1")
def test_a_rollback_of_a_real_kernel(guest: Guest) -> None:
    load = busy(guest, 515, longest=20)
    done = Rollback(load, Shape(515, 8), load.rest).run()
    assert done.is_right
    assert done.merged
    assert held(guest, "origin", 515) == load.contents["upgrade"]
    assert held(guest, "after", 515) == load.contents["after"] != load.contents["before"] == held(guest, "before", 515)
