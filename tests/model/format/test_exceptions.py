import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapmerge.format import exceptions
from snapmerge.format.exceptions import NO_EXCEPTIONS, Exceptions, Range

old_chunks = st.lists(st.integers(250, 262), unique=True)


def table(*pairs: tuple[int, int]) -> Exceptions:
    made = NO_EXCEPTIONS
    for old, new in pairs:
        made = exceptions.insert(made, old, new)
    return made


def ranges(made: Exceptions) -> list[Range]:
    return [one for block in sorted(made) for one in made[block]]


@pytest.mark.spec("EXC-3")
@given(old_chunks)
def test_a_chunk_is_found_wherever_it_was_put(olds: list[int]) -> None:
    made = table(*((old, 2 + k) for k, old in enumerate(olds)))
    assert {old: exceptions.lookup(made, old) for old in olds} == {old: 2 + k for k, old in enumerate(olds)}
    assert [exceptions.lookup(made, old) for old in range(250, 263) if old not in olds] == [None] * (13 - len(olds))
    assert list(exceptions.pairs(made)) == sorted((old, 2 + k) for k, old in enumerate(olds))


@pytest.mark.spec("EXC-4")
def test_chunks_that_follow_each_other_on_both_devices_are_one_range() -> None:
    assert ranges(table((5, 2), (6, 3), (7, 4))) == [Range(5, 2, 2)]
    assert ranges(table((6, 3), (5, 2))) == [Range(5, 2, 1)]
    assert ranges(table((5, 2), (6, 4))) == [Range(5, 2, 0), Range(6, 4, 0)]


@pytest.mark.spec("EXC-4")
def test_a_range_ends_at_a_multiple_of_256_old_chunks() -> None:
    assert ranges(table((254, 2), (255, 3), (256, 4), (257, 5))) == [Range(254, 2, 1), Range(256, 4, 1)]


@pytest.mark.spec("EXC-7")
def test_two_ranges_with_the_gap_between_them_filled_stay_two() -> None:
    assert ranges(table((5, 2), (7, 4), (6, 3))) == [Range(5, 2, 1), Range(7, 4, 0)]


@pytest.mark.spec("EXC-4")
def test_a_chunk_is_taken_from_either_end_of_its_range_only() -> None:
    made = table((5, 2), (6, 3), (7, 4))
    first, last = exceptions.remove(made, 5), exceptions.remove(made, 7)
    assert not isinstance(first, str)
    assert not isinstance(last, str)
    assert ranges(first) == [Range(6, 3, 1)]
    assert ranges(last) == [Range(5, 2, 1)]
    assert exceptions.remove(made, 6) == "Attempt to merge block 6 from the middle of a chunk range [5 - 7]"
    assert exceptions.remove(made, 8) == "Corruption detected: exception for block 8 is on disk but not in memory"


@given(old_chunks)
def test_what_is_put_in_can_be_taken_out_in_reverse_until_nothing_is_left(olds: list[int]) -> None:
    made = table(*((old, 2 + k) for k, old in enumerate(olds)))
    for old in reversed(olds):
        shorter = exceptions.remove(made, old)
        assert not isinstance(shorter, str)
        assert exceptions.lookup(shorter, old) is None
        made = shorter
    assert made == NO_EXCEPTIONS
