import pickle

import pytest

import snapmerge as sm
from snapmerge.records import dataclass, replace


@dataclass(frozen=True, slots=True)
class Larger(sm.DiskState):
    more: int = 0


@pytest.mark.parametrize(
    ("value", "changed", "expected"),
    [
        (
            sm.Bio(sm.Op.READ, "base", 8, 4),
            replace(sm.Bio(sm.Op.READ, "base", 8, 4), sector=16),
            sm.Bio(sm.Op.READ, "base", 16, 4),
        ),
        (Larger(8, more=3), replace(Larger(8, more=3), more=4), Larger(8, more=4)),
        (Larger(8, more=3), replace(Larger(8, more=3), size=9), Larger(9, more=3)),
    ],
)
def test_a_changed_copy_leaves_the_value_alone(value: object, changed: object, expected: object) -> None:
    assert changed == expected
    assert hash(changed) == hash(expected)
    assert changed != value
    assert type(changed) is type(value)


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(TypeError):
        replace(sm.World(), nothing=1)  # type: ignore[call-arg]


def test_a_record_is_frozen() -> None:
    with pytest.raises(AttributeError):
        sm.World().ended = sm.World().ended  # type: ignore[misc]


def test_records_of_two_classes_differ_though_their_fields_do_not() -> None:
    one: sm.Operation = sm.Status("a")
    other: sm.Operation = sm.Table("a")
    assert one != other
    assert Larger(8) != sm.DiskState(8)


def test_a_record_matches_by_position_and_by_name() -> None:
    match sm.Bio(sm.Op.READ, "base", 8, count=4):
        case sm.Bio(sm.Op.READ, "base", int(sector), count=int(count)):
            assert (sector, count) == (8, 4)
        case _:
            pytest.fail("it should match")


def test_an_operation_can_be_pickled() -> None:
    operation = sm.Start(1, sm.Write("base", sm.Sector(0), sm.Sectors(1), 7))
    assert pickle.loads(pickle.dumps(operation)) == operation
