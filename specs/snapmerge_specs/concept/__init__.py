"""The ``snapshot-merge`` of 2009: its properties, scenarios, scopes, defects, findings and recipes."""

from snapmerge_specs.concept.defects import AS_POSTED, CONCEPT_DEFECTS, ConceptDefect
from snapmerge_specs.concept.hunt import ViolationTrace, hunt
from snapmerge_specs.concept.properties import CONCEPT_INVARIANTS, CONCEPT_STEPS
from snapmerge_specs.concept.recipes import BackupAsPosted, ConceptRollback
from snapmerge_specs.concept.scripts import CONCEPT_SCRIPTS

__all__ = [
    "AS_POSTED",
    "CONCEPT_DEFECTS",
    "CONCEPT_INVARIANTS",
    "CONCEPT_SCRIPTS",
    "CONCEPT_STEPS",
    "BackupAsPosted",
    "ConceptDefect",
    "ConceptRollback",
    "ViolationTrace",
    "hunt",
]
