"""What must hold, as code: properties, lockstep with an oracle, scenarios, defects, findings in kernels, recipes."""

from snapmerge_specs.checking.check import SHRINK_TRIES, check
from snapmerge_specs.checking.compare import Compared, compare
from snapmerge_specs.checking.replay import assert_agrees
from snapmerge_specs.checking.shrink import shrink
from snapmerge_specs.concept.generation import CONCEPT_GENERATION
from snapmerge_specs.generations.generation import (
    Generation,
    Invariant,
    StepInvariant,
    generation_of,
    generations,
    register,
)
from snapmerge_specs.generations.script import Script
from snapmerge_specs.linux.generation import LINUX
from snapmerge_specs.lockstep.lockstep import Lockstep, VerdictError, judge, replay
from snapmerge_specs.lockstep.report import DivergenceReport, FindingMet, Kept, PromiseReport, Report
from snapmerge_specs.lockstep.schedule import ScheduledStep, choices_of, follow
from snapmerge_specs.lockstep.texts import (
    OUTCOME_MAX,
    DivergenceError,
    allowed_text,
    breaks,
    cut_off_text,
    seen_text,
    some_text,
)
from snapmerge_specs.mistakes.defects import DEFECTS, Defect
from snapmerge_specs.mistakes.findings import FINDINGS, CutOff, Explanation, Finding, explanation, with_finding
from snapmerge_specs.mistakes.traces import finding_trace
from snapmerge_specs.promises.checker import BrokenPromise, Promises, broken_promise
from snapmerge_specs.properties.invariants import INVARIANTS, broken
from snapmerge_specs.properties.monitor import Monitor, ViolationError, monitored
from snapmerge_specs.properties.views import view
from snapmerge_specs.recipes import (
    Backup,
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
from snapmerge_specs.search.controlled import ControlledExploration, explore_controlled, explore_script, held_finding
from snapmerge_specs.search.explore import Exploration, Violation, explore
from snapmerge_specs.search.held import HeldJudge, judge_held, model_scope
from snapmerge_specs.search.scope import Scope, scope_of
from snapmerge_specs.search.scripts import SCRIPTS

TYPE_CHECKING = False  # as in the module typing, without the time that its import takes
if TYPE_CHECKING:
    from snapmerge_specs.checking.machine import LockstepMachine
else:
    # The machine is imported on first use: it needs Hypothesis, whose import takes as long as everything else.
    def __getattr__(name):  # noqa: ANN001, ANN202  # type checkers see the import above
        if name != "LockstepMachine":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from snapmerge_specs.checking.machine import LockstepMachine

        return LockstepMachine


__all__ = [
    "DEFECTS",
    "FINDINGS",
    "INVARIANTS",
    "LINUX",
    "OUTCOME_MAX",
    "REACHED_NAMES",
    "SCRIPTS",
    "SHRINK_TRIES",
    "Backup",
    "BrokenPromise",
    "Compared",
    "ControlledExploration",
    "CutOff",
    "Defect",
    "DivergenceError",
    "DivergenceReport",
    "Explanation",
    "Exploration",
    "Finding",
    "FindingMet",
    "Generation",
    "HeldJudge",
    "Invariant",
    "Kept",
    "Load",
    "Lockstep",
    "LockstepMachine",
    "Monitor",
    "Plan",
    "PowerCut",
    "PowerCuts",
    "PromiseReport",
    "Promises",
    "RecipeError",
    "Report",
    "Rollback",
    "RolledBack",
    "Round",
    "Scenario",
    "ScheduledStep",
    "Scope",
    "Script",
    "Shape",
    "StepInvariant",
    "VerdictError",
    "Violation",
    "ViolationError",
    "allowed_text",
    "assert_agrees",
    "backup_wrong",
    "breaks",
    "broken",
    "broken_promise",
    "check",
    "choices_of",
    "compare",
    "cut_off_text",
    "explanation",
    "explore",
    "explore_controlled",
    "explore_script",
    "finding_trace",
    "follow",
    "generation_of",
    "generations",
    "held_finding",
    "judge",
    "judge_held",
    "model_scope",
    "monitored",
    "register",
    "replay",
    "rollback_wrong",
    "scope_of",
    "seen_text",
    "shrink",
    "some_text",
    "view",
    "with_finding",
]

register(LINUX)
register(CONCEPT_GENERATION)
