"""The recipes as proposed in 2009: right by the intended design, where they can be, and wrong as posted."""

from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from tests.specs.recipes.test_operator import held
from tests.specs.recipes.test_properties import Seed, caught, plans, rollback, schedules

import snapmerge as sm
from snapmerge import CONCEPT, Implementation, Operation, Outcome, parse_operation, parse_trace, print_trace
from snapmerge_adapters import Memory
from snapmerge_specs.concept import AS_POSTED, BackupAsPosted, ConceptRollback
from snapmerge_specs.concept.recipes import CONCEPT_ROLLBACK_DEFECTS
from snapmerge_specs.recipes.backup import COPY
from snapmerge_specs.recipes.operator import Shape
from snapmerge_specs.recipes.properties import Plan
from snapmerge_specs.recipes.rollback import Rollback
from snapmerge_specs.recipes.world import Load, Numbers

RECIPES = Path(__file__).resolve().parents[3] / "specs" / "recipes"


@pytest.mark.spec("RECIPE-1")
@pytest.mark.spec("RECIPE-4")
@settings(max_examples=100)
@given(plans(wait=4), schedules())
def test_a_rollback_beside_the_snapshot_leaves_what_was_before(plan: Plan, seed: Seed) -> None:
    assert rollback(ConceptRollback, plan, seed, CONCEPT) is None


@pytest.mark.parametrize("defect", CONCEPT_ROLLBACK_DEFECTS, ids=lambda one: one.__name__)
@pytest.mark.spec("RECIPE-14")
def test_every_mistake_in_a_rollback_beside_the_snapshot_is_caught(defect: type[Rollback]) -> None:
    assert caught(partial(rollback, defect, rules=CONCEPT), partial(rollback, ConceptRollback, rules=CONCEPT))


@pytest.mark.parametrize("rules", [AS_POSTED, CONCEPT])
@pytest.mark.spec("CONCEPT-27")
def test_the_backup_as_posted_brings_nothing_forward(rules: sm.Rules) -> None:
    load = Load(memory := Memory(rules=rules), 32, Numbers([]))
    backup = BackupAsPosted(load, Shape(32, 4))
    backup.begin()
    assert backup.round().different == ()
    load.apply(parse_operation("write origin 8 4 #101"))
    done = backup.round()
    assert done.different == (8, 9, 10, 11)
    assert held(memory, COPY, 32) == load.contents["snap0"] != load.contents["snap1"]


class Upgrade:
    """An upgrade that writes chunk 2 before the younger snapshot is made, and chunk 4 into the snapshot itself."""

    def __init__(self, inner: Implementation) -> None:
        self._inner = inner
        self.capabilities = inner.capabilities

    def apply(self, operation: Operation) -> Outcome:
        if operation == parse_operation("write cow-after 0 1 #0"):
            for line in ("write origin 8 4 #101", "write upgrade 16 4 #201"):
                self._inner.apply(parse_operation(line))
        return self._inner.apply(operation)

    def close(self) -> None:
        self._inner.close()


@pytest.mark.spec("CONCEPT-26")
def test_only_as_posted_and_only_the_real_origin_changes_siblings() -> None:
    def done(rules: sm.Rules, destination: str) -> tuple[tuple[str, tuple[int, ...]], ...]:
        to = ConceptRollback(Upgrade(Memory(rules=rules)), Shape(32, 4), lambda: None, destination=destination)  # type: ignore[arg-type]
        return to.run().siblings

    four = tuple(range(16, 20))
    assert done(AS_POSTED, "real") == (("before", four), ("after", (*range(8, 12), *four)))
    for rules, destination in ((AS_POSTED, "virtual"), (CONCEPT, "real"), (CONCEPT, "virtual")):
        assert done(rules, destination) == (("before", ()), ("after", ()))


# --- traces ------------------------------------------------------------------------------------------------------


def played(name: str, rules: sm.Rules) -> tuple[sm.Step, ...]:
    memory = Memory(rules=rules)
    steps = parse_trace((RECIPES / name).read_text())
    return tuple(sm.Step(step.operation, memory.apply(step.operation)) for step in steps)


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.trace")), ids=lambda path: path.stem)
@pytest.mark.spec("CONCEPT-26")
@pytest.mark.spec("CONCEPT-27")
def test_the_traces_are_what_was_posted(path: Path) -> None:
    assert path.read_text().startswith("# ")
    assert print_trace(played(path.name, AS_POSTED)) == print_trace(parse_trace(path.read_text()))


@pytest.mark.spec("CONCEPT-26")
def test_as_it_was_meant_the_siblings_are_protected() -> None:
    def shown(steps: tuple[sm.Step, ...]) -> dict[str, list[Outcome | None]]:
        return {
            name: [step.outcome for step in steps if step.operation == parse_operation(f"read {name} 0 32")]
            for name in ("before", "after")
        }

    for now, then in shown(played("rollback-real-origin.trace", AS_POSTED)).values():
        assert now != then
    for now, then in shown(played("rollback-real-origin.trace", CONCEPT)).values():
        assert now == then


@pytest.mark.spec("CONCEPT-27")
def test_as_it_was_meant_the_backup_is_as_wrong() -> None:
    *_, copy, snap1 = played("backup-as-posted.trace", CONCEPT)
    assert copy.outcome != snap1.outcome
    assert copy == played("backup-as-posted.trace", AS_POSTED)[-2]
