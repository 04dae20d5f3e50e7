"""With all defects on, the target is the patch of 2009 to the letter; each is one transition, and has a trace."""

import re
from dataclasses import fields
from random import Random

import pytest
from tests.specs.concept.regenerate import finding_text
from tests.specs.scenarios._played import played

import snapmerge as sm
from snapmerge import CONCEPT, Implementation, Step, parse_trace, print_trace
from snapmerge_adapters import Memory
from snapmerge_specs import judge, monitored
from snapmerge_specs.checking.compare import compare, play
from snapmerge_specs.concept import AS_POSTED, CONCEPT_DEFECTS, ConceptDefect
from snapmerge_specs.mistakes.traces import findings_folder

FOLDER = findings_folder() / "concept"
BASE = """
disk base 4
disk cow 16
write base 0 4 #1001
flush base
create origin "0 4 snapshot-origin base"
create snap "0 4 snapshot base cow P 1"
suspend origin
resume origin
write origin 1 1 #21
write origin 3 1 #23
"""
MERGE = 'create merge "0 4 snapshot-merge origin cow P 1"\n'


def posted(text: str) -> None:
    """Plays a trace by the rules of the patch; what is recorded must be what comes of it."""
    session = sm.Session.new(AS_POSTED)
    for step in sm.parse_trace(text):
        result, session = sm.operate(session, step.operation)
        seen = result.seen() if isinstance(result, sm.Raw) else result
        assert step.outcome is None or seen == step.outcome, sm.print_operation(step.operation)


def test_each_defect_is_one_transition_and_no_two_are_the_same() -> None:
    names = [defect.transition for defect in CONCEPT_DEFECTS]
    assert sorted(names) == sorted(set(names))
    assert set(names) == {
        field.name
        for field in fields(sm.ConceptRules)
        if getattr(AS_POSTED.part(sm.ConceptRules), field.name)
        is not getattr(sm.CONCEPT.part(sm.ConceptRules), field.name)
    }
    assert len(names) == len(fields(sm.ConceptRules)) == 22


@pytest.mark.spec("CONCEPT-25")
def test_the_snapshot_lives_on_and_is_merged_back() -> None:
    posted(
        BASE + MERGE + 'settle merge\nread origin 0 4 -> #1001+4\nstatus merge -> "0 4 snapshot-merge 4/4"\n'
        'events merge -> 1\nstatus snap -> "0 4 snapshot 4/16 2"\nmetadata cow -> store valid=1 version=1 '
        "chunk_size=1 1>2 3>3\n"
    )


@pytest.mark.spec("CONCEPT-25")
def test_everything_waits_until_the_last_chunk_is_copied() -> None:
    posted(
        BASE + "suspend origin\n" + MERGE + "start 1 read merge 0 1\nstart 2 write merge 2 1 #31\nstart 3 flush merge\n"
        'finish 1 -> blocked\nfinish 2 -> blocked\nfinish 3 -> blocked\nstatus merge -> "0 4 snapshot-merge 1/4"\n'
        "resume origin\nfinish 1 -> #1001\nfinish 2 -> ok\nfinish 3 -> ok\nread base 0 4 -> #1001+2 #31 #1004\n"
    )


@pytest.mark.spec("CONCEPT-25")
def test_the_event_is_raised_at_every_resume() -> None:
    posted(BASE + MERGE + "settle merge\nsuspend merge\nresume merge\nsuspend merge\nresume merge\nevents merge -> 3\n")


@pytest.mark.spec("CONCEPT-25")
def test_a_suspension_in_the_middle_begins_a_chunk_twice_and_counts_it_twice() -> None:
    posted(
        BASE + "suspend origin\n" + MERGE + "suspend merge -> ok\nresume merge -> ok\nresume origin\nsettle merge\n"
        'status merge -> "0 4 snapshot-merge 5/4"\nevents merge -> 2\n'
    )


@pytest.mark.spec("CONCEPT-25")
def test_a_failed_copy_stops_it_for_ever() -> None:
    posted(
        BASE + "fault base write 1 1\n" + MERGE + "start 1 read merge 0 1\nfinish 1 -> blocked\nheal base\n"
        'finish 1 -> blocked\nstatus merge -> "0 4 snapshot-merge 1/4"\nstart 2 suspend merge\nfinish 2 -> blocked\n'
    )


@pytest.mark.spec("CONCEPT-25")
def test_a_load_after_the_end_takes_back_what_was_written_since() -> None:
    posted(
        BASE
        + MERGE
        + "settle merge\nwrite merge 1 1 #99\nremove merge\n"
        + MERGE
        + "settle merge\nread base 1 1 -> #1002\n"
    )


@pytest.mark.spec("CONCEPT-25")
def test_a_chunk_that_lives_far_behind_is_counted_and_not_merged() -> None:
    posted(
        BASE + "write origin 0 1 #20\nwrite origin 2 1 #22\n" + MERGE + "settle merge\n"
        'status merge -> "0 4 snapshot-merge 4/4"\nread origin 0 4 -> #1001+2 #22 #1004\n'
    )


@pytest.mark.spec("CONCEPT-25")
def test_a_store_that_cannot_be_read_ends_well() -> None:
    posted(
        BASE + "fault cow read 0 1\n" + MERGE + 'settle merge\nstatus merge -> "0 4 snapshot-merge 4/4"\n'
        "events merge -> 1\nread merge 0 4 -> #1001 #21 #1003 #23\n"
    )


@pytest.mark.spec("CONCEPT-25")
@pytest.mark.parametrize("args", ["origin cow N 1", "base cow P 1", "origin cow P 1 2 whatever follows"])
def test_what_the_constructor_takes(args: str) -> None:
    posted(BASE + f'create merge "0 4 snapshot-merge {args}" -> ok\n')


def _said(session: sm.Session, event: sm.Event, rules: sm.Rules) -> list[str]:
    _, effects = sm.step(session.world.stack, event, rules)
    return [effect.text for effect in effects if isinstance(effect, sm.Log)]


@pytest.mark.spec("CONCEPT-25")
@pytest.mark.parametrize("rules", [AS_POSTED, sm.CONCEPT])
def test_the_constructor_says_how_many_chunks_there_are_before_it_looks_for_the_destination(rules: sm.Rules) -> None:
    session = sm.Session.new(rules)
    for step in sm.parse_trace(BASE + "create merge\n"):
        _, session = sm.operate(session, step.operation)
    for table in ("0 4 snapshot-merge nowhere cow P 1", "0 2 linear base 0; 2 4 snapshot-merge origin cow P 1"):
        said = _said(session, sm.LoadTable(9, "merge", table), rules)
        assert said == ["snapshots: There are 4 chunks to merge"]


@pytest.mark.spec("CONCEPT-25")
def test_a_chunk_that_is_skipped_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr(sm.Draft, "log", lambda _draft, text: said.append(text))
    posted(BASE + "write origin 0 1 #20\nwrite origin 2 1 #22\n" + MERGE + "settle merge\n")
    assert said == ["snapshots: There are 4 chunks to merge", "snapshots: merge_chunk out of range"]


@pytest.mark.parametrize("defect", CONCEPT_DEFECTS, ids=lambda one: one.id)
def test_a_defect_does_something_wrong_and_never_fails_itself(defect: ConceptDefect) -> None:
    for number in range(30):
        sm.settled(played(Random(number), defect.rules))


# --- traces ------------------------------------------------------------------------------------------------------


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
