"""Transition tables: the states of one kind of thing, and what takes it from one to another, as data.

A merge, a pending exception and a resume each have a state that changes in several places of the code, in an order
that matters.  Their tables say which changes are legal.  The code never names the state that comes next: it names the
*trigger*, what has happened, and the table gives the next state or raises.  ``docs/states.md`` is drawn from them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

from snapmerge.errors import MachineError

__all__ = ["Named", "Transitions"]


class Named(Enum):
    """The base of states and triggers.  Members hash by identity, in C, as every transition looks into a table."""

    __hash__ = object.__hash__


State = TypeVar("State", bound=Named)
Trigger = TypeVar("Trigger", bound=Named)


@dataclass(frozen=True, slots=True, eq=False)
class Transitions(Generic[State, Trigger]):
    """The table of one kind of thing.

    Attributes:
        name: what the thing is, with its article.
        first: the state in which it begins.
        last: the state in which it has ended, which is then no longer kept; None: it does not end.
        rows: the next state, for each trigger that is legal in a state.  A state's value describes it; a trigger's
            names the function that makes the transition, and after a colon says what has happened.
    """

    name: str
    first: State
    last: State | None
    rows: Mapping[tuple[State, Trigger], State]

    @property
    def states(self) -> tuple[State, ...]:
        """All states, in the order of their definition."""
        return tuple(type(self.first))

    @property
    def triggers(self) -> tuple[Trigger, ...]:
        """All triggers, in the order of their definition."""
        return tuple(type(next(iter(self.rows))[1]))

    def after(self, state: State, trigger: Trigger) -> State:
        """The state that comes next.

        Raises:
            MachineError: the table has no such transition.
        """
        following = self.rows.get((state, trigger))
        if following is None:
            legal = ", ".join(one.name for before, one in self.rows if before is state) or "nothing"
            raise MachineError(f"{self.name} that is {state.name} met {trigger.name}; legal is {legal}")
        return following
