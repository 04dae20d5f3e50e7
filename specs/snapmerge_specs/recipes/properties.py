"""The properties of the recipes, under concurrent writes and power cuts.

The right contents are known from a ledger, a plain array of what was written, and not from an implementation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import snapmerge as sm
from snapmerge import Implementation
from snapmerge_specs.recipes.backup import COPY, Backup
from snapmerge_specs.recipes.operator import BASE, RecipeError, Shape
from snapmerge_specs.recipes.rollback import AFTER, BEFORE, UPGRADE, Rollback
from snapmerge_specs.recipes.world import Load, Numbers, PowerCuts

__all__ = ["Plan", "backup_wrong", "rollback_wrong"]


@dataclass(frozen=True, slots=True)
class Plan:
    """A run of a recipe.  ``numbers``: the draws of the other users; ``cuts``: the operations with a power cut."""

    shape: Shape
    numbers: tuple[int, ...] = ()
    cuts: frozenset[int] = frozenset()
    rounds: int = 3
    wait: int = 4

    def load(self, implementation: Implementation) -> Load:
        """The implementation with other users and power cuts."""
        done = iter(range(1 << 30))
        cuts = PowerCuts(implementation, lambda: next(done) in self.cuts)
        return Load(cuts, self.shape.size, Numbers(self.numbers))


MakeBackup = Callable[[Implementation, Shape, int], Backup]
MakeRollback = Callable[[Implementation, Shape, Callable[[], None], int], Rollback]


def backup_wrong(plan: Plan, implementation: Implementation, recipe: MakeBackup) -> str | None:
    """Checks that after every round the copy equals the origin at the time of the round's snapshot (RECIPE-2).

    Returns what is wrong, or None.
    """
    load = plan.load(implementation)
    backup = recipe(load, plan.shape, plan.wait)
    try:
        backup.begin()
        for last in reversed(range(plan.rounds)):
            done = backup.round()
            if done.different:
                return f"{done}: the recipe itself finds sectors different"
            if last == 0:
                implementation.apply(sm.Crash())
            if (wrong := _not_as(implementation, COPY, load.contents[done.snapshot])) is not None:
                return f"{done}: {wrong}"
    except (RecipeError, sm.OperationError) as error:
        return f"{type(error).__name__}: {error}"
    return None


def rollback_wrong(plan: Plan, implementation: Implementation, recipe: MakeRollback) -> str | None:
    """Checks that the origin is what it was when the snapshot was made, and that its siblings are unchanged (RECIPE-1).

    Returns what is wrong, or None.
    """
    load = plan.load(implementation)
    rollback = recipe(load, plan.shape, load.rest, plan.wait)
    try:
        done = rollback.run()
    except (RecipeError, sm.OperationError) as error:
        return f"{type(error).__name__}: {error}"
    if not done.is_right:
        return f"{done}: the recipe itself finds sectors different"
    for _ in range(2):
        for name, content in ((BEFORE, BEFORE), (AFTER, AFTER), (BASE, UPGRADE)):
            if (wrong := _not_as(implementation, name, load.contents[content])) is not None:
                return wrong
        implementation.apply(sm.Crash())
        for name in (BEFORE, AFTER):
            implementation.apply(sm.Create(name, rollback.tables[name]))
    return None


def _not_as(implementation: Implementation, name: str, right: tuple[int, ...]) -> str | None:
    seen = implementation.apply(sm.Read(name, sm.Sector(0), sm.Sectors(len(right))))
    if seen == sm.Data(right):
        return None
    return f"{name} is {sm.print_outcome(seen)} and should be {sm.print_outcome(sm.Data(right))}"
