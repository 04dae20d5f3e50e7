"""The states of what the machine does in several steps, drawn: ``python -m tests.diagrams > docs/states.md``.

The diagrams are Mermaid text, which GitHub, GitLab and most site generators draw.
"""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final

from snapmerge.machine.core.devices import RESUME
from snapmerge.machine.core.transitions import Transitions
from snapmerge.machine.snapshot.copy_out import PENDING
from snapmerge.machine.snapshot.merge import MERGE
from snapmerge.machine.snapshot.resume import SNAPSHOT_RESUME

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "states.md"
FOLDER: Final = "model/snapmerge/machine"
TABLES: Final[dict[str, Transitions[Any, Any]]] = {
    "snapshot/merge.py": MERGE,
    "snapshot/copy_out.py": PENDING,
    "core/devices.py": RESUME,
    "snapshot/resume.py": SNAPSHOT_RESUME,
}
"""The tables, by the module that has the theory of each."""

HEAD: Final = f"""\
# States

A merge, a pending exception and a resume are each done in several steps, and anything else may happen between them.
Their states are tables that the code consults ([transitions.py](../{FOLDER}/core/transitions.py)):
a transition without a row raises `MachineError`. This page is drawn from the tables by `python -m tests.diagrams`.
Why the order is what it is stands at the head of each module.
"""


def page() -> str:
    """The page's text, as Markdown."""
    return "\n".join([HEAD, *(line for module, table in TABLES.items() for line in _section(module, table))]) + "\n"


def _section(module: str, table: Transitions[Any, Any]) -> Iterator[str]:
    yield from (f"## {table.name[0].upper()}{table.name[1:]}", "")
    yield from (f"[{FOLDER}/{module}](../{FOLDER}/{module})", "")
    yield from ("```mermaid", *_diagram(table), "```", "")
    yield from ("| state | |", "|---|---|")
    yield from (f"| {state.name} | {state.value} |" for state in table.states)
    yield from ("", "| trigger | function | what has happened |", "|---|---|---|")
    for trigger in table.triggers:
        functions, said = split(trigger)
        yield f"| {trigger.name} | {', '.join(f'`{name}`' for name in functions)} | {said} |"
    yield ""


def _diagram(table: Transitions[Any, Any]) -> Iterator[str]:
    yield from ("stateDiagram-v2", f"    [*] --> {table.first.name}")
    edges: dict[tuple[str, str], list[str]] = {}
    for (before, trigger), after in table.rows.items():
        edges.setdefault((before.name, after.name), []).append(trigger.name)
    yield from (f"    {before} --> {after}: {', '.join(names)}" for (before, after), names in edges.items())
    if table.last is not None:
        yield f"    {table.last.name} --> [*]"


def split(trigger: Enum) -> tuple[list[str], str]:
    """The functions that make a transition, and what has happened then."""
    functions, _, said = str(trigger.value).partition(": ")
    return functions.split(", "), said


if __name__ == "__main__":
    print(page(), end="")
