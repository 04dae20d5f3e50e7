"""What must hold, executable: properties, the lockstep machine, strategies, defects, findings in real kernels."""

from ._check import check
from ._defects import DEFECTS, Defect
from ._explore import Exploration, Script, Violation, explore
from ._findings import FINDINGS, KnownFinding, explanation
from ._invariants import INVARIANTS, Invariant, broken
from ._lockstep import Disagreement, Lockstep, judge, replay
from ._machine import LockstepMachine
from ._reach import NAMES as REACHED_NAMES
from ._report import Finding, Found, Report
from ._scenario import Scenario
from ._scripts import SCRIPTS
from ._shrink import shrink
from ._views import Volume, Volumes, view

__all__ = [
    "DEFECTS",
    "FINDINGS",
    "INVARIANTS",
    "REACHED_NAMES",
    "SCRIPTS",
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
    "broken",
    "check",
    "explanation",
    "explore",
    "judge",
    "replay",
    "shrink",
    "view",
]
