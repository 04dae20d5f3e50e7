"""``judge`` and ``replay``: recorded traces against the model, without and with an implementation."""

import contextlib
import json
from argparse import Namespace
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from snapmerge import (
    Budget,
    Crash,
    Died,
    Divergence,
    Implementation,
    NotModelled,
    OperationError,
    Outcome,
    Rules,
    Step,
    Undecided,
    Verdict,
    counted,
    print_operation,
    print_outcome,
    shortened,
)
from snapmerge_adapters.cli.adapters import RefusedError, check_options, implementation
from snapmerge_adapters.cli.errors import AGREES, DIVERGED, UNABLE, CommandError
from snapmerge_adapters.cli.generation import budget_of, rules_of
from snapmerge_adapters.cli.schedules import to_schedule
from snapmerge_adapters.cli.show import coloured, complain
from snapmerge_adapters.cli.traces import Trace, check_capabilities, read_trace, same_outcome
from snapmerge_adapters.texts import cut, last_words
from snapmerge_specs import (
    OUTCOME_MAX,
    Promises,
    allowed_text,
    broken_promise,
    generation_of,
    judge,
    replay,
    seen_text,
    some_text,
)

__all__ = ["last_words_text", "run_judge", "run_replay", "seen_briefly"]

_COLOUR: Final = {
    "ok": "green",
    "differs": "yellow",
    "diverged": "red",
    "undecided": "yellow",
    "not modelled": "yellow",
}


def seen_briefly(step: Step) -> str:
    """What was seen, for people: without last words, which have lines of their own, and bounded."""
    return "died" if isinstance(step.outcome, Died) else cut(seen_text(step), OUTCOME_MAX)


def last_words_text(step: Step, indent: int) -> str:
    """The last words of what died in this step, on lines of their own; nothing if it lives."""
    if not isinstance(step.outcome, Died):
        return ""
    return "".join(f"\n{' ' * indent}{line}" for line in last_words(step.outcome.text).split("\n"))


def _verdict_text(step: Step, verdict: Divergence | Undecided) -> str:
    if isinstance(verdict, Divergence):
        return _diverged_text(allowed_text(verdict), seen_briefly(step))
    return _undecided_text(seen_briefly(step), verdict.worlds)


def _diverged_text(allowed: str, seen: str) -> str:
    return f"allowed {allowed}, seen {shortened(seen, OUTCOME_MAX)}"


def _undecided_text(seen: str, worlds: int) -> str:
    given_up = f"whether {shortened(seen, OUTCOME_MAX)} is allowed was given up after {counted(worlds, 'world')}"
    return f"{given_up}; fewer operations under way at once, or a finish before this step, leave less to search"


def _located(trace: Trace, index: int, error: OperationError) -> CommandError:
    source = "the implementation refuses: " if isinstance(error, RefusedError) else ""
    line = shortened(print_operation(trace.steps[index].operation))
    return CommandError(f"{trace.where(index)}: {line}: {source}{error}")


def _code(verdict: Verdict) -> int:
    return AGREES if verdict is None else DIVERGED if isinstance(verdict, Divergence) else UNABLE


# --- judge -------------------------------------------------------------------------------------------------------


def run_judge(options: Namespace) -> int:
    """Judges each file and prints a line for it, also after errors in other files; returns the worst exit code."""
    codes, results = [], []
    for path in options.traces:
        try:
            code, result = _judge_file(path, rules_of(options), budget_of(options), promises=options.promises)
        except CommandError as error:
            code, result = UNABLE, {"file": path, "result": "error", "error": str(error)}
            complain(str(error))
        codes.append(code)
        results.append(result)
        if not options.json and result["result"] != "error":
            print(_judge_line(result))
    if options.json:
        agrees = all(result["result"] == "ok" and "broken" not in result for result in results)
        keeps = _keeps(options, not any("broken" in result or result["result"] == "error" for result in results))
        print(json.dumps({"command": "judge", "agrees": agrees, "keeps_promises": keeps, "files": results}))
    return DIVERGED if DIVERGED in codes else max(codes)


def _keeps(options: Namespace, keeps: bool) -> bool | None:  # it is the answer
    """Whether the promises are kept, of a generation that has them."""
    return keeps if generation_of(rules_of(options)).in_kernels else None


def _judge_file(path: str, rules: Rules, budget: Budget, *, promises: bool) -> tuple[int, dict[str, Any]]:
    """The oracle's verdict, and which promise is broken, if one is; that is looked for to the end of the trace."""
    trace = read_trace(path)
    code, result = _conformance(trace, rules, budget)
    fields = _broken_fields(trace, trace.steps, rules)
    if fields is None:
        return (AGREES if promises and code == DIVERGED else code), result
    return DIVERGED, {**result, "broken": fields}


def _broken_fields(trace: Trace, steps: Sequence[Step], rules: Rules) -> dict[str, Any] | None:
    """Which promise is broken by these steps, the first of the trace; promises are those of Linux."""
    broken = broken_promise(steps) if generation_of(rules).in_kernels else None
    if broken is None:
        return None
    return {"line": trace.lines[broken.index], "statement": broken.statement, "text": str(broken)}


def _conformance(trace: Trace, rules: Rules, budget: Budget) -> tuple[int, dict[str, Any]]:
    index, verdict, step = -1, None, trace.steps[0]
    try:
        for index, (step, verdict) in enumerate(judge(trace.steps, rules, budget=budget)):  # noqa: B007  # the last ones are looked at below
            pass
    except NotModelled as error:
        return UNABLE, _not_modelled(trace, index + 1, error)
    except OperationError as error:
        raise _located(trace, index + 1, error) from None
    if verdict is None:
        unrecorded = sum(one.outcome is None for one in trace.steps)
        return AGREES, {"file": trace.name, "result": "ok", "steps": len(trace.steps), "unrecorded": unrecorded}
    return _code(verdict), {"file": trace.name, "line": trace.lines[index], **_verdict_fields(step, verdict)}


def _not_modelled(trace: Trace, index: int, error: NotModelled) -> dict[str, Any]:
    step = trace.steps[index]
    fields = {"operation": print_operation(step.operation), "seen": seen_text(step), "reason": str(error)}
    return {"file": trace.name, "line": trace.lines[index], "result": "not modelled", **fields}


def _verdict_fields(step: Step, verdict: Divergence | Undecided) -> dict[str, Any]:
    step_fields = {"operation": print_operation(step.operation), "seen": seen_text(step)}
    if isinstance(verdict, Undecided):
        return {"result": "undecided", **step_fields, "worlds": verdict.worlds}
    return {"result": "diverged", **step_fields, "allowed": [print_outcome(outcome) for outcome in verdict.allowed]}


def _judge_line(result: dict[str, Any]) -> str:
    said = _promise_text(result.get("broken"), diverged=result["result"] == "diverged")
    return _conformance_line(result) + (f"\n{'':4}{said}" if said else "")


def _promise_text(broken: dict[str, Any] | None, *, diverged: bool) -> str:
    """The answer to the second question, where there is something to say."""
    if broken is not None:
        return f"{coloured('promise broken', 'red')} at line {broken['line']}: {shortened(broken['text'])}"
    return "diverges from Linux; keeps its promises so far" if diverged else ""


def _conformance_line(result: dict[str, Any]) -> str:
    word = result["result"]
    head = f"{result['file']}: {coloured(word, _COLOUR[word])}"
    if word == "ok":
        return head
    head += f" at line {result['line']}: {shortened(result['operation'])}: "
    if word == "not modelled":
        return f"{head}{result['reason']}"
    if word == "diverged":
        return head + _diverged_text(some_text(result["allowed"]), result["seen"])
    return head + _undecided_text(result["seen"], result["worlds"])


# --- replay ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Played:
    """One step of a replay."""

    index: int
    step: Step
    verdict: Verdict
    differs: bool

    @property
    def word(self) -> str:
        """What became of it."""
        if self.verdict is not None:
            return "diverged" if isinstance(self.verdict, Divergence) else "undecided"
        return "differs" if self.differs else "ok"


def run_replay(options: Namespace) -> int:
    """Line by line: what was seen, and whether the model and the record agree with it."""
    check_options(options)
    trace = read_trace(options.trace)
    _make_crash_possible(options, trace)
    _check_schedule(options, trace)
    played = []
    about = ""
    rules = rules_of(options)
    with implementation(options, rules) as made:
        about = made.capabilities.about
        check_capabilities(trace, made.capabilities)
        for one in _play(trace, made, rules, budget_of(options)):
            played.append(one)
            if not options.json:
                print(_replay_line(trace, one), flush=True)
        rest = _follow(trace, made, [one.step for one in played]) if played[-1].verdict is not None else []
    broken = _broken_fields(trace, [*(one.step for one in played), *rest], rules)
    code = _replay_code(played, broken, strict=options.strict, promises=options.promises)
    if options.json:
        print(
            json.dumps(
                {
                    **_replay_object(trace, played, about, code),
                    "keeps_promises": _keeps(options, broken is None),
                    "broken": broken,
                }
            )
        )
    else:
        print(_replay_summary(trace, played, about))
        if said := _promise_text(broken, diverged=isinstance(played[-1].verdict, Divergence)):
            print(f"{'':4}{said}")
    return code


def _follow(trace: Trace, made: Implementation, seen: Sequence[Step]) -> list[Step]:
    """Runs the rest of a trace after a divergence, to judge the promises to its end.

    Operations that are invalid by then, or may block, are left out.
    """
    promises, steps = Promises(), list[Step]()
    for step in seen:
        promises.observe(step.operation, step.outcome)
    for step in trace.steps[len(seen) :]:
        outcome: Outcome | None = None
        if not promises.would_block(step.operation):
            with contextlib.suppress(OperationError):
                outcome = made.apply(step.operation)
        promises.observe(step.operation, outcome)
        steps.append(Step(step.operation, outcome))
        if isinstance(outcome, Died):
            break
    return steps


def _make_crash_possible(options: Namespace, trace: Trace) -> None:
    """Gives a real kernel's disks a volatile cache if the trace has a power cut, which needs one."""
    if options.adapter in ("guest", "devicemapper") and any(isinstance(step.operation, Crash) for step in trace.steps):
        options.volatile = True


def _check_schedule(options: Namespace, trace: Trace) -> None:
    """Raises CommandError for a choice of an operation that the trace does not have."""
    if options.schedule is not None and (last := len(to_schedule(options.schedule))) > (count := len(trace.steps)):
        raise CommandError(
            f"--schedule has a choice of operation {last}; {trace.name} has {counted(count, 'operation')}"
        )


def _play(trace: Trace, made: Implementation, rules: Rules, budget: Budget) -> Iterator[_Played]:
    index = 0
    try:
        for step, verdict in replay(trace.steps, made, rules, budget=budget):
            yield _Played(index, step, verdict, _differs(trace.steps[index], step))
            index += 1
    except OperationError as error:
        raise _located(trace, index, error) from None


def _differs(recorded: Step, seen: Step) -> bool:
    """Whether the outcome is another one than the trace records; a reset ahead of the trace is not in it."""
    if seen.outcome is None or seen.operation != recorded.operation:
        return False
    return not same_outcome(recorded.outcome, seen.outcome)


def _replay_code(played: list[_Played], broken: dict[str, Any] | None, *, strict: bool, promises: bool) -> int:
    code = _code(played[-1].verdict)
    if broken is not None:
        return DIVERGED
    if promises:
        return AGREES if code == DIVERGED else code  # what is undecided is undecided for the promises, too
    return DIVERGED if code == AGREES and strict and any(one.differs for one in played) else code


def _replay_line(trace: Trace, one: _Played) -> str:
    line = f"{trace.lines[one.index]:>5}  {coloured(f'{one.word:<9}', _COLOUR[one.word])}  "
    line += f"{print_operation(one.step.operation)} -> {seen_briefly(one.step)}{last_words_text(one.step, 18)}"
    if one.differs:
        line += f"\n{'':18}recorded: {seen_text(trace.steps[one.index])}"
    if isinstance(one.verdict, Divergence):
        line += f"\n{'':18}allowed:  {allowed_text(one.verdict)}"
    elif isinstance(one.verdict, Undecided):
        line += f"\n{'':18}{_verdict_text(one.step, one.verdict)}"
    return line


def _replay_summary(trace: Trace, played: list[_Played], about: str) -> str:
    last = played[-1]
    differing = sum(one.differs for one in played)
    record = f"; {differing} of {counted(len(played), 'line')} differ from the record" if differing else ""
    if last.verdict is None:
        return f"{trace.name}: {about} agrees with the model in all {counted(len(played), 'step')}{record}"
    at = f"at line {trace.lines[last.index]}"
    return f"{trace.name}: {about}: {last.word} {at}: {_verdict_text(last.step, last.verdict)}{record}"


def _replay_object(trace: Trace, played: list[_Played], about: str, code: int) -> dict[str, Any]:
    lines = []
    for one in played:
        fields = {} if one.verdict is None else _verdict_fields(one.step, one.verdict)
        recorded = trace.steps[one.index].outcome
        lines.append(
            {
                "line": trace.lines[one.index],
                "operation": print_operation(one.step.operation),
                "seen": seen_text(one.step),
                "recorded": None if recorded is None else print_outcome(recorded),
                **fields,
                "result": one.word,
            }
        )
    agrees = code == AGREES and played[-1].verdict is None
    return {"command": "replay", "file": trace.name, "about": about, "agrees": agrees, "steps": lines}
