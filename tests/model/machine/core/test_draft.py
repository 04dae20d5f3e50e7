"""A draft takes no value that was made from a stale one."""

import pytest
from tests.model._play import play, setup

import snapmerge as sm
from snapmerge.errors import MachineError
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import Suspending, Wake, Work
from snapmerge.machine.snapshot.registry import snapshot
from snapmerge.records import replace


@pytest.fixture
def draft() -> Draft:
    return Draft(play(setup()).world.stack, sm.MAINLINE)


def test_a_stale_target_is_refused(draft: Draft) -> None:
    snap = snapshot(draft, 0)
    newer = draft.put(replace(snap, active=False), over=snap)
    with pytest.raises(MachineError, match="stale"):
        draft.put(replace(snap, valid=False), over=snap)
    assert snapshot(draft, 0) is newer


def test_a_stale_device_is_refused(draft: Draft) -> None:
    device = draft.device("snap")
    draft.raise_event("snap")
    with pytest.raises(MachineError, match="stale"):
        draft.put_device(replace(device, suspended=True), over=device)
    assert draft.device("snap").events == device.events + 1


def test_stale_work_and_work_that_has_ended_are_refused(draft: Draft) -> None:
    wake = Wake("snap")
    id = draft.begin(wake)
    draft.change(id, Wake("origin"), over=wake)
    with pytest.raises(MachineError, match="stale"):
        draft.change(id, wake, over=wake)
    draft.end(id)
    with pytest.raises(MachineError, match="stale"):
        draft.change(id, wake, over=Wake("origin"))


def test_work_has_a_number_only_beside_other_work_of_its_name(draft: Draft) -> None:
    first, twin = draft.begin(Wake("snap")), draft.begin(Wake("snap"))
    assert (first, twin) == ("snap/wake", "snap/wake (2)")
    draft.end(first)
    assert draft.begin(Wake("snap")) == first
    assert draft.begin(Wake("origin")) == "origin/wake"


def test_every_kind_of_work_has_a_name() -> None:
    assert [kind for kind in sm.MAINLINE.done if kind.name is Work.name] == []


def test_a_stale_request_is_refused(draft: Draft) -> None:
    request = Suspending(1, "snap")
    draft.requests = (request,)
    draft.change_request(replace(request, begun=True), over=request)
    with pytest.raises(MachineError, match="stale"):
        draft.change_request(request, over=request)


def test_a_value_that_is_equal_to_the_newest_is_not_stale(draft: Draft) -> None:
    snap = snapshot(draft, 0)
    draft.put(replace(snap), over=snap)
    assert not draft.put(replace(snap, valid=False), over=snap).valid
