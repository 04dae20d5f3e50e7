"""Control: what a user tells the disks of an implementation whose disks are under control, and what is seen then.

These are not operations: with an operation a user of device-mapper asks for something, here the environment lets it
happen.  Steps of both kinds stand in a *controlled trace*.  ``specs/control.md`` defines how they are written.
"""

from collections.abc import Callable, Container, Iterable
from typing import Final, assert_never

from snapmerge.errors import OperationError, TraceError
from snapmerge.messages import shown
from snapmerge.records import dataclass
from snapmerge.trace.lines import (
    Step,
    numbered_steps,
    operation_word,
    parse_outcome,
    parse_step,
    print_outcome,
    print_trace,
    sectors_of,
    split_step,
)
from snapmerge.trace.operations import (
    Crash,
    Discard,
    Disk,
    Events,
    Fault,
    Finish,
    Flush,
    Heal,
    Metadata,
    Operation,
    Read,
    Reset,
    Start,
    Table,
    Write,
)
from snapmerge.trace.outcomes import Died
from snapmerge.trace.requests import Request, Requests, parse_request, parse_requests, print_request, print_requests
from snapmerge.trace.words import Word, split_words

__all__ = [
    "CONTROL_WORDS",
    "Answer",
    "Control",
    "ControlStep",
    "Hold",
    "Pending",
    "check_control",
    "check_held",
    "not_pending",
    "numbered_controlled_trace",
    "parse_control",
    "parse_controlled_trace",
    "print_control",
    "print_controlled_trace",
]


@dataclass(frozen=True, slots=True)
class Hold:
    """From now on every request to a disk waits until it is answered, until ``reset``.  Nothing may be under way."""


@dataclass(frozen=True, slots=True)
class Pending:
    """Nothing: see which requests wait."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Carry out the oldest of the pending requests for this place, or (``error``) fail it with EIO, and change nothing.

    ``request`` has no payload.
    """

    request: Request
    error: bool = False


Control = Hold | Pending | Answer
"""Each is answered by the ``Requests`` that wait when the implementation can do nothing more by itself."""


@dataclass(frozen=True, slots=True)
class ControlStep:
    """One line of a controlled trace that is about the disks; ``seen`` is None when nothing was recorded."""

    control: Control
    seen: Requests | Died | None = None


def check_control(control: Control, *, held: bool, started: bool) -> None:
    """Checks that the disks can be told this now (CONTROL-9).

    Args:
        control: what they are told.
        held: whether they hold their requests.
        started: whether an operation was started and not finished.

    Raises:
        OperationError: they can't.
    """
    if isinstance(control, Hold):
        if started:
            raise OperationError("finish what was started before the disks hold their requests")
    elif not held:
        raise OperationError(f"the disks hold no requests; write hold before {print_control(control)}")


def not_pending(control: Control) -> OperationError:
    """The error of an answer to a request that does not wait (CONTROL-9)."""
    return OperationError(f"no such request is pending: {print_control(control)}")


_AT_ONCE: Final = (Finish, Fault, Heal, Table, Events, Reset)
"""Operations that never wait for a disk."""


def check_held(operation: Operation, disks: Container[str]) -> None:
    """Checks that the operation can be done while requests are held (CONTROL-8).  ``disks``: the names of all disks.

    Raises:
        OperationError: it can't.
    """
    inner = operation.operation if isinstance(operation, Start) else operation
    word = operation_word(inner)
    if isinstance(inner, (Crash, Disk, Metadata)):
        raise OperationError(f"{word} is not possible while the disks hold their requests; reset ends that")
    if isinstance(inner, (Read, Write, Flush, Discard)) and inner.where in disks:
        raise OperationError(f"{inner.where} is a disk that holds its requests; only devices on it are used meanwhile")
    if not isinstance(operation, (Start, *_AT_ONCE)):
        raise OperationError(f"{word} may wait for requests that are held: begin it with start")


def _answer(request: Word, how: Word | None = None) -> Answer:
    if how not in (None, "error"):
        raise how.refused(f"after the request there may be 'error', not {how.shown()}")
    parsed = parse_request(request)
    if parsed.payload:
        raise request.refused(f"a request is answered without its payload: answer {print_request(parsed.place)}")
    return Answer(parsed, error=how is not None)


_FORMS: Final[dict[str, tuple[str, int, int, Callable[..., Control]]]] = {
    "hold": ("hold", 0, 0, Hold),
    "pending": ("pending", 0, 0, Pending),
    "answer": ("answer REQUEST [error]", 1, 2, _answer),
}

CONTROL_WORDS: Final = frozenset(_FORMS)
"""The first words of the lines about the disks."""


def parse_control(text: str) -> Control | None:
    """What the text writes (CONTROL-10); None: it begins with none of ``CONTROL_WORDS``.  Raises TraceError."""
    words = split_words(text)
    if not words or words[0] not in _FORMS:
        return None
    usage, least, most, make = _FORMS[words[0]]
    if not least <= len(words) - 1 <= most:
        raise TraceError(f"{words[0]} is written: {usage}")
    return make(*words[1:])


def print_control(control: Control) -> str:
    """The canonical line."""
    match control:
        case Answer(request, error):
            return f"answer {print_request(request)}" + (" error" if error else "")
        case Hold() | Pending():
            return type(control).__name__.lower()
        case _:
            assert_never(control)


def parse_controlled_trace(trace: str | bytes) -> tuple[Step | ControlStep, ...]:
    """The steps of a controlled trace; as ``parse_trace``, which takes operations only.  Raises TraceError."""
    return tuple(step for _, step in numbered_controlled_trace(trace))


def numbered_controlled_trace(trace: str | bytes) -> tuple[tuple[int, Step | ControlStep], ...]:
    """The steps of a controlled trace, each with the number of its line; bounded (TRACE-13).  Raises TraceError."""
    return numbered_steps(trace, _step, _sectors)


def _sectors(step: Step | ControlStep) -> int:
    if isinstance(step, Step):
        return sectors_of(step)
    return sum(len(request.payload) for request in step.seen.requests) if isinstance(step.seen, Requests) else 0


def _step(line: str) -> Step | ControlStep:
    text, outcome = split_step(line)
    control = parse_control(text)
    if control is None:
        return parse_step(line)
    return ControlStep(control, None if outcome is None else _parse_seen(outcome))


def _parse_seen(text: str) -> Requests | Died:
    if text.split()[:1] != ["died"]:
        return parse_requests(text)
    died = parse_outcome(text)
    if not isinstance(died, Died):
        raise TraceError(f"not what is seen of the disks: {shown(text.strip())}")
    return died


def print_controlled_trace(steps: Iterable[Step | ControlStep]) -> str:
    """The text of a controlled trace, a line a step, ending in a newline."""
    return "".join(_print(step) if isinstance(step, ControlStep) else print_trace([step]) for step in steps)


def _print(step: ControlStep) -> str:
    line = print_control(step.control)
    if step.seen is None:
        return f"{line}\n"
    seen = print_outcome(step.seen) if isinstance(step.seen, Died) else print_requests(step.seen)
    return f"{line} -> {seen}\n"
