import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapmerge import units

sectors = st.integers(0, 2**48)
chunk_sizes = st.integers(0, 20).map(lambda shift: 1 << shift)


@pytest.mark.spec("UNIT-2")
@given(sectors, chunk_sizes)
def test_a_sector_is_its_chunks_start_and_its_offset(sector: int, chunk_size: int) -> None:
    start = units.chunk_start(units.chunk_of(sector, chunk_size), chunk_size)
    assert start + units.offset_in_chunk(sector, chunk_size) == sector


@given(sectors, chunk_sizes)
def test_room_reaches_the_next_chunk_exactly(sector: int, chunk_size: int) -> None:
    after = sector + units.room_in_chunk(sector, chunk_size)
    assert after == units.chunk_start(units.chunk_of(sector, chunk_size) + 1, chunk_size)


@given(st.integers(1, 2**48), chunk_sizes)
def test_the_last_sector_lies_in_the_last_chunk(length: int, chunk_size: int) -> None:
    assert units.chunk_count(length, chunk_size) == units.chunk_of(length - 1, chunk_size) + 1


@pytest.mark.spec("UNIT-3")
@pytest.mark.parametrize(("length", "chunks"), [(0, 0), (1, 1), (7, 1), (8, 1), (9, 2), (16, 2)])
def test_a_partial_chunk_counts(length: int, chunks: int) -> None:
    assert units.chunk_count(length, 8) == chunks


@pytest.mark.spec("UNIT-1")
def test_a_boundary_belongs_to_the_chunk_behind_it() -> None:
    assert [units.chunk_of(sector, 8) for sector in (0, 7, 8)] == [0, 0, 1]
    assert [units.room_in_chunk(sector, 8) for sector in (0, 7, 8)] == [8, 1, 8]
    assert units.SECTOR_BYTES == 512
