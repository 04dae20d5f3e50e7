"""What a command's oracle is like: which ``snapshot-merge`` it knows, and how long it may search."""

import time
from argparse import Namespace

from snapmerge import CONCEPT, MAINLINE, Budget, Rules

__all__ = ["budget_of", "rules_of"]


def budget_of(options: Namespace) -> Budget:
    """What ``--budget`` allows for one operation, by this machine's clock."""
    return Budget(seconds=options.budget, clock=time.monotonic)


def rules_of(options: Namespace) -> Rules:
    """The rules that ``--generation`` names."""
    match options.generation:
        case "concept":
            from snapmerge_specs import AS_POSTED

            return AS_POSTED
        case "corrected":
            return CONCEPT
        case _:
            return MAINLINE
