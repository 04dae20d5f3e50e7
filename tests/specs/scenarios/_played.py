"""Drawn scenarios in which anything is done while something is under way, played by a drawn schedule."""

from random import Random

import snapmerge as sm
from snapmerge import Rules, Session, World
from snapmerge_specs.scenarios.anything import Anything

__all__ = ["played"]


def flushes_are_behind_nothing_else(world: World) -> bool:
    """Whether all that a flush in flight will make durable is in the disk's cache, the oldest first."""
    return all(
        world.disks[flight.effect.bio.where].cached.get(at, ())[: len(written)] == written
        for flight in world.flights
        if isinstance(flight.effect, sm.Io)
        for at, written in flight.mark.items()
    )


def played(random: Random, rules: Rules) -> Session:
    """A session in which a drawn scenario has been played, by a drawn schedule."""
    session = Session.new(rules)
    for operation in Anything(random).operations(40):
        try:
            _, session = sm.operate(session, operation, lambda count, _: random.randrange(count))
        except sm.OperationError:
            continue
        if isinstance(operation, sm.Crash):
            session = Session(sm.resolve(session.world, random.randrange))
        assert flushes_are_behind_nothing_else(session.world)
    return session
