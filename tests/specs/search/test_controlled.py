"""Implementations under control, in step with the model: every schedule of the small scopes, and defects that show."""

from collections.abc import Callable, Iterator

import pytest

import snapmerge as sm
from snapmerge import MAINLINE, Answer, Control, ControlStep, Died, Operation, Outcome, Requests, Step
from snapmerge_adapters import Guest, Memory, Unavailable
from snapmerge_specs import (
    DEFECTS,
    SCRIPTS,
    ControlledExploration,
    Defect,
    Script,
    explore_script,
    judge_held,
    model_scope,
    scope_of,
)
from snapmerge_specs import explore_controlled as explore

# (runs, actions in all, nodes, actions that differ, states of the model, of the states that the model has): a change in
# them is a change in what can happen, and wants a reason.  Where the canonical processor leaves out states, these
# differ only in the order of what a processor does.
COUNTS = {
    "copy-out": (21, 159, 33, 59, 33, 33),
    "reads and flushes": (42, 392, 77, 146, 77, 84),
    "two snapshots": (160, 1755, 303, 766, 303, 303),
    "three chunks": (197, 2141, 246, 724, 246, 337),
    "origin and snapshot": (209, 2713, 291, 717, 291, 315),
    "writes and a flush": (100, 1148, 146, 315, 146, 147),
    "two snapshots, both written": (271, 3507, 515, 1406, 515, 515),
    "merge": (24, 215, 49, 89, 49, 49),
    "merge beside a snapshot": (9, 82, 24, 32, 24, 24),
    "merge beside full snapshots": (34, 429, 80, 129, 80, 80),
    "merge interrupted": (48, 566, 114, 177, 114, 114),
    "merge fails": (10, 103, 51, 62, 51, 51),
    "cleared": (16, 134, 37, 65, 37, 39),
    "overflow": (34, 270, 63, 114, 63, 63),
    "transient": (28, 201, 44, 84, 44, 49),
    "full area": (0, 0, 1, 0, 1, 1),
}


def script_of(name: str) -> Script:
    return next(script for script in SCRIPTS if script.name == name)


def counts(script: Script, found: ControlledExploration) -> tuple[int, ...]:
    states = model_scope(scope_of(script, found.rules))
    assert found.states <= states
    return found.runs, found.actions, found.nodes, found.tried, len(found.states), len(states)


@pytest.mark.spec("CONTROL-13", "CONTROL-3")
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_model_agrees_with_itself_in_every_schedule(script: Script) -> None:
    found = explore_script(script, Memory())
    assert (found.divergence, found.died, found.findings, found.unreached) == (None, None, (), 0)
    assert counts(script, found) == COUNTS[script.name]


# What the disks see of each defect that they see; the steps are those of the run in which it shows.
SHOWN = {
    "asks first only": "pending -> base:read:0+2",
    "never waits": "pending -> base:read:0+1 base:write:0+1:#11 base:read:1+1 base:write:1+1:#12",
    "ignores readers": "answer cow:fua:1+1 -> base:read:0+1 base:flush base:write:0+1:#11",
    "reads early": "pending -> base:read:0+1 cow:read:2+1",
    "forgets records": "answer cowb:write:4+2 -> base:read:0+1",
    "volatile records": "answer cow:write:2+1 -> cow:write:1+1:~f82f0a67e569dfae",
    "reuses chunks": "answer base:read:1+1 -> base:read:1+1 cow:write:0+1:#2",
    "skips siblings": "pending -> cow:read:2+2 ended:999",
    "asks once": "answer other:fua:1+1 -> idle",
    "starts twice": "answer cow:fua:1+1 -> cow:read:2+1 cow:read:2+1",
    "forgets cleared": "resume snap -> error EINVAL "
    '"snapshots: Unable to resume snapshot source until handover completes."',
    "copies at once": "answer cow:fua:1+1 -> cow:write:2+1:#31 cow:read:2+1",
    "writes into run": "pending -> cow:read:2+2 cow:write:3+1:#31",
    "skips flush": "answer base:write:0+2 -> cow:flush",
    "keeps queue": "answer cow:fua:1+1 -> idle",
    "fails silently": "answer cow:fua:1+1 -> idle ended:999",
    "counts cleared": "pending -> cow:read:0+1 ended:999",
    "volatile invalidation": "pending -> base:read:0+1 cow:write:0+1:~75c2f713b1431444",
    "silent invalidation": "pending -> base:read:0+1 base:write:1+1:#12",
}
# Wrong only in memory: in the count of free chunks, and in which target answers for a store without requests.
HIDDEN = {"ends in metadata", "source lives on", "leaks"}


@pytest.mark.spec("CONTROL-3", "CONTROL-12")
@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name)
def test_a_defect_shows_in_the_requests(defect: Defect) -> None:
    script = script_of(defect.script)
    found = explore(scope_of(script), Memory(rules=defect.rules))
    if defect.name in HIDDEN:
        assert found.divergence is None
        return
    assert found.divergence is not None
    assert sm.print_controlled_trace([found.divergence.step]) == f"{SHOWN[defect.name]}\n"
    assert found.divergence.allowed
    verdict = judge_held(found.trace)
    assert verdict is not None
    assert verdict == judge_held(sm.parse_controlled_trace(sm.print_controlled_trace(found.trace)))


@pytest.mark.spec("CONTROL-14")
@pytest.mark.parametrize(
    ("defect", "finding"),
    [("volatile invalidation", "invalidation-is-volatile"), ("counts cleared", "merge-repeats-cleared-records")],
)
def test_a_known_finding_is_named_and_the_search_continues_with_it(defect: str, finding: str) -> None:
    wrong = next(one for one in DEFECTS if one.name == defect)
    script = script_of(wrong.script)
    found = explore_script(script, Memory(rules=wrong.rules))
    assert [one.name for one in found.findings] == [finding]
    assert found.divergence is None
    assert counts(script, found) == COUNTS[script.name]


class Changed(Memory):
    """The model, but what is seen of its disks, and what ends, is changed."""

    def __init__(self, change: Callable[[Requests], Requests | Died]) -> None:
        super().__init__()
        self._change = change

    def control(self, control: Control) -> Requests:
        return self._change(super().control(control))  # type: ignore[return-value]  # a death ends it, too


def _without_end(seen: Requests) -> Requests:
    return Requests(seen.requests)


def _one_flush(seen: Requests) -> Requests:
    plain = [one for one in seen.requests if one.kind != "flush"]
    return Requests((*plain, *dict.fromkeys(one for one in seen.requests if one.kind == "flush")), seen.ended)


def _two_flushes(seen: Requests) -> Requests:
    return Requests((*seen.requests, *(one for one in seen.requests if one.kind == "flush")), seen.ended)


def _other_payload(seen: Requests) -> Requests:
    changed = (sm.Request(r.disk, r.kind, r.sector, r.count, tuple(5 for _ in r.payload)) for r in seen.requests)
    return Requests(tuple(changed), seen.ended)


def _plain(seen: Requests) -> Requests:
    changed = (
        sm.Request(r.disk, "write" if r.kind == "fua" else r.kind, r.sector, r.count, r.payload) for r in seen.requests
    )
    return Requests(tuple(changed), seen.ended)


@pytest.mark.spec("CONTROL-3")
@pytest.mark.parametrize("change", [_without_end, _two_flushes, _other_payload, _plain])
def test_what_is_shown_wrongly_diverges(change: Callable[[Requests], Requests]) -> None:
    assert explore(scope_of(script_of("merge")), Changed(change)).divergence is not None


@pytest.mark.spec("CONTROL-4")
def test_several_flushes_may_be_shown_as_one() -> None:
    found = explore(scope_of(script_of("reads and flushes")), Changed(_one_flush))
    assert found.divergence is None


def test_a_death_ends_the_exploration() -> None:
    found = explore(scope_of(script_of("merge")), Changed(lambda _seen: Died("BUG: everything")))
    assert found.died == "BUG: everything"
    assert isinstance(found.trace[-1], ControlStep)


class Dying(Memory):
    """The model, but it dies of an operation."""

    def apply(self, operation: Operation) -> Outcome:
        return Died("BUG: gone") if isinstance(operation, sm.Start) else super().apply(operation)


def test_a_death_of_an_operation_ends_the_exploration() -> None:
    found = explore(scope_of(script_of("merge")), Dying())
    assert found.died == "BUG: gone"
    assert isinstance(found.trace[-1], Step)


class Forgetful(Memory):
    """The model, but it takes another way from its third run on: it answers its disks in another order."""

    runs = 0

    def control(self, control: Control) -> Requests:
        if isinstance(control, sm.Hold):
            self.runs += 1
        seen = super().control(control)
        while self.runs > 2 and seen.requests:
            seen = super().control(Answer(seen.requests[-1].place))
        return seen


def test_an_implementation_that_answers_by_itself_diverges() -> None:
    assert explore(scope_of(script_of("copy-out")), Forgetful()).divergence is not None


@pytest.fixture(scope="module")
def volatile() -> Iterator[Guest]:
    try:
        guest = Guest(volatile=True)
    except Unavailable as error:
        pytest.skip(str(error))
    yield guest
    guest.close()


@pytest.mark.kernel
@pytest.mark.spec("CONTROL-1", "CONTROL-2", "CONTROL-3", "CONTROL-14")
def test_a_real_kernel_is_in_step_with_the_model(volatile: Guest) -> None:
    merge = explore_script(script_of("merge"), volatile)
    assert (merge.divergence, merge.died, merge.findings) == (None, None, ())
    assert counts(script_of("merge"), merge) == COUNTS["merge"]
    overflow = explore_script(script_of("overflow"), volatile)
    assert (overflow.divergence, overflow.died) == (None, None)
    assert {finding.name for finding in overflow.findings} <= {"invalidation-is-volatile"}
    assert overflow.unreached == 0
    assert counts(script_of("overflow"), overflow) == COUNTS["overflow"]


def test_the_rules_of_a_scope_are_those_of_its_model() -> None:
    assert scope_of(script_of("merge")).start.world.rules is MAINLINE


WRITE = """\
disk base 2 -> ok
disk cow 8 -> ok
create origin "0 2 snapshot-origin base" -> ok
create snap "0 2 snapshot base cow P 1" -> ok
suspend origin -> ok
resume origin -> ok
hold -> idle
start 1 write origin 0 1 #11 -> ok
pending -> base:read:0+1
answer base:read:0+1 -> cow:write:2+1:#0
answer cow:write:2+1 -> cow:flush
answer cow:flush -> cow:fua:1+1:~8e70cce74590082e
answer cow:fua:1+1 -> base:write:0+1:#11
answer base:write:0+1 error -> idle ended:1
finish 1 -> error EIO
start 2 read origin 0 1 -> ok
answer base:read:0+1 -> idle ended:2
finish 2 -> #0
"""


def played(implementation: sm.Controlled, text: str) -> str:
    """The trace as the implementation has played it."""
    seen: list[Step | ControlStep] = []
    for step in sm.parse_controlled_trace(text):
        if isinstance(step, ControlStep):
            seen.append(ControlStep(step.control, implementation.control(step.control)))
        else:
            seen.append(Step(step.operation, implementation.apply(step.operation)))
    return sm.print_controlled_trace(seen)


SENSELESS = [
    ("pending", "the disks hold no requests; write hold before pending"),
    ("hold\nanswer cow:flush", "no such request is pending: answer cow:flush"),
    ("hold\ncrash", "crash is not possible"),
    ("hold\nread base 0 1", "base is a disk"),
    ("hold\ntable snap\nstatus snap", "begin it with start"),
]


@pytest.mark.kernel
@pytest.mark.spec("CONTROL-2", "CONTROL-8", "CONTROL-9", "CONTROL-11")
def test_a_real_kernel_answers_and_refuses_as_the_model_does(volatile: Guest) -> None:
    for implementation in (Memory(), volatile):
        implementation.apply(sm.Reset())
        assert played(implementation, WRITE) == WRITE
        for lines, message in SENSELESS:
            implementation.apply(sm.Reset())
            begin = WRITE.partition("hold")[0]
            with pytest.raises(sm.OperationError, match=message):
                played(implementation, begin + lines + "\n")
        implementation.apply(sm.Reset())
        assert played(implementation, WRITE) == WRITE


LATE = (
    WRITE.partition("answer cow:flush")[0]
    + """\
start 2 write origin 1 1 #12 -> ok
pending -> cow:flush
answer cow:flush -> cow:fua:1+1:~8e70cce74590082e
"""
)


@pytest.mark.kernel
@pytest.mark.spec("CONTROL-5")
def test_a_kernel_begins_no_copy_while_it_writes_an_area(volatile: Guest) -> None:
    volatile.apply(sm.Reset())
    assert played(volatile, LATE) == LATE
    assert judge_held(sm.parse_controlled_trace(LATE)) is None
    assert "pending -> cow:flush base:read:1+1\n" in played(Memory(), LATE)


UNDER_WAY = (
    WRITE.partition("hold")[0]
    + """\
write snap 0 1 #21 -> ok
suspend origin -> ok
suspend snap -> ok
load origin "0 2 snapshot-merge base cow P 1" -> ok
hold -> idle
start 1 resume origin -> ok
start 2 settle origin -> ok
pending -> cow:read:2+1 ended:1
reset -> ok
"""
)


@pytest.mark.kernel
@pytest.mark.spec("CONTROL-8")
def test_a_reset_ends_what_waits_for_requests_that_are_held(volatile: Guest) -> None:
    volatile.apply(sm.Reset())
    assert played(volatile, UNDER_WAY + WRITE) == UNDER_WAY + WRITE
