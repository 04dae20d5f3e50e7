"""``check``: many random scenarios on an implementation, and what came of them."""

import json
import secrets
import shlex
import tempfile
from argparse import Namespace
from functools import partial
from pathlib import Path
from typing import Any

from snapmerge import NotModelled, OperationError, Oracle, counted, print_operation, print_outcome, print_trace
from snapmerge_adapters.cli.adapters import RefusedError, check_options, maker, options_again
from snapmerge_adapters.cli.errors import AGREES, DIVERGED, UNABLE, CommandError
from snapmerge_adapters.cli.generation import budget_of, rules_of
from snapmerge_adapters.cli.judge import last_words_text, seen_briefly
from snapmerge_adapters.cli.show import Bar, coloured, complain, one_line, table
from snapmerge_adapters.kept_file import keep_new
from snapmerge_adapters.texts import cut
from snapmerge_specs import SHRINK_TRIES, DivergenceReport, Report, allowed_text, check, seen_text

__all__ = ["run_check"]

_NAMES_MAX = 1000


def run_check(options: Namespace) -> int:
    """Checks, and prints a table or an object of what was found."""
    check_options(options)
    save = _save_directory(options.save)
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    report = _run(options, seed)
    path = None if report.found is None else _save(report, report.found, save)
    if options.json:
        print(json.dumps(_as_object(options, report, path)))
    else:
        if report.found is not None and path is not None:
            print(_divergence(options, report, report.found, path))
        print(_summary(report), end="")
    if report.found is not None or (options.strict and report.known):
        return DIVERGED
    if not report.checked:
        complain(_nothing(report))
    return AGREES if report.checked else UNABLE


def _run(options: Namespace, seed: int) -> Report:
    bar, shrinking = Bar("checking"), Bar("shrinking")
    rules = rules_of(options)
    with maker(options, rules) as make:
        try:
            return check(
                make,
                runs=options.runs,
                steps=options.steps,
                seed=seed,
                rules=rules,
                progress=bar,
                make_oracle=partial(Oracle, budget=budget_of(options)),
                shrinking=lambda tries, _left: shrinking(tries, SHRINK_TRIES),
            )
        except RefusedError as error:
            raise CommandError(f"an operation of the check (seed {seed}) was refused: {error}") from error
        except NotModelled as error:
            raise CommandError(f"the check (seed {seed}) can't go on: {error}") from error
        except OperationError as error:
            raise CommandError(f"the implementation can't be checked: {error}") from error
        finally:
            bar.clear()
            shrinking.clear()


# --- the trace of a divergence -----------------------------------------------------------------------------------


def _save_directory(name: str | None) -> Path | None:
    """Where the trace is to go; made now, so that a long check does not end with a folder that can't be made."""
    if name is None:
        return None
    directory = Path(name)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"--save {name}: {error.strerror}; name a directory that can be written") from None
    return directory


def _save(report: Report, found: DivergenceReport, directory: Path | None) -> Path:
    """Writes the trace into the directory: the one asked for, else the current one, else a temporary one."""
    head = (
        f"# Found by snapmerge check with seed {report.seed} on: {one_line(report.about)}\n"
        f"# In the last line was seen: {seen_briefly(found.divergence.step)}\n"
        f"# The model allows: {one_line(allowed_text(found.divergence))}\n"
    )
    text = head + print_trace(found.trace)
    places = [directory] if directory is not None else [Path(), Path(tempfile.gettempdir())]
    problems = []
    for place in places:
        try:
            return _write_new(place, report.seed, text)
        except OSError as error:
            problems.append(f"{place}: {error.strerror}")
    raise CommandError(f"it diverged, but the trace can't be saved; {'; '.join(problems)}\n{text}")


def _write_new(directory: Path, seed: int, text: str) -> Path:
    """Into a file that was not there: nothing of the user's is overwritten."""
    for number in range(1, _NAMES_MAX):
        path = directory / (f"diverged-{seed}.trace" if number == 1 else f"diverged-{seed}-{number}.trace")
        try:
            keep_new(path, text)
        except FileExistsError:
            continue
        return path
    raise FileExistsError(17, f"there are {_NAMES_MAX} traces of seed {seed} already")


def _replay_command(options: Namespace, path: Path) -> str:
    return f"snapmerge replay {shlex.quote(str(path))} {options_again(options)}"


# --- what is printed ---------------------------------------------------------------------------------------------


def _divergence(options: Namespace, report: Report, found: DivergenceReport, path: Path) -> str:
    *before, last = found.trace
    step = found.divergence.step
    known = f"\nThis is known: {found.known}." if found.known else ""
    return (
        f"{coloured('DIVERGED', 'red')} from the model; the shortest trace that was found:\n\n"
        f"{print_trace(before)}{coloured(f'{print_operation(last.operation)} -> {seen_briefly(last)}', 'red')}\n\n"
        f"allowed   {allowed_text(found.divergence)}\n"
        f"seen      {seen_briefly(step)}{last_words_text(step, 10)}\n"
        f"saved     {path}\n"
        f"replay    {_replay_command(options, path)}\n"
        f"again     snapmerge check --seed {report.seed} --runs {options.runs} --steps {options.steps} "
        f"{options_again(options)}\n{known}"
    )


def _counts(pairs: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{name}\N{NO-BREAK SPACE}{count}" for name, count in pairs) or "none"


def _nothing(report: Report) -> str:
    """Why a check that found nothing has not shown anything either."""
    if report.refusal is None:
        return "nothing was checked: its capabilities name too little; see what was left out"
    return f"nothing was checked: {sum(dict(report.refused).values())} operations were refused; {_refusal(report)}"


def _refusal(report: Report) -> str:
    if report.refusal is None:
        return "none"
    operation, reason = report.refusal
    return f"the first: {cut(print_operation(operation), 200)}: {cut(one_line(reason), 300)}"


def _summary(report: Report) -> str:
    rows = [
        ("implementation", report.about),
        ("runs", f"{report.runs} in {report.seconds:.1f} s, seed {report.seed}"),
        ("operations", str(report.operations)),
        ("kinds", _counts(report.kinds)),
        ("states reached", _counts(report.reached)),
        ("divergences", "none" if report.found is None else "1"),
        ("known findings", "" if report.known or report.avoided else "none met"),
        *((f"  {one.name}", f"met {counted(one.met, 'time')}: {one.summary}") for one in report.known),
        *((f"  {name}", f"avoided {counted(number, 'time')}: the kernel would die") for name, number in report.avoided),
        ("undecided", str(len(report.undecided)) if report.undecided else "none"),
        *(
            ("", f"{print_operation(one.step.operation)} after {counted(one.worlds, 'world')}")
            for one in report.undecided
        ),
        *([("refused", f"{_counts(report.refused)}; {_refusal(report)}")] if report.refused else []),
        *(("left out", f"{name} {', '.join(words)}") for name, words in report.left_out),
    ]
    return table(rows)


def _as_object(options: Namespace, report: Report, path: Path | None) -> dict[str, Any]:
    found = report.found
    return {
        "command": "check",
        "agrees": found is None and not report.known and report.checked > 0,
        "checked": report.checked,
        "refused": dict(report.refused),
        "refusal": None if report.refusal is None else _refusal(report),
        "left_out": dict(report.left_out),
        "about": report.about,
        "seed": report.seed,
        "runs": report.runs,
        "operations": report.operations,
        "seconds": report.seconds,
        "kinds": dict(report.kinds),
        "reached": dict(report.reached),
        "divergence": None if found is None or path is None else _found_object(options, found, path),
        "known": [{"name": one.name, "summary": one.summary, "met": one.met} for one in report.known],
        "avoided": dict(report.avoided),
        "undecided": [
            {"operation": print_operation(one.step.operation), "seen": seen_text(one.step), "worlds": one.worlds}
            for one in report.undecided
        ],
    }


def _found_object(options: Namespace, found: DivergenceReport, path: Path) -> dict[str, Any]:
    return {
        "trace": print_trace(found.trace),
        "operation": print_operation(found.divergence.step.operation),
        "seen": seen_text(found.divergence.step),
        "allowed": [print_outcome(outcome) for outcome in found.divergence.allowed],
        "known": found.known,
        "file": str(path),
        "replay": _replay_command(options, path),
    }
