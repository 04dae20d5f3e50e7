"""``explore``: every schedule of small scopes, in the model or on an implementation whose disks are under control."""

import json
import shlex
import time
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from snapmerge import (
    Controlled,
    ControlStep,
    Died,
    OperationError,
    Step,
    counted,
    print_controlled_trace,
    print_operation,
)
from snapmerge_adapters.cli.adapters import check_options, implementation, options_again
from snapmerge_adapters.cli.errors import AGREES, DIVERGED, CommandError
from snapmerge_adapters.cli.generation import rules_of
from snapmerge_adapters.cli.played import Played, allowed_texts, played
from snapmerge_adapters.cli.saving import save_directory, save_new
from snapmerge_adapters.cli.scopes import SCOPES, check_scope, chosen, word_of
from snapmerge_adapters.cli.show import Bar, coloured, one_line, table
from snapmerge_adapters.cli.traces import ControlledTrace, lacking
from snapmerge_adapters.texts import cut
from snapmerge_specs import (
    OUTCOME_MAX,
    ControlledExploration,
    Exploration,
    Script,
    explore,
    explore_script,
    generation_of,
    model_scope,
    scope_of,
)

__all__ = ["run_explore"]


def run_explore(options: Namespace) -> int:
    """Explores or replays, and prints a line for each scope, or an object."""
    if options.list:
        return _list(options)
    what = chosen(options.scopes)
    if not generation_of(rules_of(options)).in_kernels:
        raise CommandError("explore is for the kernel's snapshot-merge; that of 2009 has no scopes yet")
    if options.schedule is not None or options.schedule_seed is not None:
        raise CommandError("explore goes through every schedule; leave out --schedule and --schedule-seed")
    if options.adapter is None and not options.program:
        check_options(Namespace(**{**vars(options), "adapter": "memory"}))
        return _model(options, what)
    if options.adapter == "guest":
        options.volatile = True  # each disk is then a device of its own, which can be controlled
    check_options(options)
    return _on_an_implementation(options, what)


def _list(options: Namespace) -> int:
    sizes = {word: len(script.steps) for word, script in SCOPES.items()}
    if options.json:
        print(json.dumps({"command": "explore", "list": [{"name": w, "operations": n} for w, n in sizes.items()]}))
    else:
        print(table((word, counted(size, "operation")) for word, size in sizes.items()), end="")
    return AGREES


# --- the model itself --------------------------------------------------------------------------------------------


def _model(options: Namespace, what: Sequence[Script | ControlledTrace]) -> int:
    lines: list[dict[str, Any]] = []
    for one in what:
        if isinstance(one, ControlledTrace):
            lines.append(_played(options, played(one, None), None))
            continue
        began = time.monotonic()
        try:
            found = explore(one)
        except OperationError as error:
            raise CommandError(f"{one.name}: no scope: {one_line(str(error))}") from None
        lines.append(_of_model(options, one, found, time.monotonic() - began))
    return _end(options, "the model", lines)


def _of_model(options: Namespace, script: Script, found: Exploration, seconds: float) -> dict[str, Any]:
    wrong = found.violation
    if not options.json:
        counts = f"{counted(found.states, 'state')}, {counted(found.transitions, 'move')}"
        cuts = counted(found.crashes, "power cut")
        verdict = "every property holds" if wrong is None else f"{wrong.property} does not hold: {wrong.problem}"
        _line(script, f"{counts}, {cuts}; {verdict}; {seconds:.1f} s")
    return {
        "scope": word_of(script),
        "agrees": wrong is None,
        "states": found.states,
        "moves": found.transitions,
        "ends": found.ends,
        "power_cuts": found.crashes,
        "seconds": seconds,
        "violation": None if wrong is None else f"{wrong.property} ({wrong.statement}): {wrong.problem}",
    }


# --- an implementation -------------------------------------------------------------------------------------------


def _on_an_implementation(options: Namespace, what: Sequence[Script | ControlledTrace]) -> int:
    directory = save_directory(options.save)
    explored = [
        one for one in what if isinstance(one, ControlledTrace) or options.scopes or scope_of(one).explored
    ]  # unasked those are left out that have one schedule
    for one in explored:
        if isinstance(one, Script):
            check_scope(one)
    lines = []
    with implementation(options, rules_of(options)) as made:
        about = made.capabilities.about
        if "controlled" not in made.capabilities.features:
            raise CommandError(
                f"{one_line(about) or 'this implementation'} has no disks under control (the feature controlled); "
                "--adapter memory and --adapter guest have"
            )
        for one in explored:
            if isinstance(one, ControlledTrace):
                lines.append(_played(options, played(one, made), made))
            else:
                lines.append(_explored(one, made).shown(options, about, directory))
    return _end(options, about, lines)


@dataclass(frozen=True, slots=True)
class _Explored:
    """A scope that was explored: ``reached`` of the model's ``states``."""

    script: Script
    found: ControlledExploration
    reached: int
    states: int
    seconds: float

    def shown(self, options: Namespace, about: str, directory: Path | None) -> dict[str, Any]:
        """Prints it, and saves a divergence; as an object."""
        found = self.found
        wrong = found.divergence is not None or found.died is not None
        fields: dict[str, Any] = {
            "scope": word_of(self.script),
            "agrees": not wrong,
            "exhausted": not wrong and found.unreached == 0,
            "runs": found.runs,
            "steps": found.actions,
            "points": found.nodes,
            "actions": found.tried,
            "unreached": found.unreached,
            "reached": self.reached,
            "states": self.states,
            "seconds": self.seconds,
            "findings": [finding.name for finding in found.findings],
        }
        if not options.json:
            _line(self.script, self._text())
        if wrong:
            head = f"# Found by snapmerge explore {word_of(self.script)} on: {one_line(about)}\n"
            name, text = f"diverged-{_file_word(self.script)}", head + print_controlled_trace(found.trace)
            path = save_new(name, text, directory)
            replay = f"snapmerge explore {shlex.quote(str(path))} {options_again(options)}"
            allowed = () if found.divergence is None else allowed_texts(found.divergence)
            rows = [("saved", str(path)), ("replay", replay)]
            fields["divergence"] = _diverged(options, found.trace, allowed, rows)
        return fields

    def _text(self) -> str:
        found, percent = self.found, 100 * self.reached / self.states
        how = "exhausted" if found.unreached == 0 else f"{counted(found.unreached, 'action')} not reached again"
        if found.divergence is not None or found.died is not None:
            how = coloured("died" if found.died is not None else "DIVERGED", "red")
        known = "".join(f"; met {finding.name}" for finding in found.findings)
        return (
            f"{how}; {counted(found.runs, 'run')}, {counted(found.actions, 'step')}; {counted(found.tried, 'action')} "
            f"at {counted(found.nodes, 'point')}; {self.reached} of the model's {self.states} states "
            f"({percent:.1f} %); {self.seconds:.1f} s{known}"
        )


def _file_word(script: Script) -> str:
    return "".join(char if char.isalnum() else "-" for char in word_of(script)).strip("-")[-60:] or "scope"


def _explored(script: Script, made: Controlled) -> _Explored:
    bar, began = Bar(word_of(script)), time.monotonic()
    for operation in script.steps:
        if (lacks := lacking(operation, made.capabilities)) is not None:
            about = one_line(made.capabilities.about) or "the implementation"
            raise CommandError(f"{script.name}: {print_operation(operation)}: {about} lacks this: {lacks}")
    try:
        found = explore_script(script, made, lambda so_far, left: bar(so_far.tried, so_far.tried + left))
    except OperationError as error:
        raise CommandError(f"{script.name}: can't be explored: {one_line(str(error))}") from error
    finally:
        bar.clear()
    states = model_scope(scope_of(script, found.rules))
    return _Explored(script, found, len(found.states & states), len(states), time.monotonic() - began)


# --- controlled traces -------------------------------------------------------------------------------------------


def _played(options: Namespace, seen: Played, made: Controlled | None) -> dict[str, Any]:
    subject = "the model allows the record" if made is None else "agrees"
    if not options.json and seen.allowed is None:
        known = "".join(f"; met {name}" for name in seen.findings)
        print(f"{seen.name}: {subject}; {counted(len(seen.steps), 'step')}{known}")
    fields: dict[str, Any] = {
        "trace": seen.name,
        "agrees": seen.allowed is None,
        "steps": len(seen.steps),
        "findings": list(seen.findings),
    }
    if seen.allowed is not None:
        fields["divergence"] = _diverged(options, seen.steps, seen.allowed, [])
    return fields


# --- what is printed ---------------------------------------------------------------------------------------------


def _line(script: Script, text: str) -> None:
    print(f"{word_of(script):<30}{text}", flush=True)


def _diverged(
    options: Namespace, trace: Sequence[Step | ControlStep], allowed: Sequence[str], rows: list[tuple[str, str]]
) -> dict[str, Any]:
    """Prints a divergence, which is the last step; as an object."""
    text = print_controlled_trace(trace)
    if not options.json:
        *before, last = text.splitlines()
        seen = trace[-1].seen if isinstance(trace[-1], ControlStep) else trace[-1].outcome
        print(f"{coloured('DIVERGED', 'red')} from the model:\n")
        print("\n".join([*before, coloured(cut(last, OUTCOME_MAX), "red"), ""]))
        death = [("died", one_line(seen.text))] if isinstance(seen, Died) else []
        print(table([*death, *(("allowed", cut(one, OUTCOME_MAX)) for one in allowed)]), end="")
        print("".join(f"{name:<10}{text}\n" for name, text in rows), end="", flush=True)  # to be copied: not wrapped
    return {"trace": text, "allowed": list(allowed), **dict(rows)}


def _end(options: Namespace, about: str, lines: list[dict[str, Any]]) -> int:
    agrees = all(line["agrees"] for line in lines)
    if options.json:
        print(json.dumps({"command": "explore", "about": about, "agrees": agrees, "results": lines}))
    met = any(line.get("findings") for line in lines)
    return AGREES if agrees and not (options.strict and met) else DIVERGED
