"""How much room a store has, against the store itself, filled up until something fails."""

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from tests.model._play import play

import snapmerge as sm
from snapmerge.format.store import Persistent
from snapmerge.oracle import calm as _calm
from snapmerge.oracle.calm import calm
from snapmerge.world.session import perform


def _filled(store: Persistent, total: int) -> Iterator[Persistent]:
    """The store after each exception that a COW device of ``total`` sectors has room for, and for whose record."""
    while (prepared := store.prepare(total)) is not None:
        recorded = prepared[0].record(0, prepared[1])
        store = recorded.advance()
        if recorded.full and store.area_sector + store.chunk_size > total:
            return
        yield store


@pytest.mark.spec("WORLD-14")
@pytest.mark.parametrize("chunk_size", [1, 2])
def test_the_room_of_a_store_is_what_can_be_filled(chunk_size: int) -> None:
    for chunks in (2, 3, 20, 33, 34, 35, 36, 66, 67, 68, 69, 100):
        total = chunks * chunk_size + chunk_size // 2
        world = play(f"disk base 8\ndisk cow {total}")
        new = Persistent(chunk_size).blank()
        stores = [new, *_filled(new, total)]
        for at, store in enumerate(stores):
            snap = SimpleNamespace(store=store, cow="cow")
            assert _calm.free_exceptions(world.world, snap) == len(stores) - 1 - at  # type: ignore[arg-type]


@pytest.mark.spec("WORLD-14")
@pytest.mark.parametrize(("count", "enough"), [(31, True), (32, False)])
def test_a_write_that_just_fits_is_calm(count: int, enough: bool) -> None:
    session = play('disk base 64\ndisk cow 34\ncreate s "0 64 snapshot base cow P 1"')
    _, session = perform(session, sm.parse_operation(f"start 1 write s 0 {count} #1"))
    assert calm(session.world) is enough
