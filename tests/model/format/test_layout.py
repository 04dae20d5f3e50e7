from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapmerge.format import layout

small = st.integers(1, 40)
counts = st.integers(0, 500)


def data_chunks(per_area: int, count: int) -> list[int]:
    """The first chunks that hold data, by walking the device: the plain twin of the closed form."""
    metadata = {0} | {layout.area_location(area, per_area) for area in range(count // per_area + 2)}
    return list(islice((chunk for chunk in range(2 * count + 4) if chunk not in metadata), count))


@pytest.mark.spec("LAYOUT-3")
@given(counts, small)
def test_allocations_are_the_chunks_that_hold_no_metadata(count: int, per_area: int) -> None:
    assert [layout.new_chunk(k, per_area) for k in range(count)] == data_chunks(per_area, count)


@given(counts, small)
def test_an_allocation_at_a_time_gives_the_closed_form(count: int, per_area: int) -> None:
    next_free = layout.FIRST_DATA_CHUNK
    for k in range(count):
        chunk = layout.skip_metadata(next_free, per_area)
        assert chunk == layout.new_chunk(k, per_area)
        next_free = layout.skip_metadata(chunk + 1, per_area)
    assert layout.free_after(count, per_area) == next_free


def test_the_33rd_exception_of_the_smallest_chunk_size_skips_the_second_area() -> None:
    per_area = layout.exceptions_per_area(1)
    assert [layout.new_chunk(k, per_area) for k in (0, 31, 32)] == [2, 33, 35]
    assert layout.area_location(1, per_area) == 34


@pytest.mark.spec("LAYOUT-1")
@pytest.mark.spec("LAYOUT-2")
def test_the_areas_of_8_sector_chunks() -> None:
    assert layout.exceptions_per_area(8) == 256
    assert [layout.area_location(area, 256) for area in range(3)] == [1, 258, 515]
    assert [chunk for chunk in range(600) if layout.is_metadata(chunk, 256)] == [0, 1, 258, 515]


@pytest.mark.parametrize(
    ("records", "length"),
    [
        (((5, 2),), 1),
        (((5, 2), (6, 3), (7, 4)), 3),
        (((9, 9), (6, 3), (7, 4)), 2),
        (((5, 2), (6, 4)), 1),  # new has a gap, as behind an area
        (((6, 2), (5, 3)), 1),  # old goes down
    ],
)
def test_a_run_descends_in_old_and_new(records: tuple[tuple[int, int], ...], length: int) -> None:
    assert layout.merge_run(records) == length


@pytest.mark.spec("LAYOUT-7")
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(2, 7)), min_size=1, max_size=6))
def test_a_run_is_the_longest(records: list[tuple[int, int]]) -> None:
    old, new = records[-1]
    length = layout.merge_run(tuple(records))
    assert records[-length:] == [(old - i, new - i) for i in reversed(range(length))]
    if length < len(records):
        assert records[-length - 1] != (old - length, new - length)
