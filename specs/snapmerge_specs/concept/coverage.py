"""The states of a merge of 2009 that a step may reach."""

from collections.abc import Callable
from typing import Final

from snapmerge import Remove, Step, Suspend, World, inner
from snapmerge.machine.concept.state import ConceptMerge
from snapmerge_specs.concept.properties import merges
from snapmerge_specs.generations.generation import MergeReaches, Reach

__all__ = ["MERGES"]


def _changed(test: Callable[[ConceptMerge], bool]) -> Reach:
    """Whether some merge passes the test after the step and did not before it."""

    def reach(before: World, _step: Step, after: World) -> bool:
        passed = {merge.id for merge in merges(before) if test(merge)}
        return any(merge.id not in passed and test(merge) for merge in merges(after))

    return reach


def _under_way(world: World) -> bool:
    return any(merge.works for merge in merges(world))


def _interrupted(before: World, step: Step, _after: World) -> bool:
    operation = inner(step.operation)
    name = operation.device if isinstance(operation, Suspend | Remove) else None
    return any(merge.device == name and merge.active and not merge.is_over for merge in merges(before))


MERGES: Final = MergeReaches(
    under_way=_under_way,
    finished=_changed(lambda merge: merge.finished and bool(merge.completed)),
    interrupted=_interrupted,
    failed=_changed(lambda merge: merge.failed or merge.broken),
)
"""The states of merges of 2009."""
