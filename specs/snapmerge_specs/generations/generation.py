"""The record of a generation, and the registered ones.

The properties, the explorer, the check and the scenarios' coverage are the same for every generation of the snapshot
targets (the kernel's, and any that stands beside it).  Whatever depends on the generation they look up here, by the
rules of the world that they are given.  So a generation is added or deleted with its folder and with the line of
``snapmerge_specs`` that registers it.
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
"""Whether a step has reached something, from the worlds before and after it."""

Draw = Callable[[int, int], int]
"""Draws a number from the first to the last, both included: from Hypothesis, or from a generator of random numbers."""


@dataclass(frozen=True, slots=True)
class Invariant:
    """``holds`` gives None, or a sentence about what is wrong."""

    name: str
    statement: str
    holds: Callable[[World], str | None]


@dataclass(frozen=True, slots=True)
class StepInvariant:
    """The same for the worlds before and after a move."""

    name: str
    statement: str
    holds: Callable[[World, World], str | None]


@dataclass(frozen=True, slots=True)
class MergeReaches:
    """What a step may reach of a merge."""

    under_way: Callable[[World], bool]
    finished: Reach
    interrupted: Reach
    failed: Reach


class Driver(Protocol):
    """What a scenario drives: ``Lockstep``, or a ``Monitor``."""

    rules: Rules
    steps: list[Step]

    @property
    def capabilities(self) -> Capabilities:
        """What may be asked for."""

    @property
    def world(self) -> World:
        """A world that agrees with all that was seen."""

    def do(self, operation: Operation) -> Outcome:
        """Does it.  Raises OperationError when it makes no sense now."""


class Onward(Protocol):
    """What does operations where no oracle follows: a ``Witness``.  ``over``: it does nothing any more."""

    over: bool

    def would_block(self, operation: Operation) -> bool:
        """Whether it may never end, so that it is left out."""

    def follow(self, operation: Operation) -> Outcome | None:
        """Does it; None: it was not done."""


class ScenarioMoves(Protocol):
    """A random scenario under way, as a check drives it.

    Attributes: ``apart`` whether it has come to a disagreement, after which the oracle does not follow; ``over``
    whether nothing is done any more; ``reached`` how often the states that matter were reached.
    """

    lockstep: Driver
    apart: bool
    reached: Counter[str]

    @property
    def over(self) -> bool:
        """As above."""

    def begin(self, draw: Draw) -> None:
        """Makes the disks and the first devices."""

    def move(self, draw: Draw) -> None:
        """Any move of a user."""

    def end(self) -> None:
        """Lets everything end, and looks."""


@dataclass(frozen=True, slots=True, eq=False)
class Generation:
    """What a generation of the snapshot targets brings.  No field has a default: a missing answer is a type error.

    Attributes:
        part: the class of the part of the rules by which it is known (``Rules.has``).
        rules: its rules, as they were meant.
        in_kernels: whether Linux has it, so that findings in kernels explain a divergence, and promises of Linux hold.
        invariants: what must hold in every world.
        steps: what must hold of two worlds, one move apart.
        reads: the statement that a read violates that gives what it must not.
        shows: the statement that a wrong sector of a device violates, now and (True) after a power cut.
        ends: the statement that an operation violates that never ends.
        durable: the statement that a device violates when a power cut takes what was durable.
        below: where the content of a target's sector is: the device or disk below, and the sector there; None: it
            can't be read.
        activated: the volumes once a device has a new live table.
        merges: what a step may reach of a merge.
        scenario: makes a scenario for a driver; the others as in ``Sketched``.
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
    """Makes a generation known; one that builds on another comes after it, as its rules have both parts."""
    _REGISTERED.append(generation)


def generations() -> tuple[Generation, ...]:
    """The registered generations."""
    return tuple(_REGISTERED)


def generation_of(rules: Rules) -> Generation:
    """The generation of these rules.  Raises LookupError if none is registered whose part they have."""
    for generation in reversed(_REGISTERED):
        if rules.has(generation.part):
            return generation
    raise LookupError("no registered generation has these rules")
