"""What must hold, executable: properties, the lockstep machine, strategies, defects, findings in real kernels."""

from ._again import assert_agrees
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
from ._promises import BrokenPromise, Promises, broken_promise
from ._reach import NAMES as REACHED_NAMES
from ._recipe_backup import Backup, BackupAsPosted, Round
from ._recipe_properties import Plan, backup_wrong, rollback_wrong
from ._recipe_rollback import ConceptRollback, Rollback, RolledBack
from ._recipe_world import Ledger, Load, PowerCuts
from ._recipes import PowerCut, RecipeError, Shape
from ._report import Finding, Found, Report
from ._scenario import Scenario
from ._scripts import SCRIPTS
from ._shrink import shrink
from ._told import DivergedError
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
    "Backup",
    "BackupAsPosted",
    "Broken",
    "BrokenPromise",
    "Catch",
    "ConceptDefect",
    "ConceptRollback",
    "ConceptScenario",
    "Defect",
    "Disagreement",
    "DivergedError",
    "Exploration",
    "Finding",
    "Found",
    "Invariant",
    "KnownFinding",
    "Ledger",
    "Load",
    "Lockstep",
    "LockstepMachine",
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
    "Violation",
    "Volume",
    "Volumes",
    "Watch",
    "assert_agrees",
    "backup_wrong",
    "broken",
    "broken_promise",
    "check",
    "explanation",
    "explore",
    "hunt",
    "judge",
    "replay",
    "rollback_wrong",
    "shrink",
    "view",
    "watch",
]
