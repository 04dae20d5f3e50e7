"""The world: the machine together with its environment, so that the only open question is which move comes next.

A world is a stack, its disks, and the effects in flight between them.  ``deliver`` gives an event to the machine and
puts the effects that it asks for in flight.  ``moves`` has what the environment may do next, and ``power`` what a power
cut may leave: all nondeterminism is in these two files.
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
    "deliver",
    "filled",
    "payload_of",
    "start_world",
]

Buffers = Map[WorkId | int, Sectors]
"""The contents of each buffer, by its owner (``Buffer.owner``)."""

_NO_MARK: Final[Mark] = Map()


@dataclass(frozen=True, slots=True)
class Flight:
    """An effect in flight.

    ``flushing``: its flush, or preflush, has not finished; ``mark``: the cached contents which that will make durable.
    """

    effect: Io | Fetch | Requeue
    flushing: bool = False
    mark: Mark = _NO_MARK


class Flights(tuple[Flight, ...]):
    """The effects in flight.  They are a set, since any of them may end next (WORLD-2).

    The tuple keeps the order in which they were sent, for the canonical schedule; equality and hash ignore the order.
    """

    __slots__ = ()

    def without(self, flight: Flight) -> "Flights":
        """All flights except that of the same effect; its mark may differ, since other flushes trim it."""
        at = next((i for i, other in enumerate(self) if other.effect is flight.effect), len(self))
        return Flights(self[:at] + self[at + 1 :])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flights) and frozenset(self) == frozenset(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(frozenset(self))


@dataclass(frozen=True, slots=True)
class World:
    """The machine, its environment, and its rules; a value (WORLD-2).

    ``ended`` (errors of bios, or None) and ``replies`` are kept by token until the session collects them.
    """

    stack: Stack = EMPTY
    disks: Map[str, Disk] = Map()
    flights: Flights = Flights()
    buffers: Buffers = Map()
    ended: Map[int, str | None] = Map()
    replies: Map[int, Reply] = Map()
    rules: Rules = MAINLINE


def start_world(rules: Rules = MAINLINE) -> World:
    """An empty world."""
    return World(rules=rules)


def add_disk(world: World, name: str, size: int) -> World:
    """The world with a new, zero-filled disk."""
    world = deliver(world, AddDisk(name, size))
    return replace(world, disks=world.disks.set(name, Disk(size)))


def deliver(world: World, event: Event) -> World:
    """The world after the machine has handled an event; the effects that it asked for are in flight."""
    stack, effects = step(world.stack, event, world.rules)
    return absorb(world, stack, effects)


def absorb(world: World, stack: Stack, effects: tuple[Effect, ...]) -> World:
    """The world with the machine's new stack, and the effects that it asked for in flight."""
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
    """The sectors that a write carries: its own bytes, those of its buffer, or zeroes."""
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
    """The buffers after ``sectors`` were stored in one of them; a gap before them is filled with zeroes."""
    held = buffers.get(to.owner, ())
    if to.offset > len(held):
        held = (*held, *(0,) * (to.offset - len(held)))
    return buffers.set(to.owner, (*held[: to.offset], *sectors, *held[to.offset + len(sectors) :]))
