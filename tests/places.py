"""Where each statement about the machine is done: ``python -m tests.places`` writes the index at the end of the pages.

A place is a function or class of the model whose docstring or comments cite the statement.  A statement that no place
cites has a reason in the index instead, which is written by hand and kept.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MODEL: Final = ROOT / "model" / "snapmerge"
PAGES: Final = tuple(
    ROOT / "specs" / f"{name}.md"
    for name in (
        "layout",
        "store",
        "exceptions",
        "snapshot",
        "origin",
        "merge",
        "concept",
        "devices",
        "world",
        "oracle",
    )
)
"""The pages whose statements the model does: about the format, the machine, the world and the oracle."""

STATEMENT: Final = re.compile(r"^\*\*([A-Z]+-[0-9]+)\*\*", re.MULTILINE)
WORDS: Final = {
    statement.partition("-")[0]
    for page in sorted((ROOT / "specs").glob("*.md"))
    for statement in STATEMENT.findall(page.read_text())
}
CITED: Final = re.compile(rf"\b(?:{'|'.join(sorted(WORDS))})-[0-9]+\b")
ROW: Final = re.compile(r"^\| ([A-Z]+-[0-9]+) \| (.*) \|$", re.MULTILINE)
HEADING: Final = "## Where it is done"
HEAD: Final = f"""{HEADING}

The functions and classes in `model/snapmerge` that cite a statement, or why none does
(`python -m tests.places` writes this table).

| | |
|---|---|
"""


def citations(path: Path) -> Iterator[tuple[str, str]]:
    """Every statement cited in a file, with the function or class around it, as in ``Merge.f``; empty: the module."""
    text = path.read_text()
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    for number, line in enumerate(text.splitlines(), 1):
        for found in CITED.findall(line):
            around = [node for node in nodes if node.lineno <= number <= (node.end_lineno or 0)]
            yield found, ".".join(node.name for node in sorted(around, key=lambda node: node.lineno))


def places() -> dict[str, list[str]]:
    """For each statement the functions and classes that cite it, by file; a module's own text is no place."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(MODEL.rglob("*.py")):
        for statement, name in citations(path):
            names = found.setdefault(statement, {}).setdefault(str(path.relative_to(MODEL)), [])
            if name and name not in names:
                names.append(name)
    return {
        statement: [f"`{file}`: {', '.join(f'`{name}`' for name in names)}" for file, names in files.items() if names]
        for statement, files in found.items()
    }


def reasons(page: str) -> dict[str, str]:
    """The rows of a page's index that name no place: why a statement has none."""
    index = page.partition(HEADING)[2]
    return {statement: said for statement, said in ROW.findall(index) if said and not said.startswith("`")}


def indexed(page: str) -> str:
    """The page with its index as it should be."""
    prose, known, why = page.partition(HEADING)[0], places(), reasons(page)
    rows = (
        f"| {statement} | {'; '.join(known.get(statement, [])) or why.get(statement, '')} |\n"
        for statement in STATEMENT.findall(prose)
    )
    return f"{prose.rstrip()}\n\n{HEAD}{''.join(rows)}"


if __name__ == "__main__":
    for one in PAGES:
        one.write_text(indexed(one.read_text()))
