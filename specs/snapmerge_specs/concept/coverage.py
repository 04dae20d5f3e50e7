"""What a step may reach of a merge of 2009."""

from collections.abc import Callable
from typing import Final

from snapmerge import Remove, Step, Suspend, World, inner
from snapmerge.machine.concept.state import ConceptMerge
from snapmerge_specs.concept.properties import merges
from snapmerge_specs.generations.generation import MergeReaches, Reach

__all__ = ["MERGES"]


def _changed(test: Callable[[ConceptMerge], bool]) -> Reach:
    """Some merge passes the test after the step, and was not there or did not pass it before."""

    def reach(before: World, _step: Step, after: World) -> bool:
        passed = {merge.id for merge in merges(before) if test(merge)}
        return any(merge.id not in passed and test(merge) for merge in merges(after))

    return reach


def _under_way(world: World) -> bool:
    return any(merge.works for merge in merges(world))


def _interrupted(before: World, step: Step, _after: World) -> bool:
    operation = inner(step.operation)
    here = operation.device if isinstance(operation, Suspend | Remove) else None
    return any(merge.device == here and merge.active and not merge.is_over for merge in merges(before))


MERGES: Final = MergeReaches(
    under_way=_under_way,
    finished=_changed(lambda merge: merge.finished and bool(merge.completed)),
    interrupted=_interrupted,
    failed=_changed(lambda merge: merge.failed or merge.broken),
)
"""Of the merges of 2009."""
