"""The ``memory`` adapter: the model as an implementation, so that it can be checked against its own oracle.

It follows the canonical schedule or, with a seed, a random one, so that every schedule that the oracle allows can
happen.
"""

from random import Random

from snapmerge import (
    MAINLINE,
    OPERATION_WORDS,
    TARGETS,
    Capabilities,
    Crash,
    Disk,
    MachineError,
    Operation,
    OperationError,
    Outcome,
    Raw,
    Reset,
    Result,
    Rules,
    Session,
    World,
    counted,
    decide,
    operate,
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


def _newest(_count: int) -> int:
    return 0


class _Schedule:
    """Choices drawn from a seed, in a mood that changes now and then, so that unlikely orders occur, too.

    By the mood the oldest work comes first, last, mostly first, mostly last, or when nothing else is left; or any does.
    """

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._mood = ""

    def __call__(self, count: int) -> int:
        """One of ``count``, from 0."""
        if not self._mood or self._random.randrange(12) == 0:
            self._mood = self._random.choice(("any", "first", "last", "mostly last", "but the first"))
        match self._mood:
            case "first":
                return 0
            case "last":
                return count - 1
            case "mostly last" if self._random.randrange(4):
                return count - 1
            case "but the first":
                return min(1, count - 1)
            case _:
                return self._random.randrange(count)


class Memory:
    """A world of its own.  ``seed`` None: the canonical schedule; else choices are drawn from it, anew after ``reset``.

    ``rules``: those of the machine, or some with a defect, to see whether a check catches it.
    """

    def __init__(self, *, seed: int | None = None, rules: Rules = MAINLINE) -> None:
        self._seed = seed
        self._choose = None if seed is None else _Schedule(seed)
        self._session = Session.new(rules)
        self._about = "the model in memory" + ("" if seed is None else f", schedules drawn from {seed}")

    @property
    def capabilities(self) -> Capabilities:
        """Everything."""
        return model_capabilities(self._about)

    def apply(self, operation: Operation) -> Outcome:
        """Does the operation.  Raises OperationError when it makes no sense now, or would block for ever."""
        if isinstance(operation, Disk):
            check_room(self._session.world, operation, self.capabilities.sectors_max)
        result, session = operate(self._session, operation, self._choose)
        if isinstance(operation, Crash):
            session = Session(decide(session.world, self._choose or _newest))
        if isinstance(operation, Reset) and self._seed is not None:
            self._choose = _Schedule(self._seed)
        self._session = session
        return as_outcome(result)

    def close(self) -> None:
        """Does nothing: the model holds nothing outside the process."""
