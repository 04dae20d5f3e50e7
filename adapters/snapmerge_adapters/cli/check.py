"""``check``: many random scenarios on an implementation, and what came of them."""

import json
import secrets
import shlex
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from snapmerge import (
    Died,
    NotModelled,
    OperationError,
    Oracle,
    Step,
    counted,
    print_operation,
    print_outcome,
    print_trace,
)
from snapmerge_adapters.cli.adapters import RefusedError, check_options, maker, options_again
from snapmerge_adapters.cli.errors import AGREES, DIVERGED, UNABLE, CommandError
from snapmerge_adapters.cli.generation import budget_of, rules_of
from snapmerge_adapters.cli.judge import last_words_text, seen_briefly
from snapmerge_adapters.cli.saving import save_directory, save_new
from snapmerge_adapters.cli.schedules import schedule_text
from snapmerge_adapters.cli.show import Bar, coloured, complain, one_line, table
from snapmerge_adapters.texts import cut
from snapmerge_specs import (
    OUTCOME_MAX,
    SHRINK_TRIES,
    DivergenceReport,
    FindingMet,
    Kept,
    PromiseReport,
    Report,
    allowed_text,
    breaks,
    check,
    choices_of,
    cut_off_text,
    generation_of,
    seen_text,
)

__all__ = ["run_check"]


def run_check(options: Namespace) -> int:
    """Checks, and prints a table or an object of what was found."""
    check_options(options)
    if options.promises and not generation_of(rules_of(options)).in_kernels:
        raise CommandError("--promises is for the kernel's snapshot-merge; that of 2009 has properties of its own")
    save = save_directory(options.save)
    seed = secrets.randbelow(1 << 32) if options.seed is None else options.seed
    report = _run(options, seed)
    saved = _Saved.of(report, save)
    if options.json:
        print(json.dumps(_as_object(options, report, saved)))
    else:
        if report.found is not None and saved.found is not None:
            print(_divergence(options, report, report.found, saved.found))
        if report.kept is not None and report.kept.broken is not None and saved.broken is not None:
            print(_broken(options, report, report.kept.broken, saved.broken))
        print(_summary(report), end="")
    code = _code(options, report)
    if code == UNABLE:
        complain(_nothing(report))
    return code


def _code(options: Namespace, report: Report) -> int:
    kept = report.kept
    wrong = report.found is not None if kept is None else kept.broken is not None
    if wrong or (options.strict and report.known):
        return DIVERGED
    return AGREES if _has_checked(report) else UNABLE


def _has_checked(report: Report) -> bool:
    """Whether the check says anything: without a read of which something is promised, nothing of promises."""
    return report.checked > 0 and (report.kept is None or report.kept.looked > 0)


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
                promises=options.promises,
            )
        except RefusedError as error:
            raise CommandError(f"an operation of the check (seed {seed}) was refused: {error}") from error
        except NotModelled as error:
            raise CommandError(f"the check (seed {seed}) can't continue: {error}") from error
        except OperationError as error:
            raise CommandError(f"the implementation can't be checked: {error}") from error
        finally:
            bar.clear()
            shrinking.clear()


# --- the trace of a divergence -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Saved:
    """Where the traces of what was found are."""

    found: Path | None
    broken: Path | None

    @staticmethod
    def of(report: Report, directory: Path | None) -> "_Saved":
        """Writes them."""
        found, broken = report.found, None if report.kept is None else report.kept.broken
        return _Saved(
            None if found is None else _save(report, "diverged", _heading(report, found), found.trace, directory),
            None
            if broken is None
            else _save(report, "broken", _broken_heading(report, broken), broken.trace, directory),
        )


def _heading(report: Report, found: DivergenceReport) -> str:
    return (
        f"# Found by snapmerge check with seed {report.seed} on: {one_line(report.about)}\n"
        f"# In the last line was seen: {seen_briefly(found.divergence.step)}\n"
        f"# The model allows: {one_line(allowed_text(found.divergence))}\n"
    )


def _broken_heading(report: Report, broken: PromiseReport) -> str:
    return (
        f"# Found by snapmerge check --promises with seed {report.seed} on: {one_line(report.about)}\n"
        f"# The last line breaks {one_line(broken.promise.sentence)}\n"
        f"# {cut(one_line(broken.promise.text), OUTCOME_MAX)}\n"
    )


def _save(report: Report, name: str, head: str, trace: Sequence[Step], directory: Path | None) -> Path:
    return save_new(f"{name}-{report.seed}", head + print_trace(trace), directory)


def _replay_command(options: Namespace, found: DivergenceReport | PromiseReport, path: Path) -> str:
    """Of a schedule that was shrunk those choices are said that the trace needs."""
    schedule = schedule_text([choices_of(step) for step in found.trace])
    promises = "--promises " if options.promises else ""
    return f"snapmerge replay {shlex.quote(str(path))} {promises}{options_again(options, schedule=schedule)}"


# --- what is printed ---------------------------------------------------------------------------------------------


def _divergence(options: Namespace, report: Report, found: DivergenceReport, path: Path) -> str:
    step = found.divergence.step
    more = (("known", cut_off_text(found)), ("breaks", breaks(found)))
    known_and_breaks = "".join(f"{name:<10}{text}\n" for name, text in more if text)
    return (
        f"{coloured('DIVERGED', 'red')} from the model; the shortest trace that was found:\n\n{_trace(found.trace)}\n"
        f"allowed   {allowed_text(found.divergence)}\n"
        f"seen      {seen_briefly(step)}{last_words_text(step, 10)}\n"
        f"{known_and_breaks}{_rows(options, report, found, path)}"
    )


def _broken(options: Namespace, report: Report, broken: PromiseReport, path: Path) -> str:
    last, text = broken.trace[-1], cut(one_line(broken.promise.text), OUTCOME_MAX)
    seen = f"seen      died{last_words_text(last, 10)}\n" if isinstance(last.outcome, Died) else f"seen      {text}\n"
    return (
        f"{coloured('BROKEN PROMISE', 'red')}; the shortest trace that was found:\n\n{_trace(broken.trace)}\n"
        f"breaks    {broken.promise.sentence}\n{seen}{_rows(options, report, broken, path)}"
    )


def _trace(trace: Sequence[Step]) -> str:
    *before, last = trace
    return f"{print_trace(before)}{coloured(f'{print_operation(last.operation)} -> {seen_briefly(last)}', 'red')}\n"


def _rows(options: Namespace, report: Report, found: DivergenceReport | PromiseReport, path: Path) -> str:
    promises = "--promises " if options.promises else ""
    return (
        f"saved     {path}\n"
        f"replay    {_replay_command(options, found, path)}\n"
        f"again     snapmerge check --seed {report.seed} --runs {options.runs} --steps {options.steps} "
        f"{promises}{options_again(options)}\n"
    )


def _verdict_text(report: Report, kept: Kept) -> str:
    """Whether a user may count on it, and whether it does what Linux does."""
    if kept.broken is not None:
        return f"breaks {kept.broken.promise.sentence}"
    if not _has_checked(report):
        return "nothing was checked"
    return ("diverges from" if kept.diverged else "agrees with") + " Linux; keeps its promises so far"


def _counts(pairs: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{name}\N{NO-BREAK SPACE}{count}" for name, count in pairs) or "none"


def _nothing(report: Report) -> str:
    """Why a check that found nothing has not shown anything either."""
    if report.checked:
        return "nothing was checked: no read was compared with what is promised"
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
        ("divergences", "1" if report.found is not None or _differs(report.kept) else "none"),
        ("known findings", "" if report.known or report.avoided else "none met"),
        *((f"  {one.name}", f"met {counted(one.met, 'time')}: {_what_it_breaks(one)}") for one in report.known),
        *((f"  {name}", f"avoided {counted(number, 'time')}: the kernel would die") for name, number in report.avoided),
        ("undecided", str(len(report.undecided)) if report.undecided else "none"),
        *(
            ("", f"{print_operation(one.step.operation)} after {counted(one.worlds, 'world')}")
            for one in report.undecided
        ),
        *([("refused", f"{_counts(report.refused)}; {_refusal(report)}")] if report.refused else []),
        *(("left out", f"{name} {', '.join(words)}") for name, words in report.left_out),
        *([] if report.kept is None else _kept_rows(report, report.kept)),
    ]
    return table(rows)


def _what_it_breaks(finding: FindingMet) -> str:
    return finding.summary + (f" ({finding.statement})" if finding.statement else "")


def _kept_rows(report: Report, kept: Kept) -> list[tuple[str, str]]:
    return [("reads compared", _counts(kept.compared)), ("verdict", _verdict_text(report, kept))]


def _as_object(options: Namespace, report: Report, saved: _Saved) -> dict[str, Any]:
    found = report.found
    return {
        "command": "check",
        "agrees": found is None and not report.known and _has_checked(report) and not _differs(report.kept),
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
        "divergence": None if found is None or saved.found is None else _found_object(options, found, saved.found),
        "known": [
            {"name": one.name, "summary": one.summary, "met": one.met, "statement": one.statement}
            for one in report.known
        ],
        "avoided": dict(report.avoided),
        "undecided": [
            {"operation": print_operation(one.step.operation), "seen": seen_text(one.step), "worlds": one.worlds}
            for one in report.undecided
        ],
        **({} if report.kept is None else _kept_object(options, report, report.kept, saved)),
    }


def _differs(kept: Kept | None) -> bool:
    return kept is not None and (kept.diverged or kept.broken is not None)


def _kept_object(options: Namespace, report: Report, kept: Kept, saved: _Saved) -> dict[str, Any]:
    broken = kept.broken
    return {
        "verdict": _verdict_text(report, kept),
        "keeps_promises": kept.broken is None if _has_checked(report) else None,
        "diverges": kept.diverged,
        "compared": dict(kept.compared),
        "broken": None if broken is None or saved.broken is None else _broken_object(options, broken, saved.broken),
    }


def _broken_object(options: Namespace, broken: PromiseReport, path: Path) -> dict[str, Any]:
    return {
        "statement": broken.promise.statement,
        "text": str(broken.promise),
        "trace": print_trace(broken.trace),
        "file": str(path),
        "replay": _replay_command(options, broken, path),
    }


def _found_object(options: Namespace, found: DivergenceReport, path: Path) -> dict[str, Any]:
    return {
        "trace": print_trace(found.trace),
        "operation": print_operation(found.divergence.step.operation),
        "seen": seen_text(found.divergence.step),
        "allowed": [print_outcome(outcome) for outcome in found.divergence.allowed],
        "breaks": breaks(found),
        "cut_off": list(found.cut_off),
        "file": str(path),
        "replay": _replay_command(options, found, path),
    }
