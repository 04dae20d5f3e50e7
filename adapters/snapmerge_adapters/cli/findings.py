"""``findings``: what was found in real kernels, and in other generations; one of them explained and played."""

import json
import textwrap
from argparse import Namespace
from typing import Any, Final

from snapmerge import Blocked, Outcome, Step, counted, print_operation, print_outcome, shortened
from snapmerge_adapters.cli.entries import FindingEntry
from snapmerge_adapters.cli.errors import AGREES, CommandError
from snapmerge_adapters.cli.generation import GENERATIONS
from snapmerge_adapters.cli.show import coloured, table
from snapmerge_specs import Compared, compare, finding_trace

__all__ = ["finding_ids", "run_findings"]

_WIDTH: Final = 100


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
    shown = [] if entry.death else compare([step.operation for step in steps], entry.rules)
    if options.json:
        head = {"command": "findings"}
        print(json.dumps(head | _as_object(entry, steps) | {"steps": [_step_object(one) for one in shown]}))
    else:
        print(_explained(entry, steps, shown), end="")
    return AGREES


def finding_ids() -> list[str]:
    """The ids of all of them."""
    return [one.id for one in _entries()]


def _entries() -> list[FindingEntry]:
    return [one for entries in GENERATIONS for one in entries.findings]


# --- the list ----------------------------------------------------------------------------------------------------


def _list(options: Namespace) -> None:
    if options.json:
        found = [_as_object(entry, finding_trace(entry.id)) for entry in _entries()]
        print(json.dumps({"command": "findings", "findings": found}))
        return
    lists = [f"{coloured(one.title, 'yellow')}\n{table(map(_row, one.findings))}" for one in GENERATIONS]
    print("\n".join(lists), end="")


def _row(entry: FindingEntry) -> tuple[str, str]:
    length = counted(len(finding_trace(entry.id)), "operation")
    return f"  {entry.id}", f"{entry.summary} ({'; '.join(filter(None, (entry.statement, length, entry.short)))})"


def _as_object(entry: FindingEntry, steps: tuple[Step, ...]) -> dict[str, Any]:
    return {
        "id": entry.id,
        "where": entry.where,
        "summary": entry.summary,
        "statement": entry.statement,
        "operations": len(steps),
    }


# --- one of them -------------------------------------------------------------------------------------------------


def _explained(entry: FindingEntry, steps: tuple[Step, ...], shown: list[Compared]) -> str:
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
        return "is invalid"
    return "waits" if isinstance(outcome, Blocked) else print_outcome(outcome)


def _step_object(one: Compared) -> dict[str, str]:
    return {
        "operation": print_operation(one.operation),
        "expected": _text(one.expected),
        "actual": _text(one.actual),
    }
