import re
from pathlib import Path
from typing import get_args

import pytest
from tests.model._play import setup

import snapmerge as sm
from snapmerge.trace.kinds import KINDS, possible

SPECS = Path(__file__).resolve().parents[3] / "specs"
WORDS: dict[str, set[type[sm.Outcome]]] = {
    "ok": {sm.Done},
    "fails": {sm.Failed},
    "runs": {sm.Data},
    "a quoted line": {sm.Line},
    "a number": {sm.Count},
    "store": {sm.Records},
    "new": {sm.Records},
    "foreign": {sm.Records},
}
"""How the table of specs/trace.md names the kinds."""

OVERFLOWS = setup("P 1", base=160, cow=60) + "write snap 0 100 #1 -> error EIO"
"""A write with so many schedules that a search over all of them is given up."""


def following(text: str) -> sm.Oracle:
    """An oracle that has seen a trace, and gives up soon."""
    oracle = sm.Oracle(budget=sm.Budget(work=50))
    for step in sm.parse_trace(text):
        assert oracle.observe(step.operation, oracle.expect(step.operation)) is None
    return oracle


def test_every_operation_but_finish_is_there() -> None:
    assert set(KINDS) == {*get_args(sm.Plain), sm.Start}


def test_the_table_of_the_specs_says_the_same() -> None:
    rows = re.findall(r"^\| `([a-z]+)[^|]*\|[^|]*\| (.*) \|$", (SPECS / "trace.md").read_text(), re.MULTILINE)
    written: dict[str, set[type[sm.Outcome]]] = {}
    for name, outcomes in rows:
        found = re.findall("|".join(WORDS), re.sub(r"\(.*?\)", "", outcomes))
        for word in found:
            written.setdefault(name, set()).update(WORDS[word])
    written = {name: kinds for name, kinds in written.items() if name in sm.OPERATION_WORDS - {"finish"}}
    assert written == {kind.__name__.lower(): set(outcomes) for kind, outcomes in KINDS.items()}


@pytest.mark.parametrize("path", sorted(SPECS.glob("*/*.trace")), ids=lambda path: path.stem)
def test_what_is_recorded_is_possible(path: Path) -> None:
    for step in sm.parse_trace(path.read_text()):
        if step.outcome is not None and not isinstance(step.operation, sm.Finish):
            assert possible(step.operation, step.outcome)


@pytest.mark.spec("ORACLE-12")
@pytest.mark.parametrize(
    ("seen", "allowed"),
    [
        ("write snap 0 40 #1 -> #1+40", "error EIO"),
        ("write snap 0 40 #1 -> blocked", "error EIO"),
        ("read origin 0 4 -> ok", "#1000+4"),
        ("read origin 0 4 -> #1000+3", "#1000+4"),
        ("status snap -> ok", '"0 160 snapshot Invalid"'),
        ('events snap -> "1"', "1"),
        ("start 1 flush snap -> blocked", "ok"),
        ("disk more 8 -> error EIO", "ok"),
        ("read origin 0 4 -> died panic", "#1000+4"),
    ],
)
def test_what_an_operation_never_has_diverges_without_a_search(seen: str, allowed: str) -> None:
    oracle = following(OVERFLOWS)
    (step,) = sm.parse_trace(seen)
    assert step.outcome is not None
    assert oracle.observe(step.operation, step.outcome) == sm.Divergence(step, (sm.parse_outcome(allowed),))
    assert oracle.worlds == 0
    assert oracle.observe(step.operation, oracle.expect(step.operation)) is None


def test_what_an_operation_may_have_is_searched_for() -> None:
    oracle = following(OVERFLOWS)
    assert isinstance(oracle.observe(sm.Metadata("cow"), sm.Failed("EIO")), sm.Undecided)


@pytest.mark.spec("ORACLE-12")
@pytest.mark.parametrize(
    ("before", "started", "seen", "diverges"),
    [
        ("", "read snap 0 2", "#1000+2", False),
        ("suspend snap", "read snap 0 2", "blocked", False),
        ("suspend snap", "read snap 0 2", "#1000+2", True),
        ("", "read snap 0 2", "#1000+3", True),
        ("", "read snap 0 2", "ok", True),
        ("", "status snap", "blocked", True),
    ],
)
def test_what_was_started_says_how_it_can_end(before: str, started: str, seen: str, *, diverges: bool) -> None:
    oracle = following(f"{setup()}{before}\nstart 1 {started}")
    found = oracle.observe(sm.Finish(1), sm.parse_outcome(seen))
    assert isinstance(found, sm.Divergence) == diverges
