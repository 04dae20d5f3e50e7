"""The functions that do what each statement says: ``python -m tests.places`` writes the index at the end of the pages.

A place is a function or class whose docstring or comments cite the statement.  It is in the model, or in the folder
that ``FOLDERS`` has for the page.  A statement that no place cites has a reason in the index instead, which is written
by hand and kept.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
MODEL: Final = ROOT / "model" / "snapmerge"
FOLDERS: Final = {
    "trace": ROOT / "adapters" / "snapmerge_adapters" / "protocol",
    "control": ROOT / "specs" / "snapmerge_specs" / "search",
    "recipes": ROOT / "specs" / "snapmerge_specs" / "recipes",
}
"""The folders outside of the model that do what the statements of a page say."""

PAGES: Final = tuple(
    ROOT / "specs" / f"{name}.md"
    for name in (
        "trace",
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
        "control",
        "recipes",
    )
)
"""The pages with an index: all but that of the promises, each of which is a definition in ``snapmerge_specs``."""

STATEMENT: Final = re.compile(r"^\*\*([A-Z]+-[0-9]+)\*\*", re.MULTILINE)
WORDS: Final = {
    statement.partition("-")[0]
    for page in sorted((ROOT / "specs").glob("*.md"))
    for statement in STATEMENT.findall(page.read_text())
}
CITED: Final = re.compile(rf"\b(?:{'|'.join(sorted(WORDS))})-[0-9]+\b")
ROW: Final = re.compile(r"^\| ([A-Z]+-[0-9]+) \| (.*) \|$", re.MULTILINE)
HEADING: Final = "## Where it is done"
HEAD: Final = (
    HEADING
    + """

The functions and classes that cite a statement, by their file in `model/snapmerge`{and_folder}, or why none does
(`python -m tests.places` writes this table).

| | |
|---|---|
"""
)


def citations(path: Path) -> Iterator[tuple[str, str]]:
    """Every statement cited in a file, with the function or class around it, as in ``Merge.f``; empty: the module."""
    text = path.read_text()
    nodes = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.ClassDef)]
    for number, line in enumerate(text.splitlines(), 1):
        for found in CITED.findall(line):
            around = [node for node in nodes if node.lineno <= number <= (node.end_lineno or 0)]
            yield found, ".".join(node.name for node in sorted(around, key=lambda node: node.lineno))


def places(folder: Path = MODEL) -> dict[str, list[str]]:
    """For each statement the functions and classes that cite it, by file; a module's own text is no place."""
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted(folder.rglob("*.py")):
        for statement, name in citations(path):
            names = found.setdefault(statement, {}).setdefault(str(path.relative_to(folder)), [])
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


def indexed(page: str, folder: Path | None = None) -> str:
    """The page with its index as it should be; ``folder``: where places are besides the model."""
    prose, why = page.partition(HEADING)[0], reasons(page)
    known, more = places(), {} if folder is None else places(folder)
    rows = (
        f"| {statement} | {'; '.join(known.get(statement, []) + more.get(statement, [])) or why.get(statement, '')} |\n"
        for statement in STATEMENT.findall(prose)
    )
    and_folder = "" if folder is None else f" or `{folder.relative_to(ROOT)}`"
    return f"{prose.rstrip()}\n\n{HEAD.format(and_folder=and_folder)}{''.join(rows)}"


if __name__ == "__main__":
    for one in PAGES:
        one.write_text(indexed(one.read_text(), FOLDERS.get(one.stem)))
