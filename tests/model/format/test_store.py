import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapmerge.format.layout import free_after, is_metadata, new_chunk
from snapmerge.format.store import Persistent, Run, Transient
from snapmerge.units import Chunk

TOTAL = 10_000


def filled(count: int) -> Persistent:
    """A store of 1-sector chunks with ``count`` exceptions, each made for itself."""
    store = Persistent(1).blank()
    for k in range(count):
        prepared = store.prepare(TOTAL)
        assert prepared is not None
        store, new = prepared
        store = store.record(100 + k, new).advance()
    return store


@pytest.mark.spec("STORE-2")
@given(st.integers(0, 140))
def test_allocated_minus_metadata_is_a_chunk_an_exception(count: int) -> None:
    allocated, total, metadata = filled(count).usage(TOTAL)
    assert (allocated - metadata, total) == (count, TOTAL)


@pytest.mark.spec("STORE-2")
@given(st.integers(1, 31))
def test_it_still_is_when_some_have_been_merged(merged: int) -> None:
    allocated, _, metadata = filled(31).merged(merged).usage(TOTAL)
    assert allocated - metadata == 31 - merged


@pytest.mark.spec("STORE-17")
@pytest.mark.parametrize(("made", "new"), [(0, 2), (31, 33), (32, 35)])
def test_allocation_takes_the_next_chunk_that_is_no_area(made: int, new: int) -> None:
    prepared = filled(made).prepare(TOTAL)
    assert prepared is not None
    assert prepared[1] == new


@pytest.mark.spec("STORE-17")
@pytest.mark.parametrize(("total", "fits"), [(24, True), (23, False)])
def test_a_chunk_must_fit_the_device_as_it_is_now(total: int, fits: bool) -> None:
    store = Persistent(8).blank()
    assert (store.prepare(total) is not None) == fits
    grown = store.prepare(24)
    assert grown is not None
    assert grown[1] == 2


@pytest.mark.spec("STORE-20")
def test_the_status_counts_an_exception_that_is_pending() -> None:
    prepared = filled(31).prepare(TOTAL)
    assert prepared is not None
    assert prepared[0].usage(TOTAL) == (35, TOTAL, 2)  # the area behind is counted as allocated, not yet as metadata


@pytest.mark.spec("STORE-15")
@given(st.integers(0, 140))
def test_a_loaded_store_goes_on_where_it_was(count: int) -> None:
    store = Persistent(1).blank()
    records = tuple((k, int(new_chunk(k, 32))) for k in range(count))
    for first in range(0, count, 32):
        store = store.load(b"", records[first : first + 32])
    assert store.loaded().next_free == filled(count).next_free == free_after(count, 32)
    assert not is_metadata(store.loaded().next_free, 32)


def test_the_last_run_is_taken_from_the_image_and_cleared_from_its_end() -> None:
    store = Persistent(1).blank()
    for old, new in ((9, 2), (4, 3), (5, 4)):
        store = store.record(old, new)
    assert store.last_run() == Run(Chunk(4), Chunk(3), 2)
    assert 5 in store.last_run()
    assert 6 not in store.last_run()
    left = store.merged(2)
    assert (left.committed, left.next_free) == (1, 3)
    assert left.image == store.cleared(2)
    assert left.last_run().old == 9


@pytest.mark.spec("STORE-21")
def test_a_transient_store_uses_chunks_from_0_on_and_has_no_metadata() -> None:
    store = Transient(8)
    assert store.usage(20) == (0, 20, 0)
    prepared = store.prepare(20)
    assert prepared is not None
    assert prepared == (Transient(8, next_free=8), 0)
    prepared = prepared[0].prepare(20)
    assert prepared is not None
    assert prepared[1] == 1
    assert prepared[0].prepare(20) is None
