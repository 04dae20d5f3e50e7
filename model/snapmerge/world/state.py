"""The world: the machine closed by everything around it, so that all that is left open is *what happens next*.

A world is a stack, its disks, and what is in flight between them.  ``happen`` takes an event to the machine and puts
what the machine asks for in flight.  What the environment may do next is in ``moves``, what a power cut leaves in
``power``: nondeterminism is in these two files, explicit, and nowhere else.
"""

from typing import Final, assert_never

from immutables import Map

from snapmerge.machine.core.bio import Bio, Buffer, Op, WorkId
from snapmerge.machine.core.draft import Rules
from snapmerge.machine.core.events import AddDisk, Effect, EndBio, Event, Fetch, Io, Log, Reply, Requeue, Zero
from snapmerge.machine.core.state import EMPTY, Stack
from snapmerge.machine.core.step import step
from snapmerge.machine.registry import MAINLINE
from snapmerge.records import dataclass, replace
from snapmerge.trace.payload import contents
from snapmerge.world.disk import Disk, Mark, Sectors

__all__ = [
    "Flight",
    "Flights",
    "World",
    "absorb",
    "add_disk",
    "filled",
    "happen",
    "payload_of",
    "start_world",
]

Buffers = Map[WorkId | int, Sectors]
"""What is in each buffer, by its owner (``Buffer.owner``)."""

_NO_MARK: Final[Mark] = Map()


@dataclass(frozen=True, slots=True)
class Flight:
    """An effect under way.  ``flushing``: the flush of it, or before it, is; ``mark``: what that will make durable."""

    effect: Io | Fetch | Requeue
    flushing: bool = False
    mark: Mark = _NO_MARK


class Flights(tuple[Flight, ...]):
    """What is in flight: a set, as any of it may end next.

    It is kept in the order in which it was sent, by which the canonical schedule goes; that is no part of what it is,
    so flights in another order are equal.
    """

    __slots__ = ()

    def without(self, flight: Flight) -> "Flights":
        """All but this one, which may have been trimmed meanwhile."""
        return Flights([other for other in self if other.effect is not flight.effect]) if len(self) > 1 else Flights()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flights) and frozenset(self) == frozenset(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(frozenset(self))


@dataclass(frozen=True, slots=True)
class World:
    """All there is.  ``buffers`` by owner; ``ended`` and ``replies`` by token: what has ended and was not collected."""

    stack: Stack = EMPTY
    disks: Map[str, Disk] = Map()
    flights: Flights = Flights()
    buffers: Buffers = Map()
    ended: Map[int, str | None] = Map()
    replies: Map[int, Reply] = Map()
    rules: Rules = MAINLINE


def start_world(rules: Rules = MAINLINE) -> World:
    """A world with nothing in it."""
    return World(rules=rules)


def add_disk(world: World, name: str, size: int) -> World:
    """The world with one disk more, zero-filled."""
    world = happen(world, AddDisk(name, size))
    return replace(world, disks=world.disks.set(name, Disk(size)))


def happen(world: World, event: Event) -> World:
    """The world after an event, with what the machine asked for in flight."""
    stack, effects = step(world.stack, event, world.rules)
    return absorb(world, stack, effects)


def absorb(world: World, stack: Stack, effects: tuple[Effect, ...]) -> World:
    """The world with the machine at ``stack``, and what it asks for in flight."""
    sent: list[Flight] = []
    buffers, ended, replies = world.buffers, world.ended, world.replies
    for effect in effects:
        match effect:
            case Io(_, bio) if bio.op is Op.FLUSH or bio.preflush:
                sent.append(Flight(effect, flushing=True, mark=world.disks[bio.where].cached))
            case Io() | Fetch() | Requeue():
                sent.append(Flight(effect))
            case EndBio(token, error):
                ended = ended.set(token, error)
            case Zero(buffer, count):
                buffers = filled(buffers, buffer, (0,) * count)
            case Reply():
                replies = replies.set(effect.token, effect)
            case Log():
                pass
            case _:
                assert_never(effect)
    flights = Flights((*world.flights, *sent)) if sent else world.flights
    return World(stack, world.disks, flights, buffers, ended, replies, world.rules)


def payload_of(world: World, bio: Bio) -> Sectors:
    """The sectors that a write carries: the bytes of its own, those of its buffer, or zeroes."""
    payload = bio.payload
    match payload:
        case None:
            return (0,) * bio.count
        case bytes():
            return tuple(contents(payload))
        case Buffer(owner, offset):
            return world.buffers[owner][offset : offset + bio.count]
        case _:
            assert_never(payload)


def filled(buffers: Buffers, to: Buffer, sectors: Sectors) -> Buffers:
    """The buffers with ``sectors`` in one of them, zeroes before where it was shorter."""
    held = buffers.get(to.owner, ())
    if to.offset > len(held):
        held = (*held, *(0,) * (to.offset - len(held)))
    return buffers.set(to.owner, (*held[: to.offset], *sectors, *held[to.offset + len(sectors) :]))
