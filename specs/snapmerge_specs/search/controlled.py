"""Every schedule of a script on an implementation whose disks are under control, in step with the model.

The problem.  The explorer takes the model through every schedule of a small scope.  An implementation can't be put
into a state: it is taken there from the beginning, request by request.  So it is driven again and again, each time
along another path.

The first steps of a script are done one after the other (``Scope``): up to the first that may go on beside what follows
it.  Then the disks hold their requests.  From there on each *action* begins the next step, or answers a request.  After
an action the implementation shows which requests wait and which operations have ended, how; the oracle keeps the
sessions of the model that agree (``HeldOracle``).  These and the requests that are shown are a *node*.  If no session
agrees, the implementation has diverged.

From a node every action is tried once.  A node that is reached by two paths is left by each action only once: what
commutes in the model is taken to commute in the implementation.  That is the only reduction.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import field
from typing import Final

import snapmerge as sm
from snapmerge import MAINLINE, Answer, Controlled, ControlStep, HeldDivergence, HeldOracle, Rules, Session, Step
from snapmerge.records import dataclass
from snapmerge_specs.generations.script import Script
from snapmerge_specs.mistakes.findings import FINDINGS, Finding, with_finding
from snapmerge_specs.search.held import State, judge_held
from snapmerge_specs.search.scope import Action, Begin, Scope, scope_of

__all__ = ["ControlledExploration", "explore_controlled", "explore_script", "held_finding"]

_TRIES: Final = 3
"""How often a path is tried again that has led elsewhere."""


@dataclass(frozen=True, slots=True)
class Node:
    """Where an implementation may be, and what it shows.  ``at``: the next step; ``waiting``: for the one before."""

    sessions: frozenset[Session]
    at: int = 0
    waiting: bool = False
    shown: frozenset[tuple[sm.Request, int]] = frozenset()


@dataclasses.dataclass
class ControlledExploration:
    """What an exploration has done.

    Attributes: ``runs`` from the beginning; ``actions`` in all of them; ``nodes``; ``tried`` different actions;
    ``unreached`` actions that were not tried, as their node was not met again; ``states`` of the model that the
    implementation may have been in; ``divergence`` with the ``trace`` to it; ``findings`` that were met, and the
    ``rules`` with them.
    """

    runs: int = 0
    actions: int = 0
    nodes: int = 0
    tried: int = 0
    unreached: int = 0
    states: set[State] = field(default_factory=set)
    divergence: HeldDivergence | None = None
    died: str | None = None
    findings: tuple[Finding, ...] = ()
    rules: Rules = MAINLINE
    trace: tuple[Step | ControlStep, ...] = ()


Progress = Callable[[ControlledExploration, int], None]
"""Called before each run, with how many actions are known that have not been tried."""


def _no_progress(_found: ControlledExploration, _left: int) -> None:
    pass


def explore_controlled(
    scope: Scope,
    implementation: Controlled,
    progress: Progress = _no_progress,
) -> ControlledExploration:
    """Takes the implementation through every schedule of the scope, or until it diverges or dies (CONTROL-13)."""
    return _Explorer(scope, implementation).run(progress)


def explore_script(
    script: Script, implementation: Controlled, progress: Progress = _no_progress, *, rules: Rules = MAINLINE
) -> ControlledExploration:
    """The same for a script.  A divergence that a known finding explains is named (CONTROL-14).

    Then the exploration begins anew with a model that does what the finding says.
    """
    met: list[Finding] = []
    while True:
        found = explore_controlled(scope_of(script, rules), implementation, progress)
        finding = None if found.divergence is None else held_finding(found.trace, rules, [one.name for one in met])
        if finding is None:
            found.findings, found.rules = tuple(met), rules
            return found
        met.append(finding)
        rules = with_finding(rules, finding)


def held_finding(trace: Sequence[Step | ControlStep], rules: Rules, met: Container[str]) -> Finding | None:
    """The finding, not yet met, with which the model allows the whole trace; ``met``: the names of those that were."""
    others = (finding for finding in FINDINGS if finding.name not in met and not finding.death)
    return next((one for one in others if _allows(with_finding(rules, one), trace)), None)


def _allows(rules: Rules, trace: Sequence[Step | ControlStep]) -> bool:
    try:
        return judge_held(trace, rules) is None
    except sm.OperationError:
        return False


class _Ended(Exception):
    """The exploration is over."""


class _Explorer:
    def __init__(self, scope: Scope, implementation: Controlled) -> None:
        self._scope = scope
        self._implementation = implementation
        self._found = ControlledExploration()
        self._root = Node(sm.quiet((scope.start,)))
        self._paths: dict[Node, tuple[Action, ...]] = {}
        self._left: dict[Node, list[Action]] = {}
        self._misses: Counter[Node] = Counter()
        self._trace: list[Step | ControlStep] = []
        self._path: list[Action] = []
        self._node = self._root
        self._oracle = HeldOracle(self._root.sessions)
        self._arrive(self._root)

    def run(self, progress: Progress) -> ControlledExploration:
        """Until every action of every node has been tried."""
        found = self._found
        try:
            while (target := next((node for node, left in self._left.items() if left), None)) is not None:
                progress(found, sum(map(len, self._left.values())))
                self._again(self._paths[target])
                if self._node != target:
                    self._lost(target)
                while left := self._left[self._node]:
                    self._act(left[-1])
        except _Ended:
            found.trace = tuple(self._trace)
        found.nodes = len(self._left)
        return found

    def _again(self, path: Iterable[Action]) -> None:
        """Begins anew, and goes along a path."""
        self._trace, self._path = [], []
        self._implementation.apply(sm.Reset())
        for step in self._scope.prepared:
            outcome = self._apply(step.operation)
            if step.outcome is not None and not sm.alike(step.outcome, outcome):
                self._judged(HeldDivergence(Step(step.operation, outcome), (step.outcome,)))
        self._oracle = HeldOracle(self._root.sessions)
        self._control(sm.Hold())
        self._node = self._root
        self._found.runs += 1
        for action in path:
            self._act(action)

    def _lost(self, target: Node) -> None:
        """The path that has led to a node leads elsewhere now: it is tried again, but not for ever."""
        self._misses[target] += 1
        if self._misses[target] == _TRIES:
            self._found.unreached += len(self._left[target])
            self._left[target] = []

    def _act(self, action: Action) -> None:
        """Does the action, and looks."""
        before = self._node
        self._path.append(action)
        if action in self._left.get(before, ()):
            self._left[before].remove(action)
            self._found.tried += 1
        self._found.actions += 1
        at, waiting = before.at, before.waiting
        if isinstance(action, Answer):
            seen = self._control(action)
        else:
            self._observe(self._scope.begins(at))
            at, waiting = at + 1, self._scope.waits(at)
            seen = self._control(sm.Pending())
        for key in seen.ended:
            self._observe(sm.Finish(key))
            waiting = waiting and key != Scope.KEY
        self._arrive(Node(self._oracle.sessions, at, waiting, frozenset(Counter(seen.requests).items())))

    def _arrive(self, node: Node) -> None:
        if node not in self._paths:
            # The path of this run: one that is put together from two runs need not lead here.
            self._paths[node] = tuple(self._path)
            self._left[node] = self._actions(node)
            self._found.states |= {(node.at, node.waiting, session) for session in node.sessions}
        self._node = node

    def _actions(self, node: Node) -> list[Action]:
        """What can be done next: a request that is shown is answered, or the next step begins."""
        answers: list[Action] = [Answer(place) for place in dict.fromkeys(request.place for request, _ in node.shown)]
        begins: list[Action] = [Begin()] if node.at < len(self._scope.explored) and not node.waiting else []
        return [*sorted(answers, key=str), *begins]

    # --- to the implementation and to the oracle ---

    def _apply(self, operation: sm.Operation) -> sm.Outcome:
        outcome = self._implementation.apply(operation)
        self._trace.append(Step(operation, outcome))
        if isinstance(outcome, sm.Died):
            self._found.died = outcome.text
            raise _Ended
        return outcome

    def _observe(self, operation: sm.Operation) -> None:
        self._judged(self._oracle.observe(operation, self._apply(operation)))

    def _control(self, control: sm.Control) -> sm.Requests:
        seen = self._implementation.control(control)
        self._trace.append(ControlStep(control, seen))
        if isinstance(seen, sm.Died):
            self._found.died = seen.text
            raise _Ended
        self._judged(self._oracle.control(control, seen))
        return seen

    def _judged(self, divergence: HeldDivergence | None) -> None:
        if divergence is not None:
            self._found.divergence = divergence
            raise _Ended
