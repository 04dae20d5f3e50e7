"""Shrinking leaves out what is not needed, and nothing that is."""

from hypothesis import given
from hypothesis import strategies as st

from snapmerge import Count, Finish, Step
from snapmerge_specs import shrink


def _steps(numbers: list[int]) -> tuple[Step, ...]:
    return tuple(Step(Finish(number), Count(0)) for number in numbers)


@given(st.sets(st.integers(0, 40), min_size=1, max_size=4))
def test_exactly_what_is_needed_is_left(needed: set[int]) -> None:
    def still_fails(steps: tuple[Step, ...]) -> tuple[Step, ...] | None:
        return steps if needed <= {s.operation.key for s in steps if isinstance(s.operation, Finish)} else None

    shrunk = shrink(_steps(list(range(41))), still_fails, tries=1000)
    assert shrunk == _steps(sorted(needed))


def test_tries_are_bounded() -> None:
    calls: list[int] = []

    def still_fails(steps: tuple[Step, ...]) -> tuple[Step, ...] | None:
        calls.append(len(steps))
        return None

    assert len(shrink(_steps(list(range(30))), still_fails, tries=7)) == 30
    assert len(calls) == 7
