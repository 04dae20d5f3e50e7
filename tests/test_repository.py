"""The repository checks itself: what no linter knows about, but a reader relies on."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.places import CITED, FOLDERS, PAGES, ROW, STATEMENT, indexed

ROOT = Path(__file__).resolve().parents[1]
SOURCES = {
    "model": ROOT / "model" / "snapmerge",
    "specs": ROOT / "specs" / "snapmerge_specs",
    "adapters": ROOT / "adapters" / "snapmerge_adapters",
}
FUNCTION_LINES_MAX = 45
FILE_LINES_MAX = 400
README_LINES_MAX = 200

# In pieces, so that this file doesn't find itself.
LEFTOVER = re.compile(r"\b(?:FIX" + r"ME|XX" + r"X|TO" + r"DO)\b")
# Marks of notes that are not in the repository.
NOTES = re.compile(r"\[V(?:\d*|UML)\]|UN" + r"VERIFIED|kernel-" + r"semantics|(?<![\w-])refer" + r"ence/")
MACHINE_PATH = re.compile(r"(?<![\w.])/(?:ho" + r"me|ro" + r"ot|wo" + r"rk|Us" + r"ers)/\w")
CITATION = re.compile(r"[A-Z]+-[0-9]+\Z")


def python_files() -> list[Path]:
    folders = (*SOURCES.values(), ROOT / "tests")
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def text_files() -> list[Path]:
    prose = [path for folder in ("specs", "docs") for path in sorted((ROOT / folder).glob("*.md"))]
    scripts = [ROOT / "tests" / "run", ROOT / ".ci" / "run", ROOT / "docs" / "conf.py"]
    return [*python_files(), *prose, *scripts, *ROOT.glob("*.md"), ROOT / "pyproject.toml"]


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function's name and its length in lines, without its docstring: prose is no complexity."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            prose = first if ast.get_docstring(node, clean=False) is not None else None
            lines = (node.end_lineno or 0) - node.lineno + 1
            yield node.name, lines - ((prose.end_lineno or 0) - prose.lineno + 1 if prose else 0)


@pytest.mark.parametrize("path", python_files(), ids=named)
def test_files_and_functions_are_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= FILE_LINES_MAX
    assert {name: lines for name, lines in functions(path) if lines > FUNCTION_LINES_MAX} == {}


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= README_LINES_MAX, "the rest belongs in docs"


@pytest.mark.parametrize("path", text_files(), ids=named)
def test_nothing_is_left_over_and_no_machine_is_named(path: Path) -> None:
    text = path.read_text()
    assert LEFTOVER.findall(text) == []
    assert MACHINE_PATH.findall(text) == []
    assert NOTES.findall(text) == []


@pytest.mark.parametrize("side", SOURCES)
def test_tests_mirror_the_sources(side: str) -> None:
    folder = ROOT / "tests" / side
    tests = {path.relative_to(folder).with_name(path.name.removeprefix("test_")) for path in folder.rglob("test_*.py")}
    files = [path.relative_to(SOURCES[side]) for path in SOURCES[side].rglob("*.py")]
    assert tests <= set(files), f"tests/{side} has tests without a source: {sorted(map(str, tests - set(files)))}"


FACES = re.compile(r"snapmerge(\.records)?|snapmerge_specs(\.(recipes|concept))?|snapmerge_adapters")
# The properties look inside the machine and its world, and the defects replace transitions of it.
OPEN_TO = {"specs": re.compile(r"snapmerge\.(format|machine|world|units)\b.*"), "adapters": re.compile(r"(?!)")}


@pytest.mark.parametrize("side", OPEN_TO)
def test_packages_know_each_other_by_their_faces(side: str) -> None:
    """What a package offers to the others is in its ``__init__``."""
    for path in SOURCES[side].rglob("*.py"):
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        others = {str(node.module) for node in nodes if re.match(r"snapmerge(_[a-z]+)?\b", str(node.module))}
        others = {name for name in others if name.split(".")[0] != SOURCES[side].name}
        inside = {name for name in others if not FACES.fullmatch(name) and not OPEN_TO[side].fullmatch(name)}
        assert inside == set(), named(path)


def citations() -> Iterator[tuple[str, str]]:
    """Every id cited in a ``@pytest.mark.spec``, with the test's file."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.spec":
                for argument in node.args:
                    assert isinstance(argument, ast.Constant), f"{named(path)}: an id is written out"
                    yield str(argument.value), named(path)


def statements() -> list[str]:
    """The ids of all statements, in the order of the documents."""
    return [found for path in sorted((ROOT / "specs").glob("*.md")) for found in STATEMENT.findall(path.read_text())]


def test_no_statement_is_made_twice() -> None:
    made = statements()
    assert made
    assert sorted(made) == sorted(set(made))


def test_every_citation_has_its_statement() -> None:
    cited = list(citations())
    assert all(CITATION.match(found) for found, _ in cited)
    assert [(found, path) for found, path in cited if found not in statements()] == []


def test_every_statement_has_a_test() -> None:
    cited = {found for found, _ in citations()}
    assert [found for found in statements() if found not in cited] == []


def test_the_sources_cite_statements_that_exist() -> None:
    made = statements()
    cited = [(found, named(path)) for path in python_files() for found in CITED.findall(path.read_text())]
    assert [(found, path) for found, path in cited if found not in made] == []


@pytest.mark.parametrize("path", PAGES, ids=named)
def test_every_statement_names_where_it_is_done(path: Path) -> None:
    page = path.read_text()
    assert page == indexed(page, FOLDERS.get(path.stem)), "python -m tests.places writes the index anew"
    rows = dict(ROW.findall(page))
    assert [statement for statement in STATEMENT.findall(page) if len(rows[statement]) < 10] == []


def test_the_top_level_holds_nothing_else() -> None:
    allowed = {"pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", ".gitignore"}
    allowed |= {"model", "specs", "adapters", "docs"}
    ignored = {line.strip("/") for line in (ROOT / ".gitignore").read_text().split()}
    found = {path.name for path in ROOT.iterdir()} - ignored - {".git", ".ci", "tests", "PKG-INFO"}  # an sdist's
    assert found == allowed


def test_the_model_opens_nothing() -> None:
    """Banned imports are ruff's to find; ``open`` and its like need none."""
    reaching = {"open", "print", "input", "exec", "eval", "__import__", "breakpoint"}
    for path in SOURCES["model"].rglob("*.py"):
        names = {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
        assert not names & reaching, named(path)


PATCHES = {"setattr", "delattr", "setitem", "delitem", "patch", "object"}
PRIVATE = re.compile(r"_(?!_)\w+")


def patched(tree: ast.AST) -> set[str]:
    """The private names that patches in a file replace.

    A name in a variable may be any text of the file that looks like a private name.
    """
    called = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > 1]
    calls = [node.args for node in called if isinstance(node.func, ast.Attribute) and node.func.attr in PATCHES]
    replaced = [node for args in calls for arg in args[:2] for node in ast.walk(arg)]
    names = [node.attr for node in replaced if isinstance(node, ast.Attribute)]
    if any(isinstance(args[1], ast.Name) for args in calls if len(args) > 2):
        replaced += list(ast.walk(tree))
    texts = [node.value for node in replaced if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return {name for name in (*names, *(part for text in texts for part in text.split("."))) if PRIVATE.fullmatch(name)}


def test_no_test_patches_a_private_name() -> None:
    """A test that does breaks when the source is tidied; arguments and public functions can be replaced instead."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        if path != Path(__file__):
            assert patched(ast.parse(path.read_text())) == set(), named(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("monkeypatch.setattr('package.module._limit', 1)", {"_limit"}),
        ("patch.setattr(module, '_limit', 1)", {"_limit"}),
        ("patch.setitem(module._TABLE, 'key', 1)", {"_TABLE"}),
        ("names = ['_limit', 'a b']\npatch.setattr(module, name, 1)", {"_limit"}),
        ("patch.setattr(Flights, '__eq__', 1)\nmodule._limit", set()),
    ],
)
def test_a_patch_of_a_private_name_is_found(text: str, found: set[str]) -> None:
    assert patched(ast.parse(text)) == found
