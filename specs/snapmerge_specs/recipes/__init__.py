"""Rollback and backup, as programs over operations for any implementation, with their properties and defects."""

from snapmerge_specs.recipes.backup import COPY, Backup, Round
from snapmerge_specs.recipes.operator import ORIGIN, PowerCut, RecipeError, Shape, differing, differing_chunks
from snapmerge_specs.recipes.properties import Plan, backup_wrong, rollback_wrong
from snapmerge_specs.recipes.rollback import Rollback, RolledBack
from snapmerge_specs.recipes.world import Load, PowerCuts

__all__ = [
    "COPY",
    "ORIGIN",
    "Backup",
    "Load",
    "Plan",
    "PowerCut",
    "PowerCuts",
    "RecipeError",
    "Rollback",
    "RolledBack",
    "Round",
    "Shape",
    "backup_wrong",
    "differing",
    "differing_chunks",
    "rollback_wrong",
]
