"""``findings``: what was found in real kernels and in the patch of 2009; one of them explained and played."""

import json
import textwrap
from argparse import Namespace
from dataclasses import dataclass
from typing import Any, Final

from snapmerge import (
    CONCEPT,
    MAINLINE,
    Blocked,
    Outcome,
    Rules,
    Step,
    counted,
    print_operation,
    print_outcome,
    shortened,
)
from snapmerge_adapters.cli.errors import AGREES, CommandError
from snapmerge_adapters.cli.show import coloured, table
from snapmerge_specs import CONCEPT_DEFECTS, FINDINGS, Compared, ConceptDefect, Finding, compare, finding_trace

__all__ = ["finding_ids", "run_findings"]

_WIDTH: Final = 100


@dataclass(frozen=True, slots=True)
class _Entry:
    """A finding, wherever it is; ``right`` and ``rules`` are those of who does it right, and of who does not."""

    id: str
    where: str
    summary: str
    why: str
    statement: str
    right: Rules
    rules: Rules
    death: str = ""


def run_findings(options: Namespace) -> int:
    """All of them as a table, or one of them played."""
    if options.id is None:
        _list(options)
        return AGREES
    entry = next((one for one in _entries() if one.id == options.id), None)
    if entry is None:
        names = ", ".join(finding_ids())
        raise CommandError(f"there is no finding {shortened(options.id)}; there are {names}")
    steps = finding_trace(entry.id)
    shown = [] if entry.death else compare([step.operation for step in steps], entry.rules, right=entry.right)
    if options.json:
        print(json.dumps(_as_object(entry, steps) | {"steps": [_step_object(one) for one in shown]}))
    else:
        print(_explained(entry, steps, shown), end="")
    return AGREES


def finding_ids() -> list[str]:
    """The ids of all of them."""
    return [one.id for one in _entries()]


def _entries() -> list[_Entry]:
    return [*map(_of_kernel, FINDINGS), *map(_of_patch, CONCEPT_DEFECTS)]


def _of_kernel(one: Finding) -> _Entry:
    where = f"Linux {', '.join(one.releases)}"
    return _Entry(one.name, where, one.summary, "", one.statement, MAINLINE, one.rules, one.death)


def _of_patch(one: ConceptDefect) -> _Entry:
    return _Entry(one.id, "patch of 2009", one.summary, one.why, one.statement, CONCEPT, one.rules)


# --- the list ----------------------------------------------------------------------------------------------------


def _list(options: Namespace) -> None:
    traces = [(entry, finding_trace(entry.id)) for entry in _entries()]
    if options.json:
        print(json.dumps({"command": "findings", "findings": [_as_object(*one) for one in traces]}))
        return
    for where in dict.fromkeys(entry.where.split()[0] for entry, _ in traces):
        title = "in real kernels" if where == "Linux" else "in the patch of 2009 (generation concept)"
        rows = [_row(entry, steps) for entry, steps in traces if entry.where.startswith(where)]
        print(f"{coloured(title, 'yellow')}\n{table(rows)}", end="" if where != "Linux" else "\n")


def _row(entry: _Entry, steps: tuple[Step, ...]) -> tuple[str, str]:
    where = f"; {entry.where}" if entry.where.startswith("Linux") else ""
    return f"  {entry.id}", f"{entry.summary} ({entry.statement}; {counted(len(steps), 'operation')}{where})"


def _as_object(entry: _Entry, steps: tuple[Step, ...]) -> dict[str, Any]:
    return {
        "id": entry.id,
        "where": entry.where,
        "summary": entry.summary,
        "statement": entry.statement,
        "operations": len(steps),
    }


# --- one of them -------------------------------------------------------------------------------------------------


def _explained(entry: _Entry, steps: tuple[Step, ...], shown: list[Compared]) -> str:
    text = f"{coloured(entry.id, 'yellow')}: {entry.summary}\nviolates {entry.statement}; {entry.where}\n\n"
    if entry.why:
        text += textwrap.fill(entry.why, _WIDTH) + "\n\n"
    if entry.death:
        lines = "".join(f"  {print_operation(step.operation)}\n" for step in steps)
        return f"{text}{lines}  the kernel dies of it: its last words have {entry.death!r} in them\n"
    return text + "".join(map(_line, shown))


def _line(one: Compared) -> str:
    expected, actual = _text(one.expected), _text(one.actual)
    line = f"  {print_operation(one.operation)} -> {expected}\n"
    if expected == actual:
        return line
    head = f"  {print_operation(one.operation)}\n"
    return f"{head}      expected  {coloured(expected, 'green')}\n      actual    {coloured(actual, 'red')}\n"


def _text(outcome: Outcome | None) -> str:
    if outcome is None:
        return "makes no sense"
    return "waits" if isinstance(outcome, Blocked) else print_outcome(outcome)


def _step_object(one: Compared) -> dict[str, str]:
    return {
        "operation": print_operation(one.operation),
        "expected": _text(one.expected),
        "actual": _text(one.actual),
    }
