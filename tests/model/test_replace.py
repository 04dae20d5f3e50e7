import dataclasses
from dataclasses import dataclass

import pytest

import snapmerge as sm
from snapmerge._replace import replace


@dataclass(frozen=True, slots=True)
class Larger(sm.DiskState):
    more: int = 0


@pytest.mark.parametrize(
    ("value", "changes"),
    [
        (sm.Bio(sm.Op.READ, "base", 8, 4), {"sector": 16}),
        (sm.Bio(sm.Op.READ, "base", 8, 4), {"where": "cow", "fua": True}),
        (sm.World(), {"flights": ()}),
        (Larger(8, more=3), {"faults": (("read", 0, 1),)}),
        (Larger(8, more=3), {"more": 4}),
    ],
)
def test_it_is_what_dataclasses_would_make(value: sm.Bio | sm.World | Larger, changes: dict[str, object]) -> None:
    before = dataclasses.replace(value)
    changed = replace(value, **changes)  # type: ignore[arg-type]
    assert changed == dataclasses.replace(value, **changes)  # type: ignore[arg-type]
    assert type(changed) is type(value)
    assert value == before


def test_a_field_that_is_not_there_is_refused() -> None:
    with pytest.raises(AttributeError):
        replace(sm.World(), nothing=1)  # type: ignore[call-arg]
