"""The checks of a state, a move and a read that the explorer and the monitor share; each returns a problem or None."""

import snapmerge as sm
from snapmerge import Rules, Session, World
from snapmerge.records import dataclass
from snapmerge_specs.generations.generation import generation_of
from snapmerge_specs.generations.volumes import Volumes
from snapmerge_specs.properties.invariants import broken, step_broken
from snapmerge_specs.properties.views import Readable, misread, views_wrong

__all__ = ["Problem", "lost", "never_ends", "wrong_move", "wrong_read", "wrong_state"]


@dataclass(frozen=True, slots=True)
class Problem:
    """A violated property, its statement, and a sentence that says what is wrong."""

    property: str
    statement: str
    text: str


def wrong_state(session: Session, volumes: Volumes, *, cut: bool = False) -> Problem | None:
    """The problem of a world or of the contents that its devices show; ``cut``: the power was cut before."""
    if (found := broken(session.world)) is not None:
        return Problem(found[0].name, found[0].statement, found[1])
    if (wrong := views_wrong(session, volumes)) is not None:
        device, text = wrong
        return Problem("views", generation_of(session.world.rules).shows(session.world, device, cut), text)
    return None


def wrong_move(before: World, after: World) -> Problem | None:
    """The problem of a move, from the worlds before and after it."""
    found = step_broken(before, after)
    return None if found is None else Problem(found[0].name, found[0].statement, found[1])


def wrong_read(operation: sm.Plain, result: sm.Raw, may: tuple[Readable, Readable], rules: Rules) -> Problem | None:
    """The problem of a read's result; ``may``: the contents allowed when it began, and when it ended."""
    text = misread(operation, result, *may)
    return None if text is None else Problem("reads", generation_of(rules).reads, text)


def never_ends(operation: sm.Operation, rules: Rules) -> Problem:
    """The problem that an operation never ends."""
    text = f"{sm.print_operation(operation)} never ends"
    return Problem("every operation ends", generation_of(rules).ends, text)


def lost(text: str, rules: Rules) -> Problem:
    """The problem that a power cut has lost durable contents."""
    return Problem("durable", generation_of(rules).durable, text)
