"""Disks under control: a world whose disks answer a request only when they are told to.

Such a world is *quiet* when nothing but disks can move: every effect of the processor (``Requeue``, ``Fetch``) has
been carried out.  What is in flight then are the requests that an implementation shows (``requests``), and the next
thing to happen is an answer or another operation.

The processor's order is open, so there may be several quiet sessions (``quiet``).  An implementation is in one of them.

The block layer stands between device-mapper and the disks, and does one thing with what it is given (CONTROL-4): of the
flushes of one disk it has one under way at a time, and none while a write that had a flush before it is under way.
Those that come meanwhile wait, and then become one request together.  So a flush that is answered ends some of those
that the model has in flight, at least one; and an implementation shows one flush where the model has several, or none.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import combinations

from snapmerge.machine.core.bio import Op
from snapmerge.machine.core.events import Io
from snapmerge.machine.core.state import CopyJob, DeviceBio
from snapmerge.trace.payload import Seen, as_seen
from snapmerge.trace.requests import Request, RequestKind
from snapmerge.units import Sector, Sectors
from snapmerge.world.disk import Unknown
from snapmerge.world.moves import advance, endings, fail, finish, in_canonical_order
from snapmerge.world.session import Session, advance_tasks, poll
from snapmerge.world.state import Flight, World, payload_of

__all__ = ["answered", "calmed", "ended_keys", "quiet", "requests", "shows"]


def requests(world: World) -> tuple[Request, ...]:
    """The requests in flight, in the order in which they were sent; of what is unknown the newest candidate."""
    return tuple(request for flight in world.flights if (request := _request(world, flight)) is not None)


def _request(world: World, flight: Flight) -> Request | None:
    """What the disk sees of an effect; None: it is not the disk's."""
    if not isinstance(flight.effect, Io):
        return None
    bio = flight.effect.bio
    if flight.flushing:
        return Request(bio.where, "flush")
    payload: tuple[Seen, ...] = ()
    if bio.op in (Op.WRITE, Op.ZERO):
        known = (c.candidates[0] if isinstance(c, Unknown) else c for c in payload_of(world, bio))
        payload = tuple(map(as_seen, known))
    return Request(bio.where, _kind(bio.op, bio.fua), Sector(bio.sector), Sectors(bio.count), payload)


def _kind(op: Op, fua: bool) -> RequestKind:
    match op:
        case Op.READ:
            return "read"
        case Op.WRITE | Op.ZERO:
            return "fua" if fua else "write"
        case Op.DISCARD:
            return "discard"
        case Op.FLUSH:
            return "flush"


def quiet(sessions: Iterable[Session]) -> frozenset[Session]:
    """Every quiet session that these come to, by any order of what the processor does (CONTROL-1)."""
    found, seen, left = set(), set(), [advance_tasks(session) for session in sessions]
    while left:
        session = left.pop()
        if session in seen:
            continue
        seen.add(session)
        running = [f for f in in_canonical_order(session.world) if not isinstance(f.effect, Io)]
        if not running:
            found.add(session)
        for flight in running:
            left += [advance_tasks(Session(world, session.tasks)) for world in endings(session.world, flight)]
    return frozenset(found)


def calmed(session: Session) -> Session:
    """One of these: the quiet session that the canonical schedule leads to."""
    session = advance_tasks(session)
    while any(not isinstance(flight.effect, Io) for flight in session.world.flights):
        session = advance_tasks(Session(advance(session.world), session.tasks))
    return session


def answered(session: Session, place: Request, *, error: bool = False) -> Iterator[Session]:
    """The session after an answer, for every request that it may be of (CONTROL-2, CONTROL-4, CONTROL-6)."""
    flights = [f for f in session.world.flights if (r := _request(session.world, f)) is not None and r.place == place]
    most = len(flights) if place.kind == "flush" else min(1, len(flights))  # of twins any
    for count in range(1, most + 1):
        for chosen in combinations(flights, count):
            yield Session(_all(session.world, chosen, error=error), session.tasks)


def _all(world: World, flights: tuple[Flight, ...], *, error: bool) -> World:
    for flight in flights:
        # A flush before it has trimmed the mark of this one.
        now = next(f for f in world.flights if f.effect is flight.effect)
        world = fail(world, now) if error else finish(world, now)
    return world


def shows(world: World, seen: Iterable[Request]) -> bool:
    """Whether an implementation may show these requests when it is where the world is (CONTROL-3, CONTROL-4)."""
    mine, theirs = Counter(requests(world)), Counter(seen)
    flushes = {request for request in mine | theirs if request.kind == "flush"}
    held_back = _after_flushes(world)
    least = {flush: 0 if flush.disk in held_back else min(1, mine[flush]) for flush in flushes}
    if any(not least[flush] <= theirs[flush] <= mine[flush] for flush in flushes):
        return False
    late = Counter(request for f in world.flights if (request := _request(world, f)) and _waits(world, f))
    rest = [request for request in mine | theirs if request.kind != "flush"]
    return all(mine[request] - late[request] <= theirs[request] <= mine[request] for request in rest)


def _after_flushes(world: World) -> set[str]:
    """The disks to which a write is under way whose preflush has ended: ``blk_kick_flush`` sends no flush meanwhile."""
    bios = (flight.effect.bio for flight in world.flights if isinstance(flight.effect, Io) and not flight.flushing)
    return {bio.where for bio in bios if bio.preflush}


def _waits(world: World, flight: Flight) -> bool:
    """Whether an effect belongs to a copy whose thread may be busy with something else (CONTROL-5)."""
    work = world.stack.work.get(flight.effect.id)
    if isinstance(work, DeviceBio):
        work = world.stack.work.get(work.parent)
    if not isinstance(work, CopyJob):
        return False
    target = world.stack.targets.get(work.target)
    return target is not None and world.rules.by_class[type(target)].busy(target)


def ended_keys(session: Session) -> set[int]:
    """The keys of started operations that have ended."""
    return {key for key in session.tasks if _has_ended(session, key)}


def _has_ended(session: Session, key: int) -> bool:
    return poll(session, key)[1] is not None
