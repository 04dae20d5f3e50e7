"""What a generation of the snapshot targets has on the command line, as one record."""

import argparse
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from snapmerge import Rules
from snapmerge_specs.recipes import Backup, Load, Rollback, Shape

__all__ = ["Choice", "Entries", "FindingEntry"]


@dataclass(frozen=True, slots=True)
class Choice:
    """A value of ``--generation``.

    Attributes:
        about: what help says that it is.
        rules: the implementation's, and the oracle's.
        rollback: the recipe as it is done with it, by what the options ask for.
        backup: the same for the other recipe.
    """

    name: str
    about: str
    rules: Rules
    rollback: Callable[[Load, Shape, Callable[[], None], Namespace], Rollback]
    backup: Callable[[Load, Shape, Namespace], Backup]


@dataclass(frozen=True, slots=True)
class FindingEntry:
    """A finding, and the ``rules`` that have it.

    Attributes:
        where: in what it was found.
        short: the same for the list, where that is more than the list's title says.
        why: how it comes about, or nothing.
        death: what is in a kernel's last words if it dies of it, or nothing.
    """

    id: str
    where: str
    short: str
    summary: str
    why: str
    statement: str
    rules: Rules
    death: str


@dataclass(frozen=True, slots=True)
class Entries:
    """All that a generation has on the command line.  No field has a default: a missing answer is a type error.

    Attributes:
        choices: its values of ``--generation``.
        title: the heading of its findings.
        place: where they are, in a summary.
        findings: what ``findings`` lists.
        examples: lines for the help of a command, or of a recipe.
        options: adds options to a recipe, by its name.
        check: raises CommandError for such options that conflict with others.
        facts: what the object of a rollback has of such options.
    """

    choices: tuple[Choice, ...]
    title: str
    place: str
    findings: tuple[FindingEntry, ...]
    examples: Mapping[str, str]
    options: Callable[[Callable[..., argparse.Action], str], None]
    check: Callable[[Namespace], None]
    facts: Callable[[Namespace], dict[str, Any]]
