"""The findings in the patch of 2009: a file each, which plays as it should be, and as it is with the defect."""

import re

import pytest
from tests.specs.concept.regenerate import finding_text

from snapmerge import CONCEPT, Implementation, Step, parse_trace, print_trace
from snapmerge_adapters import Memory
from snapmerge_specs import CONCEPT_DEFECTS, ConceptDefect, judge, monitored
from snapmerge_specs.concept.findings import findings_folder
from snapmerge_specs.lockstep.compare import compare, play

FOLDER = findings_folder() / "concept"


def _text(defect: ConceptDefect) -> str:
    return (FOLDER / f"{defect.id}.trace").read_text()


def test_each_defect_has_its_trace_and_each_trace_its_defect() -> None:
    assert {path.stem for path in FOLDER.glob("*.trace")} == {defect.id for defect in CONCEPT_DEFECTS}


@pytest.mark.parametrize("defect", CONCEPT_DEFECTS, ids=lambda defect: defect.id)
def test_the_trace_shows_the_property_that_its_head_names(defect: ConceptDefect) -> None:
    text = _text(defect)
    operations = [step.operation for step in parse_trace(text)]
    _, broken = monitored(operations, defect.rules)
    assert broken is not None
    assert f"# Property: {broken.property} ({defect.statement}): {broken.problem}." in text
    assert monitored(operations, CONCEPT)[1] is None


@pytest.mark.parametrize("defect", CONCEPT_DEFECTS, ids=lambda defect: defect.id)
def test_its_outcomes_are_right_and_those_with_the_defect_differ(defect: ConceptDefect) -> None:
    steps = parse_trace(_text(defect))
    operations = [step.operation for step in steps]
    assert play(operations, CONCEPT) == [step.outcome for step in steps]
    assert any(one.expected != one.actual for one in compare(operations, defect.rules))


@pytest.mark.parametrize("defect", CONCEPT_DEFECTS, ids=lambda defect: defect.id)
def test_the_oracle_agrees_to_what_is_recorded(defect: ConceptDefect) -> None:
    assert all(verdict is None for _, verdict in judge(parse_trace(_text(defect)), CONCEPT))


def test_a_file_is_what_the_hunt_finds_today() -> None:
    defect = next(defect for defect in CONCEPT_DEFECTS if defect.id == "S3")
    seed = re.search(r"seed ([0-9]+)", _text(defect))
    assert seed is not None
    assert finding_text(defect, int(seed[1])) == _text(defect)


def test_memory_plays_them_as_they_are_recorded() -> None:
    for defect in CONCEPT_DEFECTS:
        steps = parse_trace(_text(defect))
        implementation: Implementation = Memory(rules=CONCEPT)
        seen = [Step(step.operation, implementation.apply(step.operation)) for step in steps]
        if "crash" not in _text(defect):  # what a power cut leaves is the adapter's choice
            assert print_trace(seen) == print_trace(steps)
