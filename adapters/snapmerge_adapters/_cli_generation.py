"""Which ``snapshot-merge`` a command is about: the kernel's, or the one that was proposed in 2009."""

from argparse import Namespace

from snapmerge import CONCEPT, MAINLINE, Rules

__all__ = ["rules_of"]


def rules_of(options: Namespace) -> Rules:
    """The rules that ``--generation`` names."""
    match options.generation:
        case "concept":
            from snapmerge_specs._concept_defects import AS_POSTED

            return AS_POSTED
        case "corrected":
            return CONCEPT
        case _:
            return MAINLINE
