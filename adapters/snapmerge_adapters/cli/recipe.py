"""``recipe``: rollback and backup on an implementation, under load, and whether they were right."""

import json
import secrets
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any, Final

from snapmerge import (
    SECTOR_BYTES,
    Capabilities,
    Implementation,
    Operation,
    OperationError,
    Outcome,
    Reset,
    Step,
    counted,
    print_operation,
    print_trace,
)
from snapmerge_adapters.cli.adapters import check_options, implementation
from snapmerge_adapters.cli.errors import AGREES, DIVERGED, CommandError
from snapmerge_adapters.cli.generation import GENERATIONS, choice_of, rules_of
from snapmerge_adapters.cli.recipe_options import check_recipe_options
from snapmerge_adapters.cli.show import Bar, coloured, one_line, table
from snapmerge_adapters.cli.traces import lacking
from snapmerge_adapters.kept_file import can_keep, keep
from snapmerge_specs.recipes import COPY, ORIGIN, Load, PowerCuts, RolledBack, Round, Shape, differing, differing_chunks

__all__ = ["run_recipe"]

_LOAD_EVERY: Final = {"rollback": 2, "backup": 8}
_CHUNKS_NAMED: Final = 6


def run_recipe(options: Namespace) -> int:
    """Runs the recipe, and prints the result as a table or as an object."""
    check_recipe_options(options)
    check_options(options)
    if options.seed is None:
        options.seed = secrets.randbelow(1 << 32)
    if options.power_cuts and options.adapter == "memory" and options.schedule_seed is None:
        options.schedule_seed = options.seed  # else the power takes nothing away
    with implementation(options, rules_of(options)) as made:
        scene = _Scene(options, made)
        try:
            if "reset" in made.capabilities.operations:
                made.apply(Reset())
            done = _backup(options, scene) if options.recipe == "backup" else _rollback(options, scene)
        except OperationError as error:
            raise CommandError(f"the recipe can't be done (seed {options.seed}): {one_line(str(error))}") from error
        finally:
            scene.bar.clear()
            scene.save()
    _print(options, scene, done)
    return DIVERGED if done.wrong else AGREES


class _Recorder:
    """An implementation that records each operation with its outcome."""

    def __init__(self, inner: Implementation) -> None:
        self._inner = inner
        self.steps: list[Step] = []

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    def apply(self, operation: Operation) -> Outcome:
        if (lacks := lacking(operation, self.capabilities)) is not None:
            about = one_line(self.capabilities.about) or "the implementation"
            raise CommandError(f"the recipe can't be done: {print_operation(operation)}: {about} lacks this: {lacks}")
        outcome = self._inner.apply(operation)
        self.steps.append(Step(operation, outcome))
        return outcome

    def close(self) -> None:
        self._inner.close()


class _Scene:
    """The layers between a recipe and the implementation: concurrent writes, power cuts, and a record."""

    def __init__(self, options: Namespace, made: Implementation) -> None:
        self.about = made.capabilities.about
        if options.power_cuts and "crash" not in made.capabilities.operations:
            raise CommandError(f"the power of this implementation can't be cut: {one_line(self.about)}; see --volatile")
        self.shape = Shape(options.sectors, options.chunk, options.cow)
        self.bar = Bar(options.recipe)
        self._cuts = options.power_cuts
        self._random = Random(options.seed)
        self._left = 0
        self._trace = options.trace
        self._recorder = _Recorder(made)
        self._keep(can_keep)  # so that a long recipe does not end with a file that can't be written
        cuts = PowerCuts(self._recorder, self._is_cut)
        longest = 2 * options.chunk
        self.load = Load(
            cuts, options.sectors, self._random.randint, longest=longest, every=_LOAD_EVERY[options.recipe]
        )

    def cut_within(self, operations: int) -> None:
        """Cuts the power in one of the operations that follow, if it is to be cut at all."""
        self._left = self._random.randint(1, operations) if self._cuts else 0

    def _is_cut(self) -> bool:
        self._left -= 1
        return self._left == 0

    def failed(self) -> None:
        """Ends the concurrent writes when the upgrade has failed, and allows power cuts in the merge."""
        self.load.rest()
        if self._left <= 0:
            self.cut_within(20)

    def save(self) -> None:
        """Writes the trace, if one is wanted."""
        self._keep(lambda path: keep(path, print_trace(self._recorder.steps)))

    def _keep(self, write: Callable[[Path], None]) -> None:
        if self._trace is not None:
            try:
                write(Path(self._trace))
            except OSError as error:  # a full disk does not say which file it was
                raise CommandError(f"{self._trace}: {error.strerror}") from None


@dataclass
class _Done:
    """The result: rows for people, fields for programs, and the problem in words, empty without one."""

    rows: list[tuple[str, str]]
    facts: dict[str, Any]
    wrong: list[str]


def _print(options: Namespace, scene: _Scene, done: _Done) -> None:
    if options.json:
        head = {"command": f"recipe {options.recipe}", "right": not done.wrong, "wrong": done.wrong}
        shape = {"sectors": options.sectors, "chunk": options.chunk, "chunks": scene.shape.chunks}
        world = {"about": scene.about, "seed": options.seed, "writes": scene.load.writes}
        print(json.dumps(head | world | shape | done.facts))
        return
    writes = counted(scene.load.writes, "write")
    origin = f"{counted(options.sectors, 'sector')} in chunks of {options.chunk}, {writes}, seed {options.seed}"
    verdict = [("", coloured(text, "red")) for text in done.wrong] or [("", coloured("right", "green"))]
    verdict[0] = ("verdict", verdict[0][1])
    print(table([("implementation", scene.about), ("origin", origin), *done.rows, *verdict]), end="")


def _saved(sectors: int, size: int) -> str:
    saved = 100 * (1 - sectors / size)
    return f"{sectors * SECTOR_BYTES:,} bytes" + (f", {saved:.1f} % saved" if saved > 0 else "")


def _where(sectors: Sequence[int], chunk: int) -> str:
    chunks = differing_chunks(sectors, chunk)
    named = ", ".join(map(str, chunks[:_CHUNKS_NAMED])) + (", ..." if len(chunks) > _CHUNKS_NAMED else "")
    return f"in {counted(len(sectors), 'sector')}, chunks {named}"


# --- rollback ----------------------------------------------------------------------------------------------------


def _rollback(options: Namespace, scene: _Scene) -> _Done:
    recipe = choice_of(options).rollback(scene.load, scene.shape, scene.failed, options)
    scene.cut_within(60)
    found = recipe.run(scene.bar)
    wrong = [f"the {ORIGIN} is not what it was {_where(found.origin, options.chunk)}"] if found.origin else []
    wrong += [f"{name} has changed {_where(at, options.chunk)}" for name, at in found.siblings if at]
    for name, shown in recipe.shown.items():
        if at := differing(shown, scene.load.contents[name]):
            wrong.append(f"{name} was not what the origin held {_where(at, options.chunk)}")
    return _rolled_back(options, scene, found, wrong)


def _rolled_back(options: Namespace, scene: _Scene, found: RolledBack, wrong: list[str]) -> _Done:
    copied = sum(scene.shape.extent(chunk)[1] for chunk in found.merged)
    rows = [
        ("merged", f"{len(found.merged)} of {counted(scene.shape.chunks, 'chunk')}, {_saved(copied, options.sectors)}"),
        ("power cuts", str(found.cuts or "none")),
        (ORIGIN, "is not what it was" if found.origin else "is what it was before the upgrade"),
        *((name, "has changed" if at else "shows what it showed") for name, at in found.siblings),
    ]
    facts = {
        "generation": choice_of(options).name,
        **{name: value for entries in GENERATIONS for name, value in entries.facts(options).items()},
        "merged_chunks": len(found.merged),
        "copied_bytes": copied * SECTOR_BYTES,
        "full_bytes": options.sectors * SECTOR_BYTES,
        "power_cuts": found.cuts,
        "different": {ORIGIN: list(found.origin), **{name: list(at) for name, at in found.siblings}},
    }
    return _Done(rows, facts, wrong)


# --- backup ------------------------------------------------------------------------------------------------------


def _backup(options: Namespace, scene: _Scene) -> _Done:
    recipe = choice_of(options).backup(scene.load, scene.shape, options)
    recipe.begin()
    rounds: list[Round] = []
    wrong: list[str] = []
    for number in range(options.rounds + 1):
        scene.bar(number, options.rounds + 1)
        scene.cut_within(40)
        before = scene.load.contents.get(rounds[-1].snapshot) if rounds else None
        rounds.append(recipe.round())
        held = recipe.persevere(lambda: recipe.read(COPY))
        if at := differing(held, scene.load.contents[rounds[-1].snapshot]) or rounds[-1].different:
            still = ": it is what it was a round ago" if held == before else ""
            wrong.append(f"round {number}: the copy is not {rounds[-1].snapshot} {_where(at, options.chunk)}{still}")
            break
    return _backed_up(options, scene, rounds, wrong)


def _backed_up(options: Namespace, scene: _Scene, rounds: list[Round], wrong: list[str]) -> _Done:
    copied, full = sum(one.copied for one in rounds[1:]), options.sectors * (len(rounds) - 1)
    rows = [(f"round {one.number}", _round(one, scene.shape)) for one in rounds]
    if not wrong:
        rows.append(("after round 0", _saved(copied, full)))
        rows.append(("copy", f"equal to the snapshot after each of {counted(len(rounds), 'round')}"))
    facts = {
        "rounds": [asdict(one) for one in rounds],
        "copied_bytes": copied * SECTOR_BYTES,
        "full_bytes": full * SECTOR_BYTES,
        "power_cuts": sum(one.cuts for one in rounds),
    }
    return _Done(rows, facts, wrong)


def _round(one: Round, shape: Shape) -> str:
    what = "all" if one.full else str(one.changed)
    notes = [f"{counted(one.retaken, 'snapshot')} lost meanwhile"] if one.retaken else []
    notes += [f"power cuts {one.cuts}"] if one.cuts else []
    notes += ["there was no valid snapshot"] if one.full and one.number else []
    return ", ".join([f"{what} of {counted(shape.chunks, 'chunk')}", _saved(one.copied, shape.size), *notes])
