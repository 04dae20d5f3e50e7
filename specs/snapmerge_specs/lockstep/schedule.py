"""Steps of an implementation with a known schedule: they hold the choices that differ from the canonical schedule."""

from collections.abc import Iterable

from snapmerge import Choices, Implementation, Operation, Outcome, Scheduled, Step
from snapmerge.records import dataclass, replace

__all__ = ["ScheduledStep", "choices_of", "follow", "step_of", "with_choices", "with_operation"]


@dataclass(frozen=True, slots=True)
class ScheduledStep(Step):
    """A step with the choices of its schedule."""

    choices: Choices = ()


def step_of(implementation: Scheduled | None, operation: Operation, outcome: Outcome) -> Step:
    """The step that an implementation has just done; None: an implementation without a known schedule."""
    choices = implementation.choices if implementation is not None else ()
    return ScheduledStep(operation, outcome, choices) if choices else Step(operation, outcome)


def choices_of(step: Step) -> Choices:
    """The choices of a step; none for a plain ``Step``."""
    return step.choices if isinstance(step, ScheduledStep) else ()


def with_choices(step: Step, choices: Choices) -> Step:
    """The step with other choices."""
    if isinstance(step, ScheduledStep):
        return replace(step, choices=choices)
    return ScheduledStep(step.operation, step.outcome, choices) if choices else step


def with_operation(step: Step, operation: Operation) -> Step:
    """Another operation without an outcome, with the choices of the step."""
    return with_choices(Step(operation), choices_of(step))


def follow(implementation: Implementation, steps: Iterable[Step] | None) -> None:
    """Makes an implementation follow the schedule of these steps from the next ``reset`` on; None: its own schedule."""
    if isinstance(implementation, Scheduled):
        implementation.follow(None if steps is None else [choices_of(step) for step in steps])
