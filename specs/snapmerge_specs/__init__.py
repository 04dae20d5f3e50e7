"""What must hold, executable: properties, the lockstep machine, strategies, defects, findings in real kernels."""

from snapmerge_specs.checking.check import SHRINK_TRIES, check
from snapmerge_specs.checking.machine import LockstepMachine
from snapmerge_specs.checking.replay import assert_agrees
from snapmerge_specs.checking.shrink import shrink
from snapmerge_specs.concept.defects import AS_POSTED, CONCEPT_DEFECTS, ConceptDefect
from snapmerge_specs.concept.findings import finding_trace
from snapmerge_specs.concept.hunt import ViolationTrace, hunt
from snapmerge_specs.concept.properties import CONCEPT_INVARIANTS, CONCEPT_STEPS, Invariant
from snapmerge_specs.concept.scenario import ConceptScenario
from snapmerge_specs.concept.scripts import CONCEPT_SCRIPTS
from snapmerge_specs.lockstep.compare import Compared, compare
from snapmerge_specs.lockstep.lockstep import Lockstep, VerdictError, judge, replay
from snapmerge_specs.lockstep.report import DivergenceReport, FindingMet, Report
from snapmerge_specs.lockstep.told import OUTCOME_MAX, DivergenceError, allowed_text, seen_text, some_text
from snapmerge_specs.mistakes.defects import DEFECTS, Defect
from snapmerge_specs.mistakes.findings import FINDINGS, Finding, explanation
from snapmerge_specs.promises.checker import BrokenPromise, Promises, broken_promise
from snapmerge_specs.properties.invariants import INVARIANTS, broken
from snapmerge_specs.properties.monitor import Monitor, ViolationError, monitored
from snapmerge_specs.properties.views import Volume, Volumes, view
from snapmerge_specs.recipes import (
    Backup,
    BackupAsPosted,
    ConceptRollback,
    Ledger,
    Load,
    Plan,
    PowerCut,
    PowerCuts,
    RecipeError,
    Rollback,
    RolledBack,
    Round,
    Shape,
    backup_wrong,
    rollback_wrong,
)
from snapmerge_specs.scenarios.coverage import NAMES as REACHED_NAMES
from snapmerge_specs.scenarios.scenario import Scenario
from snapmerge_specs.search.explore import Exploration, Script, Violation, explore
from snapmerge_specs.search.scripts import SCRIPTS

__all__ = [
    "AS_POSTED",
    "CONCEPT_DEFECTS",
    "CONCEPT_INVARIANTS",
    "CONCEPT_SCRIPTS",
    "CONCEPT_STEPS",
    "DEFECTS",
    "FINDINGS",
    "INVARIANTS",
    "OUTCOME_MAX",
    "REACHED_NAMES",
    "SCRIPTS",
    "SHRINK_TRIES",
    "Backup",
    "BackupAsPosted",
    "BrokenPromise",
    "Compared",
    "ConceptDefect",
    "ConceptRollback",
    "ConceptScenario",
    "Defect",
    "DivergenceError",
    "DivergenceReport",
    "Exploration",
    "Finding",
    "FindingMet",
    "Invariant",
    "Ledger",
    "Load",
    "Lockstep",
    "LockstepMachine",
    "Monitor",
    "Plan",
    "PowerCut",
    "PowerCuts",
    "Promises",
    "RecipeError",
    "Report",
    "Rollback",
    "RolledBack",
    "Round",
    "Scenario",
    "Script",
    "Shape",
    "VerdictError",
    "Violation",
    "ViolationError",
    "ViolationTrace",
    "Volume",
    "Volumes",
    "allowed_text",
    "assert_agrees",
    "backup_wrong",
    "broken",
    "broken_promise",
    "check",
    "compare",
    "explanation",
    "explore",
    "finding_trace",
    "hunt",
    "judge",
    "monitored",
    "replay",
    "rollback_wrong",
    "seen_text",
    "shrink",
    "some_text",
    "view",
]
