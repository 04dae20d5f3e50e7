"""The record of a generation, and the registered ones.

The properties, the explorer, the check and the scenarios' coverage are the same for every generation of the snapshot
targets (that of Linux, and others).  They look up here whatever depends on the generation, by the rules of the world at
hand.  So a generation is added or deleted with its folder and with the line of ``snapmerge_specs`` that registers it.
"""

from collections import Counter
from collections.abc import Callable
from typing import Final, Protocol

from snapmerge import Capabilities, Operation, Outcome, Rules, Step, World
from snapmerge.machine.core.state import Target
from snapmerge.records import dataclass
from snapmerge_specs.generations.script import Script
from snapmerge_specs.generations.volumes import Volumes
from snapmerge_specs.lockstep.lockstep import VerdictError

__all__ = [
    "Draw",
    "Driver",
    "Generation",
    "Invariant",
    "MergeReaches",
    "Onward",
    "Reach",
    "ScenarioMoves",
    "StepInvariant",
    "generation_of",
    "generations",
    "register",
]

Reach = Callable[[World, Step, World], bool]
"""Whether a step has reached a certain state: a function of the world before it, the step, and the world after it."""

Draw = Callable[[int, int], int]
"""``draw(first, last)`` returns a number from first to last, both included, from Hypothesis or a random generator."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """A property of every world.  ``holds`` returns None, or a sentence that says what is wrong."""

    name: str
    statement: str
    holds: Callable[[World], str | None]


@dataclass(frozen=True, slots=True)
class StepInvariant:
    """A property of every move.  ``holds`` gets the worlds before and after it, and returns as in ``Invariant``."""

    name: str
    statement: str
    holds: Callable[[World, World], str | None]


@dataclass(frozen=True, slots=True)
class MergeReaches:
    """The states of a merge that a step may reach."""

    under_way: Callable[[World], bool]
    finished: Reach
    interrupted: Reach
    failed: Reach


class Driver(Protocol):
    """The object that a scenario drives: a ``Lockstep``, or a ``Monitor``."""

    rules: Rules
    steps: list[Step]

    @property
    def capabilities(self) -> Capabilities:
        """The operations, targets and features that the scenario may use."""

    @property
    def world(self) -> World:
        """A world that agrees with all outcomes seen so far."""

    def do(self, operation: Operation) -> Outcome:
        """Carries the operation out.  Raises OperationError if it is invalid now."""


class Onward(Protocol):
    """Carries out operations after a divergence, without an oracle: a ``Witness``.  ``over``: it has given up."""

    over: bool

    def would_block(self, operation: Operation) -> bool:
        """Whether the operation may never end, so that it must be left out."""

    def go_on(self, operation: Operation) -> Outcome | None:
        """Carries the operation out; None: it was left out."""


class ScenarioMoves(Protocol):
    """A random scenario under way, as a check drives it.

    Attributes: ``apart`` whether the implementation has left the model, after which the oracle is not asked; ``over``
    whether the scenario has ended; ``reached`` how often each state of ``scenarios.coverage`` was reached.
    """

    lockstep: Driver
    apart: bool
    reached: Counter[str]

    @property
    def over(self) -> bool:
        """Whether the scenario has ended."""

    def begin(self, draw: Draw) -> None:
        """Creates the disks and the first devices."""

    def move(self, draw: Draw) -> None:
        """Makes one move of a user, drawn at random."""

    def end(self) -> None:
        """Finishes everything that was started, and reads every device."""


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """Everything in the specs that depends on the generation.  No field has a default: a missing one is a type error.

    Attributes:
        part: the class of the rules' part that identifies the generation (``Rules.has``).
        rules: the rules of its intended behaviour.
        in_kernels: whether Linux has it, so that findings in kernels explain a divergence, and promises of Linux hold.
        invariants: the properties of every world.
        steps: the properties of every move.
        reads: the statement that a read with a wrong content violates.
        shows: the statement that a wrong sector of a device violates; the flag says whether the power was cut before.
        ends: the statement that an operation violates which never ends.
        durable: the statement that is violated when a power cut loses durable contents.
        below: where the content of a target's sector is: the device or disk below, and the sector of that; None: it
            can't be read.
        activated: the volumes after a device has got a new live table.
        merges: the states of a merge that a step may reach.
        scenario: creates a scenario for a driver; the arguments are those of ``Predicted``.
        scripts: small scopes for the explorer.
    """

    part: type[object]
    rules: Rules
    in_kernels: bool
    invariants: tuple[Invariant, ...]
    steps: tuple[StepInvariant, ...]
    reads: str
    shows: Callable[[World, str, bool], str]
    ends: str
    durable: str
    below: Callable[[Target, int], tuple[str, int] | None]
    activated: Callable[[Volumes, str, World], Volumes]
    merges: MergeReaches
    scenario: Callable[
        [Driver, Callable[[VerdictError], None], Callable[[Operation], bool], Onward | None], ScenarioMoves
    ]
    scripts: tuple[Script, ...]


_REGISTERED: Final[list[Generation]] = []


def register(generation: Generation) -> None:
    """Registers a generation.  One that extends another is registered after it, since its rules have both parts."""
    _REGISTERED.append(generation)


def generations() -> tuple[Generation, ...]:
    """The registered generations."""
    return tuple(_REGISTERED)


def generation_of(rules: Rules) -> Generation:
    """The generation of these rules: the last registered one whose part they have.  Raises LookupError if none is."""
    for generation in reversed(_REGISTERED):
        if rules.has(generation.part):
            return generation
    raise LookupError("no registered generation has these rules")
