"""A scope: a script that is explored under control, in two parts."""

from dataclasses import dataclass
from typing import ClassVar, Final

import snapmerge as sm
from snapmerge import MAINLINE, Answer, Rules, Session
from snapmerge_specs.generations.script import Script

__all__ = ["Action", "Begin", "Scope", "scope_of"]

_AT_ONCE: Final = (sm.Fault, sm.Heal)


@dataclass(frozen=True, slots=True)
class Begin:
    """The next step of the script begins."""


Action = Begin | Answer
"""What may be done next: the next step of the script begins, or a request is answered."""


@dataclass(frozen=True, slots=True)
class Scope:
    """A script in two parts: ``prepared`` is done step by step, ``explored`` under control.

    ``prepared`` has the outcomes that the model has; ``start`` is its session after them.
    """

    KEY: ClassVar[int] = 999
    """The key of an operation that the script waits for."""

    name: str
    prepared: tuple[sm.Step, ...]
    explored: tuple[sm.Operation, ...]
    start: Session

    def begins(self, at: int) -> sm.Operation:
        """The operation that begins step ``at``: under control each is begun with ``start``, if it may take time."""
        operation = self.explored[at]
        if isinstance(operation, sm.Finish):
            raise sm.OperationError("finish has no place in a scope: what has started ends by itself")
        return operation if isinstance(operation, (sm.Start, *_AT_ONCE)) else sm.Start(self.KEY, operation)

    def waits(self, at: int) -> bool:
        """Whether the next step waits for the end of this one."""
        return not isinstance(self.explored[at], (sm.Start, *_AT_ONCE))


def scope_of(script: Script, rules: Rules = MAINLINE) -> Scope:
    """Divides a script: before the first step that is begun by ``start``, or leaves something in flight.

    Raises:
        OperationError: a step makes no sense, or can't be done while requests are held.
    """
    session, prepared = Session.new(rules), list[sm.Step]()
    for operation in script.steps:
        if isinstance(operation, sm.Start):
            break
        result, after = sm.operate(session, operation)
        if after.world.flights:
            break
        session = after
        prepared.append(sm.Step(operation, result.seen() if isinstance(result, sm.Raw) else result))
    scope = Scope(script.name, tuple(prepared), script.steps[len(prepared) :], session)
    for at in range(len(scope.explored)):
        sm.check_held(scope.begins(at), session.world.disks)
    return scope
