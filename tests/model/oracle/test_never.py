"""Outcomes that no world can give, and mutants of outcomes against a search that leaves out nothing."""

import itertools
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from tests.model._mutants import mutated
from tests.model._play import play, setup
from tests.model.oracle._plain import plainly
from tests.model.oracle.test_reductions import script, tables

import snapmerge as sm
from snapmerge.oracle import never
from snapmerge.oracle.never import impossible

SPECS = Path(__file__).resolve().parents[3] / "specs"
RACING = setup("P 1", base=160, cow=60) + "start 1 write origin 0 160 #1"
"""A write that overflows a store with many schedules, so that a search is given up."""


@pytest.mark.spec("ORACLE-12")
@pytest.mark.parametrize(
    "seen",
    [
        "read origin 0 4 -> #1 #77777 #1002+2",
        "read origin 0 4 -> error ENOMEM",
        "status snap -> error EIO",
        'status snap -> "0 161 snapshot 2/60 2"',
        'status snap -> "0 160 snapshot 2/61 2"',
        'status snap -> "0 160 snapshot-merge 2/60 2"',
        'status snap -> "0 80 snapshot 2/60 2; 80 80 snapshot 2/60 2"',
        'table snap -> "0 160 snapshot cow base P 1"',
        'table origin -> "0 161 snapshot-origin base"',
        "metadata cow -> store valid=1 version=2 chunk_size=1",
        "metadata cow -> store valid=1 version=1 chunk_size=2",
        "metadata cow -> store valid=1 version=1 chunk_size=1 0>2 1>4",
        "metadata cow -> store valid=1 version=1 chunk_size=1 160>2",
    ],
)
def test_what_no_world_gives_diverges_though_a_search_would_be_given_up(seen: str) -> None:
    oracle = sm.Oracle(budget=sm.Budget(work=50))
    for step in sm.parse_trace(RACING):
        assert oracle.observe(step.operation, oracle.expect(step.operation)) is None
    (step,) = sm.parse_trace(seen)
    assert isinstance(oracle.observe(step.operation, step.outcome), sm.Divergence)
    assert oracle.worlds <= 50


def recorded() -> list[Path]:
    """Traces of what the model, or a kernel that agrees with it, does."""
    return sorted(SPECS.glob("traces/*.trace"))


def refused(steps: list[sm.Step]) -> list[sm.Step]:
    """The steps of which the check says that no world gives their outcome."""
    operations = [step.operation for step in steps]
    return [
        step
        for at, step in enumerate(steps)
        if step.outcome is not None
        and not isinstance(step.operation, sm.Finish)
        and impossible(operations[:at], step.operation, step.outcome)
    ]


@pytest.mark.spec("ORACLE-2")
@pytest.mark.parametrize("path", recorded(), ids=lambda path: path.stem)
def test_what_is_recorded_can_be(path: Path) -> None:
    assert refused(list(sm.parse_trace(path.read_text()))) == []


def scenario(seed: int) -> tuple[str, list[str], Random]:
    """A small world as a text, operations on it, and the choices of a schedule."""
    random = Random(seed)
    chunk_size, chunks = random.choice(((1, 3), (2, 2), (1, 4)))
    text, devices = tables(random, chunk_size, chunks)
    return text, script(random, chunk_size, chunks, devices), random


def played(seed: int) -> tuple[str, list[sm.Step]]:
    """The world, and what the operations show by a schedule that is drawn; none, if one makes no sense by it."""
    text, lines, random = scenario(seed)
    session, steps = play(text), []
    try:
        for operation in map(sm.parse_operation, lines):
            result, session = sm.operate(session, operation, lambda count, _canonical: random.randrange(count))
            steps.append(sm.Step(operation, result.seen() if isinstance(result, sm.Raw) else result))
    except sm.OperationError:
        return text, []
    return text, steps


@pytest.mark.spec("ORACLE-2")
def test_what_the_model_does_by_any_schedule_can_be() -> None:
    for seed in range(300):
        text, steps = played(seed)
        before = [sm.Step(sm.parse_operation(line), None) for line in text.splitlines()]
        assert refused([*before, *steps]) == []


TWO_AREAS = (
    setup("P 1", base=40).replace(" -> ok", "") + "write snap 0 40 #1\nread snap 38 2\nmetadata cow\nstatus snap"
)
"""Operations after which a store has more records than one area holds."""


@pytest.mark.spec("ORACLE-2")
@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("new_chunk", lambda k, _per_area: 2 + k),
        ("parse_table", lambda _text: ()),
        ("tags_from", lambda first, _: {first}),
    ],
)
def test_a_wrong_check_is_met(name: str, wrong: object, monkeypatch: pytest.MonkeyPatch) -> None:
    oracle = sm.Oracle()
    operations = [step.operation for step in sm.parse_trace(TWO_AREAS)]
    for operation in operations:
        assert oracle.observe(operation, oracle.expect(operation)) is None
    assert refused(oracle.history) == []
    monkeypatch.setattr(never, name, wrong)
    assert refused(oracle.history) != []


MUTANTS = 8
"""Of so many mutants one is judged."""


def judged(seed: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """How mutants of what a scenario shows are judged, and whether a search that leaves out nothing says the same."""
    text, steps = played(seed)
    lines = [sm.print_operation(step.operation) for step in steps]
    plain = plainly(play(text), lines, monkeypatch) if steps else None
    if plain is None:
        return
    seen = tuple(sm.print_outcome(step.outcome) for step in steps if step.outcome is not None)
    for at, mutant in itertools.islice(mutated(steps), seed % MUTANTS, None, MUTANTS):
        oracle = sm.Oracle()
        for operation in map(sm.parse_operation, text.splitlines()):
            assert oracle.observe(operation, oracle.expect(operation)) is None
        for step in steps[:at]:
            assert oracle.observe(step.operation, step.outcome) is None
        verdict = oracle.observe(steps[at].operation, mutant)
        possible = any(found[: at + 1] == (*seen[:at], sm.print_outcome(mutant)) for found in plain)
        if isinstance(verdict, sm.Undecided):
            yield "undecided"
        else:
            yield ("allowed" if verdict is None else "caught") if possible == (verdict is None) else "wrong"


@pytest.mark.spec("ORACLE-1")
@pytest.mark.spec("ORACLE-12")
def test_a_mutant_is_caught_unless_a_search_that_leaves_out_nothing_finds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    count = Counter(itertools.chain.from_iterable(judged(seed, monkeypatch) for seed in range(SCENARIOS)))
    assert count["wrong"] == 0
    assert count["undecided"] == 0
    assert count["caught"] >= SCENARIOS
    assert count["allowed"] <= SCENARIOS // 20


SCENARIOS = 100
