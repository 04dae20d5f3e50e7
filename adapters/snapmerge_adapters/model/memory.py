"""The ``memory`` adapter: the model as an implementation, so that it can be checked against its own oracle.

It follows the canonical schedule or, with a seed, a random one, so that every schedule that the oracle allows can
happen.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from random import Random
from typing import assert_never

from snapmerge import (
    MAINLINE,
    OPERATION_WORDS,
    TARGETS,
    Answer,
    Capabilities,
    Choices,
    Choose,
    Control,
    Crash,
    Disk,
    Done,
    Hold,
    MachineError,
    Operation,
    OperationError,
    Outcome,
    Pending,
    Raw,
    Requests,
    Reset,
    Result,
    Rules,
    Session,
    World,
    answered,
    blocked,
    calmed,
    check_control,
    check_held,
    counted,
    ended_keys,
    not_pending,
    operate,
    poll,
    requests,
    resolve,
    settled,
    submit,
)

__all__ = ["Memory", "as_outcome", "check_room", "model_capabilities"]


def model_capabilities(about: str) -> Capabilities:
    """What the model can do: everything."""
    return Capabilities(
        operations=OPERATION_WORDS,
        targets=TARGETS,
        faults=frozenset({"read", "write", "flush"}),
        features=frozenset(
            {"texts", "discard", "N", "PO", "discard_zeroes_cow", "discard_passdown_origin", "refusals"}
        ),
        about=about,
    )


def check_room(world: World, disk: Disk, most: int) -> None:
    """Raises OperationError when the disks would have more than ``most`` sectors together."""
    sectors = disk.size + sum(other.size for other in world.disks.values())
    if sectors > most:
        raise OperationError(f"{disk.name} would make it {counted(sectors, 'sector')} of disks; at most {most}")


def as_outcome(result: Result) -> Outcome:
    """The outcome of an operation in a session in which no sector is unknown."""
    if not isinstance(result, Raw):
        return result
    if (seen := result.seen()) is None:
        raise MachineError(f"an implementation knows what it reads: {result}")
    return seen


class _Schedule:
    """Choices drawn from a seed, in a mood that changes now and then, so that unlikely orders occur, too.

    By the mood the oldest work comes first, last or mostly last; or first, but for one of the newest, which waits until
    nothing else is left; or any does.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._mood = ""
        self._held = 0

    def begin(self) -> None:
        """An operation begins: often the time for another mood."""
        if self._random.randrange(2):
            self._mood = ""

    def __call__(self, count: int, _canonical: int) -> int:
        """One of ``count``, from 0."""
        if not self._mood or self._random.randrange(24 if self._mood == "but one" else 12) == 0:
            self._mood = self._random.choice(("any", "first", "last", "mostly last", "but one", "but one"))
            self._held = max(0, count - 1 - self._random.randrange(2))
        match self._mood:
            case "first":
                return 0
            case "last":
                return count - 1
            case "mostly last" if self._random.randrange(4):
                return count - 1
            case "but one" if self._held:
                self._held -= 1  # the following ones move up
                return 0
            case "but one":
                return min(1, count - 1)
            case _:
                return self._random.randrange(count)


class _Recorder:
    """Notes what is chosen otherwise than by the canonical schedule while one operation is carried out."""

    def __init__(self, choose: Choose) -> None:
        self._choose = choose
        self._count = 0
        self.choices: list[tuple[int, int]] = []

    def __call__(self, count: int, canonical: int) -> int:
        chosen = self._choose(count, canonical)
        if chosen != canonical:
            self.choices.append((self._count, chosen))
        self._count += 1
        return chosen


def _following(choices: Choices) -> Choose:
    """Makes these choices where they can be made, and else takes the canonical schedule."""
    left, numbers = dict(choices), itertools.count()

    def choose(count: int, canonical: int) -> int:
        chosen = left.get(next(numbers), canonical)
        return chosen if chosen < count else canonical

    return choose


class Memory:
    """A world of its own.  ``seed`` None: the canonical schedule; else choices are drawn from it, anew after ``reset``.

    ``rules``: those of the machine, or some with a defect, to see whether a check catches it.

    Attributes: ``choices`` those of the last operation (``snapmerge.Scheduled``).
    """

    def __init__(self, *, seed: int | None = None, rules: Rules = MAINLINE) -> None:
        self._seed = seed
        self._drawn = None if seed is None else _Schedule(seed)
        self._given: Sequence[Choices] | None = None
        self._left: Iterator[Choices] | None = None
        self._session = Session.new(rules)
        self._held = False
        self._about = "the model in memory" + ("" if seed is None else f", schedules drawn from {seed}")
        self.choices: Choices = ()

    @property
    def capabilities(self) -> Capabilities:
        """Everything."""
        plain = model_capabilities(self._about)
        return replace(plain, features=plain.features | {"controlled"})

    def apply(self, operation: Operation) -> Outcome:
        """Carries the operation out.  Raises OperationError if it is invalid now, or would block for ever."""
        if isinstance(operation, Disk):
            check_room(self._session.world, operation, self.capabilities.sectors_max)
        if self._held and not isinstance(operation, Reset):
            return self._beside(operation)
        choose = self._chooser()
        try:
            result, session = operate(self._session, operation, choose)
            if isinstance(operation, Crash):
                session = Session(resolve(session.world, lambda count: 0 if choose is None else choose(count, 0)))
        finally:
            self.choices = () if choose is None else tuple(choose.choices)
        if isinstance(operation, Reset):
            self._begin()
            self._held = False
        self._session = session
        return as_outcome(result)

    def control(self, control: Control) -> Requests:
        """Tells the disks.  Raises OperationError if they can't be told this now."""
        check_control(control, held=self._held, started=bool(self._session.tasks))
        match control:
            case Hold() if not self._held:
                self._held = True
                self._session = settled(self._session)
            case Hold() | Pending():
                pass
            case Answer(request, error):
                after = next(answered(self._session, request, error=error), None)
                if after is None:
                    raise not_pending(control)
                self._session = after
            case _:
                assert_never(control)
        self._session = calmed(self._session)
        return Requests(requests(self._session.world), tuple(sorted(ended_keys(self._session))))

    def _beside(self, operation: Operation) -> Outcome:
        """Does an operation beside requests that are held."""
        check_held(operation, self._session.world.disks)
        key, session = submit(self._session, operation)
        session = calmed(session)
        if key is None:
            self._session = session
            return Done()
        self._session, result = poll(session, key)
        return blocked(operation) if result is None else as_outcome(result)

    def _begin(self) -> None:
        """The schedule begins anew."""
        self.choices = ()
        self._drawn = None if self._seed is None else _Schedule(self._seed)
        self._left = None if self._given is None else iter(self._given)

    def _chooser(self) -> _Recorder | None:
        """For the next operation; None: the canonical schedule."""
        if self._left is not None:
            choices = next(self._left, ())
            return _Recorder(_following(choices)) if choices else None
        if self._drawn is None:
            return None
        self._drawn.begin()
        return _Recorder(self._drawn)

    def follow(self, schedule: Sequence[Choices] | None) -> None:
        """From the next ``reset`` on take the canonical schedule, but for these choices of each operation after it.

        None: the schedules that it was made for.
        """
        self._given = schedule

    def close(self) -> None:
        """Does nothing: the model holds nothing outside the process."""
