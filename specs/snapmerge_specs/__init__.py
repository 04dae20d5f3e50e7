"""What must hold, executable: properties, the lockstep machine, strategies, defects, and what real kernels do otherwise."""

from ._check import check
from ._findings import FINDINGS, KnownFinding, explanation
from ._lockstep import Disagreement, Lockstep, judge, replay
from ._machine import LockstepMachine
from ._reach import NAMES as REACHED_NAMES
from ._report import Finding, Found, Report
from ._scenario import Scenario
from ._shrink import shrink

__all__ = [
    "FINDINGS",
    "REACHED_NAMES",
    "Disagreement",
    "Finding",
    "Found",
    "KnownFinding",
    "Lockstep",
    "LockstepMachine",
    "Report",
    "Scenario",
    "check",
    "explanation",
    "judge",
    "replay",
    "shrink",
]
