"""The record of the generation of 2009."""

from typing import Final

from snapmerge import CONCEPT, ConceptRules, World
from snapmerge.machine.concept.state import ConceptMerge
from snapmerge_specs.concept.coverage import MERGES
from snapmerge_specs.concept.properties import CONCEPT_INVARIANTS, CONCEPT_STEPS
from snapmerge_specs.concept.scenario import ConceptScenario
from snapmerge_specs.concept.scripts import CONCEPT_SCRIPTS
from snapmerge_specs.concept.views import activated, below
from snapmerge_specs.generations.generation import Generation
from snapmerge_specs.properties.invariants import INVARIANTS

__all__ = ["CONCEPT_GENERATION"]


def _shows(world: World, device: str, cut: bool) -> str:
    """The statement that a wrong sector violates: a merge shows its snapshot, any other device keeps its content."""
    targets = world.stack.targets
    merges = any(isinstance(targets[id], ConceptMerge) for id in world.stack.devices[device].live)
    return "CONCEPT-2" if not merges else "CONCEPT-3" if cut else "CONCEPT-1"


CONCEPT_GENERATION: Final = Generation(
    part=ConceptRules,
    rules=CONCEPT,
    in_kernels=False,
    invariants=(*CONCEPT_INVARIANTS, *INVARIANTS),
    steps=CONCEPT_STEPS,
    reads="CONCEPT-1",
    shows=_shows,
    ends="CONCEPT-4",
    durable="CONCEPT-3",
    below=below,
    activated=activated,
    merges=MERGES,
    scenario=ConceptScenario,
    scripts=CONCEPT_SCRIPTS,
)
"""The snapshots of Linux, and the ``snapshot-merge`` of 2009."""
