"""Implementations that have less than everything are asked for nothing else, and what they refuse is counted."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from snapmerge import (
    Capabilities,
    Create,
    Died,
    Disk,
    Failed,
    Fault,
    Load,
    Message,
    Operation,
    OperationError,
    Outcome,
    inner,
    operation_word,
)
from snapmerge_adapters import Memory
from snapmerge_specs import check
from snapmerge_specs.lockstep.capabilities import left_out

ALL = Memory().capabilities
KINDS = {"P", "N", "PO"}
BARE = replace(ALL, features=frozenset())


class Less(Memory):
    """The model with the capabilities that it is given.  ``asked``: what was asked of all of them, and the outcome."""

    asked: list[tuple[Operation, Outcome]]
    made: int

    def __init__(self, can: Capabilities) -> None:
        super().__init__()
        self._can = can

    @property
    def capabilities(self) -> Capabilities:
        return self._can

    def apply(self, operation: Operation) -> Outcome:
        outcome = super().apply(operation)
        self.asked.append((operation, outcome))
        return outcome


def asked_of(can: Capabilities, runs: int = 20) -> tuple[list[tuple[Operation, Outcome]], int]:
    """What a check asks of an implementation with these capabilities, and how often it makes a new one."""
    asked: list[tuple[Operation, Outcome]] = []
    made = 0

    def make() -> Less:
        nonlocal made
        made += 1
        less = Less(can)
        less.asked = asked
        return less

    report = check(make, runs=runs, seed=3)
    assert report.found is None
    assert not report.refused
    assert report.checked > 0
    return asked, made


def words_of(some: set[str]) -> str:
    """A name that is the same in every process, in which the order of a set is not."""
    return " ".join(sorted(some))


def lines(asked: list[tuple[Operation, Outcome]]) -> list[list[str]]:
    """The words of every table line that was asked for."""
    plain = [inner(one) for one, _ in asked]
    tables = [one.table for one in plain if isinstance(one, Create | Load) and one.table]
    return [line.split() for table in tables for line in table.split(";")]


@pytest.mark.spec("PROTO-3")
@pytest.mark.parametrize(
    "targets",
    [
        {"snapshot-merge"},
        {"snapshot"},
        {"linear"},
        {"zero"},
        {"error", "snapshot"},
        {"snapshot-origin"},
        {"snapshot", "snapshot-origin"},
        {"snapshot", "snapshot-merge"},
        set[str](),
    ],
    ids=words_of,
)
def test_only_the_targets_that_it_has_are_asked_for(targets: set[str]) -> None:
    asked, _ = asked_of(replace(BARE, targets=frozenset(targets)))
    found = {words[2] for words in lines(asked)}
    assert found == targets
    assert {words[5] for words in lines(asked) if len(words) > 5} <= {"P"}


@pytest.mark.spec("PROTO-3")
@pytest.mark.parametrize("features", [set[str](), {"N"}, {"PO"}, {"N", "PO"}, {"discard"}], ids=words_of)
def test_only_the_kinds_of_stores_that_it_has_are_asked_for(features: set[str]) -> None:
    asked, _ = asked_of(replace(ALL, features=frozenset(features)))
    assert {words[5] for words in lines(asked) if len(words) > 5} == {"P"} | (features & KINDS)
    assert not any("discard_zeroes_cow" in words for words in lines(asked))


@pytest.mark.spec("PROTO-3")
def test_the_features_of_tables_that_it_has_are_asked_for() -> None:
    asked, _ = asked_of(replace(BARE, features=frozenset({"discard", "discard_zeroes_cow"})))
    found = {word for words in lines(asked) for word in words[8:]}
    assert found == {"discard_zeroes_cow"}


@pytest.mark.spec("PROTO-3")
@pytest.mark.parametrize("refusals", [False, True])
def test_what_is_refused_is_tried_only_when_it_can_be(refusals: bool) -> None:
    asked, _ = asked_of(replace(ALL, features=ALL.features - (set() if refusals else {"refusals"})))
    refused = [one for one, seen in asked if isinstance(one, Create | Load | Message) and isinstance(seen, Failed)]
    assert bool(refused) == refusals


@pytest.mark.spec("PROTO-3")
def test_only_the_operations_and_faults_that_it_has_are_asked_for() -> None:
    words = frozenset({"disk", "write", "read", "fault", "heal", "create", "reset"})
    asked, made = asked_of(replace(ALL, operations=words, faults=frozenset({"read", "melt"})))
    assert {operation_word(one) for one, _ in asked} == words
    assert {one.kind for one, _ in asked if isinstance(one, Fault)} == {"read"}
    assert made == 1


@pytest.mark.spec("PROTO-3")
def test_without_reset_each_scenario_has_a_new_one() -> None:
    asked, made = asked_of(replace(ALL, operations=ALL.operations - {"reset"}), runs=5)
    assert made == 5
    assert "reset" not in {operation_word(one) for one, _ in asked}


def refusing(refuses: Callable[[Operation], bool], outcome: Outcome | None = None) -> Callable[[], Memory]:
    class Refusing(Memory):
        def apply(self, operation: Operation) -> Outcome:
            if not refuses(operation):
                return super().apply(operation)
            if outcome is not None:
                return outcome
            raise OperationError("not today")

    return Refusing


def test_what_it_refuses_is_counted() -> None:
    report = check(refusing(lambda one: operation_word(one) == "flush"), runs=20, seed=1)
    assert report.found is None
    assert dict(report.refused).keys() == {"flush"}
    assert report.refusal is not None
    assert report.refusal[1] == "not today"
    assert report.checked > 0


@pytest.mark.parametrize("makes_disks", [False, True])
def test_one_that_refuses_everything_has_not_been_checked(makes_disks: bool) -> None:
    def refuses(operation: Operation) -> bool:
        return operation_word(operation) != "reset" and not (makes_disks and isinstance(operation, Disk))

    report = check(refusing(refuses), runs=3, seed=1)
    assert report.checked == 0
    assert report.refused


def test_one_that_dies_has_been_checked() -> None:
    report = check(refusing(lambda one: operation_word(one) == "write", Died("oh")), runs=1, seed=1)
    assert report.found is not None


def test_what_is_left_out_is_named() -> None:
    assert left_out(ALL) == ()
    found = dict(left_out(replace(ALL, targets=frozenset({"linear"}), faults=frozenset({"read"}))))
    assert found == {
        "targets": ("error", "snapshot", "snapshot-merge", "snapshot-origin", "zero"),
        "faults": ("flush", "write"),
    }
