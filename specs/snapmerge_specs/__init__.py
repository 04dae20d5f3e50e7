"""What must hold, executable: properties, the lockstep machine, strategies, defects, findings in real kernels."""

from ._check import check
from ._concept_defects import AS_POSTED, CONCEPT_DEFECTS, ConceptDefect
from ._concept_properties import CONCEPT_INVARIANTS, CONCEPT_STEPS, Invariant
from ._concept_scenario import ConceptScenario
from ._concept_scripts import CONCEPT_SCRIPTS
from ._defects import DEFECTS, Defect
from ._explore import Exploration, Script, Violation, explore
from ._findings import FINDINGS, KnownFinding, explanation
from ._hunt import Catch, hunt
from ._invariants import INVARIANTS, broken
from ._lockstep import Disagreement, Lockstep, judge, replay
from ._machine import LockstepMachine
from ._reach import NAMES as REACHED_NAMES
from ._report import Finding, Found, Report
from ._scenario import Scenario
from ._scripts import SCRIPTS
from ._shrink import shrink
from ._views import Volume, Volumes, view
from ._watch import Broken, Watch, watch

__all__ = [
    "AS_POSTED",
    "CONCEPT_DEFECTS",
    "CONCEPT_INVARIANTS",
    "CONCEPT_SCRIPTS",
    "CONCEPT_STEPS",
    "DEFECTS",
    "FINDINGS",
    "INVARIANTS",
    "REACHED_NAMES",
    "SCRIPTS",
    "Broken",
    "Catch",
    "ConceptDefect",
    "ConceptScenario",
    "Defect",
    "Disagreement",
    "Exploration",
    "Finding",
    "Found",
    "Invariant",
    "KnownFinding",
    "Lockstep",
    "LockstepMachine",
    "Report",
    "Scenario",
    "Script",
    "Violation",
    "Volume",
    "Volumes",
    "Watch",
    "broken",
    "check",
    "explanation",
    "explore",
    "hunt",
    "judge",
    "replay",
    "shrink",
    "view",
    "watch",
]
