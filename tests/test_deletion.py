"""A generation can be deleted: that of 2009, by its folders and files, and by the lines that register it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
GENERATION = "concept"

FOLDERS = (
    "model/snapmerge/machine/concept",
    "specs/snapmerge_specs/concept",
    "specs/findings/concept",
    "specs/recipes",  # traces of what it does where it is wrong
    "tests/model/machine/concept",
    "tests/specs/concept",
)
FILES = (
    "specs/concept.md",
    "adapters/snapmerge_adapters/cli/concept.py",
    "tests/adapters/cli/test_concept.py",
    "tests/benchmarks/_concept.py",
    "tests/test_deletion.py",
)
REGISTRIES = (
    "model/snapmerge/__init__.py",
    "specs/snapmerge_specs/__init__.py",
    "adapters/snapmerge_adapters/cli/generation.py",
    "tests/benchmarks/__main__.py",
    "tests/benchmarks/test_benchmarks.py",
    "tests/places.py",
    "pyproject.toml",  # contracts about imports
    "specs/README.md",
)
"""Each loses the lines that name the generation, and nothing else."""

REST = (
    "tests/test_repository.py",
    "tests/test_manpage.py",
    "tests/model/machine",
    "tests/specs/generations",
    "tests/specs/properties",
    "tests/specs/mistakes/test_traces.py",
    "tests/adapters/cli/test_generation.py",
    "tests/adapters/cli/test_findings.py",
)


def copied(to: Path) -> Path:
    """A copy of the repository without what is made in it."""
    made = shutil.ignore_patterns(".git", ".venv", ".*_cache", ".hypothesis", "__pycache__", "dist", "site")
    return shutil.copytree(ROOT, to, ignore=made)


def delete(root: Path) -> None:
    """Deletes the generation of 2009."""
    for name in FOLDERS:
        shutil.rmtree(root / name)
    for name in FILES:
        (root / name).unlink()
    for name in REGISTRIES:
        lines = (root / name).read_text().splitlines(keepends=True)
        kept = [line for line in lines if GENERATION not in line.lower()]
        assert len(kept) < len(lines), f"{name} does not name it"
        (root / name).write_text("".join(kept))


def run(root: Path, *arguments: str) -> str:
    """What Python prints in the copy, whose packages come before all others."""
    path = os.pathsep.join(str(root / side) for side in ("model", "specs", "adapters"))
    unwanted = ("SNAPMERGE_TEST_INSTALLED", "SNAPMERGE_REQUIRE_KERNEL", "HYPOTHESIS_PROFILE")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    environment |= {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, f"{arguments}:\n{done.stdout[-4000:]}{done.stderr[-2000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = copied(tmp_path_factory.mktemp("deleted") / "snapmerge")
    delete(root)
    (root / "docs" / "snapmerge.1").write_text(run(root, "-m", "tests.manpage"))
    return root


def test_no_code_names_it_any_more(without: Path) -> None:
    places = ("model", "specs/snapmerge_specs", "adapters")
    found = [path for place in places for path in sorted((without / place).rglob("*.py"))]
    assert len(found) > 100
    assert [str(path) for path in found if GENERATION in path.read_text().lower()] == []


def test_the_command_does_not_offer_it(without: Path) -> None:
    told = run(without, "-m", "snapmerge_adapters", "recipe", "rollback", "--help")
    assert "--generation {mainline}" in told
    assert "--destination" not in told
    assert "2009" not in run(without, "-m", "snapmerge_adapters", "findings")


def test_the_model_is_checked_without_it(without: Path) -> None:
    told = run(without, "-m", "snapmerge_adapters", "check", "--adapter", "memory", "--runs", "8", "--seed", "5")
    assert "divergences      none" in told
    assert "right" in run(without, "-m", "snapmerge_adapters", "recipe", "rollback", "--sectors", "64", "--seed", "1")


def test_what_is_left_passes_its_tests(without: Path) -> None:
    told = run(without, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *REST)
    assert " passed" in told
    assert " failed" not in told
    assert " error" not in told


def test_every_other_test_still_finds_what_it_imports(without: Path) -> None:
    told = run(without, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only", "tests")
    assert " tests collected" in told
