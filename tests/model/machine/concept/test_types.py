import snapmerge as sm
from snapmerge.machine.core.state import Work


def test_every_kind_of_work_has_a_name() -> None:
    assert [kind for kind in sm.CONCEPT.done if kind.name is Work.name] == []
