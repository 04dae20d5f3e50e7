"""Each table of transitions: what it lacks is refused, what it has happens, and who makes it is named."""

import ast
import re
from collections.abc import Iterator
from enum import Enum
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from tests.diagrams import FOLDER, ROOT, TABLES, split
from tests.model._play import Bench, setup

from snapmerge import MAINLINE, Draft, WorkId
from snapmerge.errors import MachineError
from snapmerge.machine.core.transitions import Transitions
from snapmerge.machine.snapshot import copy_out, merge
from snapmerge.machine.snapshot.registry import snapshot
from snapmerge_specs import SCRIPTS, explore

each_table = pytest.mark.parametrize("table", TABLES.values(), ids=lambda table: table.name)
Row = tuple[Enum, Enum]


@each_table
def test_what_has_no_row_is_illegal(table: Transitions[Any, Any]) -> None:
    illegal = [row for row in product(table.states, table.triggers) if row not in table.rows]
    assert illegal
    for state, trigger in illegal:
        with pytest.raises(MachineError, match=f"{table.name} that is {state.name} met {trigger.name}; legal is "):
            table.after(state, trigger)


@each_table
def test_every_state_is_reached_and_only_the_last_leads_nowhere(table: Transitions[Any, Any]) -> None:
    states = set(table.states)
    reached = {table.first}
    for _ in states:
        reached |= {after for (before, _), after in table.rows.items() if before in reached}
    assert reached == states
    assert states - {before for before, _ in table.rows} == ({table.last} - {None})


@each_table
def test_a_trigger_names_the_functions_that_make_it(table: Transitions[Any, Any]) -> None:
    module = ROOT / FOLDER / next(module for module, one in TABLES.items() if one is table)
    made = {trigger: sorted(_naming(module, str(trigger))) for trigger in table.triggers}
    assert made == {trigger: sorted(split(trigger)[0]) for trigger in table.triggers}


def _naming(module: Path, name: str) -> Iterator[str]:
    """The functions that name an attribute."""
    for node in ast.walk(ast.parse(module.read_text())):
        if isinstance(node, ast.FunctionDef) and re.search(rf"\b{re.escape(name)}\b", ast.unparse(node)):
            yield node.name


# --- no row is dead ---


def _refused_resumes() -> None:
    """A table that is too large, and one that a target refuses."""
    play = Bench(setup()).play
    play('suspend origin\nload origin "0 40 snapshot-origin base"\nresume origin')
    play('create again\nload again "0 32 snapshot base cow P 8"\nresume again')


def _overtaken_resume() -> None:
    """A resume that would suspend its device, and finds that another request has."""
    bench = Bench(setup() + 'load origin "0 32 snapshot-origin base"')
    for line in ("write origin 0 8 #1", "suspend origin", "resume origin"):
        bench.start(line)
    bench.settle()


def _failed_copies() -> None:
    """A copy that fails, of a persistent and of a transient snapshot."""
    for store in ("P 8", "N 8"):
        bench = Bench(setup(store))
        bench.start("write origin 0 8 #1")
        bench.fail("read base")
        bench.settle()


def _invalid_before_published() -> None:
    """Of two exceptions that are committed, one waits for a reader, and the other for that; the store overflows."""
    bench = Bench(setup(cow=32))
    bench.start("read snap 0 1")
    keys = [bench.start(f"write snap {sector} 8 #1") for sector in (0, 8)]
    bench.settle_but("read base")
    bench.start("write snap 16 8 #1")
    bench.settle_but("read base")
    bench.settle()
    assert [bench.ended(key) for key in keys] == ["ok", "error EIO"]


def _two_areas() -> None:
    """A merge of two areas, the last of them empty at first; then one whose read of the first area fails."""
    for writes, failing in ((40, False), (32, False), (40, True)):
        bench = Bench(setup("P 1", cow=128, base=64) + f"write snap 0 {writes} #1\nremove snap\nremove origin\n")
        bench.play('create merge\nload merge "0 64 snapshot-merge base cow P 1"')
        bench.start("resume merge")
        if failing:
            bench.settle_but("read cow 1 1")
            bench.fail("read cow 1 1")
        bench.settle()


def _failed_merges() -> None:
    """A copy that fails, and a flush."""
    for failing in ("read cow 16", "flush base"):
        bench = Bench(setup() + "write snap 8 8 #1\nremove snap\nremove origin\n")
        bench.play('create merge\nload merge "0 32 snapshot-merge base cow P 8"')
        bench.start("resume merge")
        while not bench.flights[0].startswith(failing):
            bench.finish(bench.flights[0])
        bench.fail(failing)


def _merge_beside_an_origin() -> None:
    """A merge that is resumed while another device acts as the origin's."""
    Bench(setup()).play('suspend snap\nload snap "0 32 snapshot-merge base cow P 8"\nresume snap -> ok\nremove snap')


def test_every_row_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    met: dict[str, set[Row]] = {table.name: set() for table in TABLES.values()}
    after = Transitions.after

    def noted(table: Transitions[Any, Any], state: Enum, trigger: Enum) -> Enum:
        met[table.name].add((state, trigger))
        following: Enum = after(table, state, trigger)
        return following

    monkeypatch.setattr(Transitions, "after", noted)
    for script in SCRIPTS:
        if script.name in ("copy-out", "transient", "merge fails", "merge interrupted", "merge beside a snapshot"):
            explore(script)
    for scenario in (
        _refused_resumes,
        _overtaken_resume,
        _failed_copies,
        _invalid_before_published,
        _two_areas,
        _failed_merges,
        _merge_beside_an_origin,
    ):
        scenario()
    dead = [(table.name, str(row)) for table in TABLES.values() for row in table.rows if row not in met[table.name]]
    assert dead == []


# --- the code consults them ---


def _draft(text: str) -> Draft:
    return Draft(Bench(setup() + text).world.stack, MAINLINE)


def test_a_step_of_the_merge_that_comes_too_early_raises() -> None:
    draft = _draft('remove snap\nremove origin\ncreate merge "0 32 snapshot-merge base cow P 8"')
    idle = snapshot(draft, next(iter(draft.targets)))
    for early in (merge.flush_origin, merge.commit_merge):
        with pytest.raises(MachineError, match="a merge that is IDLE met "):
            early(draft, idle)
    with pytest.raises(MachineError, match="a merge that is IDLE met FAILED; legal is ENDED, AREA_EMPTY, ASKED"):
        merge.fail_merge(draft, idle, "no reason")


def test_a_copy_that_ends_before_it_began_raises() -> None:
    draft = _draft("")
    snap = next(id for id, target in draft.targets.items() if target.line.target == "snapshot")
    assert copy_out.prepare(draft, snap, 0)
    copy_out.fill(draft, snap, 0, WorkId("7"))
    with pytest.raises(MachineError, match="a pending exception that is COPYING met STARTED"):
        copy_out.fill(draft, snap, 0, WorkId("8"))
