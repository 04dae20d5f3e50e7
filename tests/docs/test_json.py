"""The fields of every ``--json`` output are those of the page, and of the types that it says."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

import pytest

from snapmerge import MAINLINE, Budget, Data, Operation, Outcome, Rules
from snapmerge_adapters import Kernel, Memory, Unavailable
from snapmerge_adapters.cli.main import main
from snapmerge_specs import DEFECTS, FINDINGS

PAGE: Final = Path(__file__).parents[2] / "docs" / "json.md"
TYPES: Final[dict[str, tuple[type, ...]]] = {
    "text": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "list": (list,),
    "map": (dict,),
    "object": (dict,),
    "null": (type(None),),
}


@dataclass(frozen=True)
class Field:
    """A row of the page: ``kinds`` are the JSON types that it may have."""

    kinds: tuple[str, ...]
    always: bool


def documented() -> dict[str, dict[str, Field]]:
    """The fields by section, with their paths."""
    found: dict[str, dict[str, Field]] = {}
    for part in PAGE.read_text().split("\n## ")[1:]:
        rows = re.findall(r"^\| `([^`]+)` \| ([a-z ]+) \| ([^|]+) \|", part, re.MULTILINE)
        fields = {path: Field(tuple(kind.split(" or ")), when == "always") for path, kind, when in rows}
        assert len(fields) == len(rows) == len(re.findall(r"^\| `", part, re.MULTILINE))
        found[part.partition("\n")[0].strip("`")] = fields
    return found


FIELDS: Final = documented()


def wrong(fields: dict[str, Field], object_: dict[str, object], base: str = "") -> Iterator[str]:
    """What of an object is not as the page says: sentences, and of a right field its path after a ``+``."""
    for name, value in object_.items():
        path = base + name
        field = fields.get(path)
        if field is None:
            yield f"{path} is not documented"
            continue
        yield f"+{path}"
        if type(value) not in [one for kind in field.kinds for one in TYPES[kind]]:
            yield f"{path} is {value!r}, not {field.kinds}"
        if isinstance(value, dict) and "map" not in field.kinds:
            yield from wrong(fields, value, f"{path}.")
        if isinstance(value, list):
            for one in value:
                if isinstance(one, dict):
                    yield from wrong(fields, one, f"{path}[].")
    rest = {path.removeprefix(base): field for path, field in fields.items() if path.startswith(base)}
    missing = {path for path, field in rest.items() if field.always and re.fullmatch(r"\w+", path)} - object_.keys()
    yield from (f"{base}{path} is missing" for path in missing)


Shown = Callable[..., dict[str, object]]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shown:
    """Runs a command in an empty folder, on a model with these rules, and gives the object that it prints."""

    def run(*words: str, rules: Rules = MAINLINE, memory: type[Memory] = Memory) -> dict[str, object]:
        with monkeypatch.context() as patched:
            patched.chdir(tmp_path)
            patched.setattr("snapmerge_adapters.cli.adapters.Memory", lambda **_: memory(rules=rules))
            main([*words, "--json"])
        found = json.loads(capsys.readouterr().out)
        assert isinstance(found, dict)
        return found

    return run


def assert_documented(section: str, objects: list[dict[str, object]]) -> None:
    """Every field of the objects is on the page, and every field of the page is in one of them."""
    fields = FIELDS[section]
    said = {sentence for one in objects for sentence in wrong(fields, one)}
    assert {one for one in said if not one.startswith("+")} == set()
    assert {one.removeprefix("+") for one in said} == fields.keys()


class Wrong(Memory):
    """Shows the sectors that it reads in reverse."""

    def apply(self, operation: Operation) -> Outcome:
        outcome = super().apply(operation)
        return Data(outcome.sectors[::-1]) if isinstance(outcome, Data) else outcome


def small_budget(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    monkeypatch.setattr(f"snapmerge_adapters.cli.{module}.budget_of", lambda _: Budget(work=1))


CHECK: Final = ("check", "--adapter", "memory", "--seed", "1", "--runs")


def test_check(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    known = next(finding for finding in FINDINGS if finding.name == "merge-repeats-cleared-records")
    objects = [
        shown(*CHECK, "2"),
        shown(*CHECK, "6", rules=known.rules),
        shown(*CHECK, "1", memory=Wrong),
        shown(*CHECK, "1", "--promises", memory=Wrong),
    ]
    small_budget(monkeypatch, "check")
    objects.append(shown(*CHECK, "1", memory=Wrong))
    assert_documented("check", objects)


TRACES: Final = {
    "good": "disk base 8\nread base 0 1 -> #0\n",
    "bad": "disk base 8\nwrite base 0 2 #7 -> ok\nread base 0 2 -> #9x2\n",
    "senseless": "read base 0 1\n",
    "raid": 'create x "0 8 raid" -> ok\n',
    "open": "disk base 8\nwrite base 0 8 #1\ncrash\nread base 0 2 -> #3 #1\n",
}


@pytest.fixture
def traces(tmp_path: Path) -> None:
    for name, text in TRACES.items():
        (tmp_path / f"{name}.trace").write_text(text)


@pytest.mark.usefixtures("traces")
def test_judge(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    objects = [shown("judge", *(f"{name}.trace" for name in TRACES))]
    small_budget(monkeypatch, "judge")
    objects.append(shown("judge", "open.trace"))
    assert_documented("judge", objects)


@pytest.mark.usefixtures("traces")
def test_replay(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    run = partial(shown, "replay", "--adapter", "memory", memory=Wrong)
    objects = [shown("replay", "good.trace", "--adapter", "memory"), run("bad.trace")]
    small_budget(monkeypatch, "judge")
    objects.append(run("open.trace"))
    assert_documented("replay", objects)


def test_explore(shown: Shown) -> None:
    flushless = next(defect.rules for defect in DEFECTS if defect.name == "skips flush")
    objects = [shown("explore", "--list"), shown("explore", "merge"), shown("explore", "merge", "--adapter", "memory")]
    objects.append(shown("explore", "merge", "--adapter", "memory", rules=flushless))
    objects.append(shown("explore", "diverged-merge.trace"))
    assert_documented("explore", objects)


def test_kernels(shown: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable(**_: object) -> None:
        raise Unavailable("it does not boot")

    kernel = Kernel("6.5.0", None, (("snapshot", "1.16.0"),))
    monkeypatch.setattr("snapmerge_adapters.cli.kernels.kernels", lambda: [kernel])
    monkeypatch.setattr("snapmerge_adapters.cli.kernels.find_kernel", lambda _: Path("/usr/bin/linux.uml"))
    monkeypatch.setattr("snapmerge_adapters.cli.kernels.Guest", unavailable)
    assert_documented("kernels", [shown("kernels")])


@pytest.mark.kernel
def test_kernels_that_are_real(shown: Shown, guest: object) -> None:
    assert guest is not None
    assert_documented("kernels", [shown("kernels")])


def test_findings(shown: Shown) -> None:
    assert_documented("findings", [shown("findings"), *(shown("findings", one.name) for one in FINDINGS)])


SMALL: Final = ("--adapter", "memory", "--sectors", "130", "--seed", "3")


def test_recipes(shown: Shown) -> None:
    concept = ("--generation", "concept", "--destination", "real")
    rollbacks = [shown("recipe", "rollback", *SMALL), shown("recipe", "rollback", *SMALL[2:], *concept)]
    assert_documented("recipe rollback", rollbacks)
    assert_documented("recipe backup", [shown("recipe", "backup", *SMALL, "--rounds", "2", "--power-cuts")])


def test_errors(shown: Shown) -> None:
    objects = [shown("judge", "--no-such-option"), shown("replay", "none.trace"), shown("findings", "none")]
    objects.append(shown("check", "--adapter", "guest", "--kernel", "none"))
    objects.append(shown("recipe", "backup", *SMALL, "--trace", "none/x.trace"))
    assert_documented("Errors", objects)


def test_every_section_is_compared() -> None:
    commands = {"check", "explore", "judge", "replay", "kernels", "findings", "recipe rollback", "recipe backup"}
    assert FIELDS.keys() == commands | {"Errors"}


@pytest.mark.parametrize("found", [{}, {"command": 3, "error": ""}, {"command": "", "error": "", "more": 1}])
def test_a_field_that_is_missing_of_another_type_or_unknown_is_noticed(found: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        assert_documented("Errors", [found])
