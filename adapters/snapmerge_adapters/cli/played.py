"""A controlled trace that is played on an implementation, or judged as it was recorded."""

from collections.abc import Sequence
from dataclasses import dataclass

from snapmerge import (
    MAINLINE,
    Controlled,
    ControlStep,
    Divergence,
    HeldDivergence,
    OperationError,
    Requests,
    Reset,
    Rules,
    Step,
    Undecided,
    print_outcome,
    print_requests,
)
from snapmerge_adapters.cli.errors import CommandError
from snapmerge_adapters.cli.show import one_line
from snapmerge_adapters.cli.traces import ControlledTrace
from snapmerge_specs import HeldJudge, held_finding, with_finding

__all__ = ["Played", "allowed_texts", "played"]


@dataclass(frozen=True, slots=True)
class Played:
    """The steps that were seen.  ``allowed``: what the model allows in place of the last; None: they agree."""

    name: str
    steps: tuple[Step | ControlStep, ...]
    allowed: tuple[str, ...] | None
    findings: tuple[str, ...]


def played(trace: ControlledTrace, made: Controlled | None) -> Played:
    """Plays the trace on the implementation until it diverges; None: judges what was recorded.  Raises CommandError."""
    if made is not None:
        made.apply(Reset())
    rules, judge = MAINLINE, HeldJudge()
    seen: list[Step | ControlStep] = []
    met: list[str] = []
    for step, line in zip(trace.steps, trace.lines, strict=True):
        try:
            seen.append(step if made is None else _done(step, made))
            verdict = judge.observe(seen[-1])
            if isinstance(verdict, HeldDivergence) and (finding := held_finding(seen, rules, met)) is not None:
                met.append(finding.name)
                rules = with_finding(rules, finding)
                judge, verdict = _again(seen, rules), None
        except OperationError as error:
            raise CommandError(f"{trace.name}:{line}: {one_line(str(error))}") from None
        if isinstance(verdict, Undecided):
            raise CommandError(f"{trace.name}:{line}: the model has too many states here to decide")
        if verdict is not None:
            return Played(trace.name, tuple(seen), allowed_texts(verdict), tuple(met))
    return Played(trace.name, tuple(seen), None, tuple(met))


def allowed_texts(verdict: HeldDivergence | Divergence) -> tuple[str, ...]:
    """What the model allows in place of what was seen, as a trace writes it."""
    return tuple(print_requests(one) if isinstance(one, Requests) else print_outcome(one) for one in verdict.allowed)


def _done(step: Step | ControlStep, made: Controlled) -> Step | ControlStep:
    if isinstance(step, ControlStep):
        return ControlStep(step.control, made.control(step.control))
    return Step(step.operation, made.apply(step.operation))


def _again(steps: Sequence[Step | ControlStep], rules: Rules) -> HeldJudge:
    """A judge by these rules that has seen these steps."""
    judge = HeldJudge(rules)
    for step in steps:
        judge.observe(step)
    return judge
