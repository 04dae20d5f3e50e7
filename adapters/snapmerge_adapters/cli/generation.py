"""The generations on the command line; by which rules a command's oracle judges, and how long it searches."""

import time
from argparse import Namespace
from typing import Final

from snapmerge import Budget, Rules
from snapmerge_adapters.cli.concept import CONCEPT_ENTRIES
from snapmerge_adapters.cli.entries import Choice, Entries
from snapmerge_adapters.cli.linux import LINUX

__all__ = ["DEFAULT", "GENERATIONS", "budget_of", "choice_of", "choices", "examples", "rules_of"]

GENERATIONS: Final[tuple[Entries, ...]] = (
    LINUX,
    CONCEPT_ENTRIES,
)
"""The generations, that of real kernels first."""

DEFAULT: Final = LINUX.choices[0].name
"""The value of ``--generation`` when it is not given."""


def choices() -> tuple[Choice, ...]:
    """The values of ``--generation``."""
    return tuple(choice for entries in GENERATIONS for choice in entries.choices)


def choice_of(options: Namespace) -> Choice:
    """The generation that the options name."""
    name = options.generation or DEFAULT
    return next(choice for choice in choices() if choice.name == name)


def examples(topic: str, own: str) -> str:
    """The examples in the help of a command or a recipe: its own, and those of the generations."""
    return "\n".join([own, *(entries.examples[topic] for entries in GENERATIONS if topic in entries.examples)])


def budget_of(options: Namespace) -> Budget:
    """What ``--budget`` allows for one operation, by this machine's clock."""
    return Budget(seconds=options.budget, clock=time.monotonic)


def rules_of(options: Namespace) -> Rules:
    """The rules that ``--generation`` names."""
    return choice_of(options).rules
