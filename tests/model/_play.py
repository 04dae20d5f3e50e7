"""Plays traces in the model, and lets a test choose what happens next; for the tests beside this file."""

import snapmerge as sm
from snapmerge.records import replace
from snapmerge.world.session import advance_tasks, begin, poll
from snapmerge.world.state import Flight

__all__ = ["THREE_RUNS", "Bench", "allowed", "disk_with", "play", "setup", "verdict"]


def play(text: str, session: sm.Session | None = None) -> sm.Session:
    """Plays a trace by the canonical schedule; every recorded outcome must be what comes of it."""
    session = sm.Session.new() if session is None else session
    for step in sm.parse_trace(text):
        result, session = sm.operate(session, step.operation)
        seen = sm.Step(step.operation, _outcome(result))
        if step.outcome is not None:
            assert sm.print_trace([seen]) == sm.print_trace([step])
    return session


def _outcome(result: sm.Result) -> sm.Outcome | None:
    return result.seen() if isinstance(result, sm.Raw) else result


def setup(table: str = "P 8", *, base: int = 32, cow: int = 104) -> str:
    """A trace's beginning: disks ``base`` (tags from 1000 on) and ``cow``, a snapshot ``snap``, its ``origin``."""
    return f"""
disk base {base}
disk cow {cow}
write base 0 {base} #1000
flush base
create snap "0 {base} snapshot base cow {table}" -> ok
create origin "0 {base} snapshot-origin base" -> ok
"""


THREE_RUNS = (
    setup()
    + """
write snap 24 8 #1
write snap 8 8 #20
write snap 0 8 #40
suspend origin
suspend snap
load origin "0 32 snapshot-merge base cow P 8"
resume origin -> ok
"""
)
"""A merge of three runs has begun, of which nothing was seen yet."""


def disk_with(size: int, at: int, data: bytes) -> sm.Session:
    """A session with a disk ``base`` of 64 sectors and a disk ``cow``, with these bytes from sector ``at`` on."""
    session = play(f"disk base 64\nwrite base 0 64 #1000\ndisk cow {size}")
    cow = session.world.disks["cow"].write(at, sm.contents(data), durable=True)
    return sm.Session(replace(session.world, disks=session.world.disks.set("cow", cow)))


def allowed(session: sm.Session, line: str) -> set[str]:
    """Every outcome that an operation can have, as text."""
    operation = sm.parse_operation(line)
    found = (_outcome(result) for result, _ in sm.outcomes(session, operation))
    return {sm.print_outcome(outcome) for outcome in found if outcome is not None}


def verdict(text: str) -> sm.Verdict:
    """What the oracle says of a trace whose lines all have outcomes, up to the first that it doesn't agree to."""
    oracle = sm.Oracle()
    for step in sm.parse_trace(text):
        outcome = oracle.expect(step.operation) if step.outcome is None else step.outcome
        found = oracle.observe(step.operation, outcome)
        if found is not None:
            return found
    return None


class Bench:
    """A session in which the test says what ends next.

    A flight reads ``read base 0 8``, ``write cow 8 8``, ``flush cow``, ``flush cow; write cow 8 8 fua`` (the flush
    before a write), ``fetch`` or ``requeue``.
    """

    def __init__(self, text: str, rules: sm.Rules = sm.MAINLINE) -> None:
        self.session = play(text, sm.Session.new(rules))
        self._key = 100

    @property
    def world(self) -> sm.World:
        """The world as it is."""
        return self.session.world

    @property
    def flights(self) -> list[str]:
        """What is in flight, in the order in which it was sent."""
        return [_flight(flight) for flight in self.world.flights]

    def start(self, line: str, *, key: int | None = None) -> int:
        """Begins an operation, under a key of its own unless one is given; the key."""
        operation = sm.parse_operation(line)
        assert not isinstance(operation, sm.Start | sm.Finish)
        self._key += key is None
        key = self._key if key is None else key
        self.session = advance_tasks(begin(self.session, key, operation))
        return key

    def ended(self, key: int) -> str | None:
        """How an operation has ended; None: it has not.  To be asked once."""
        self.session, result = poll(self.session, key)
        if result is None:
            return None
        outcome = _outcome(result)
        assert outcome is not None
        return sm.print_outcome(outcome)

    def finish(self, *flights: str) -> None:
        """Carries out what is in flight, by its text or the beginning of it, one after the other."""
        for text in flights:
            self._put(sm.finish(self.world, self._find(text)))

    def fail(self, text: str) -> None:
        """Lets something in flight fail."""
        self._put(sm.fail(self.world, self._find(text)))

    def settle(self) -> None:
        """Lets all end that can, by the canonical schedule."""
        while self.world.flights:
            self._put(sm.advance(self.world))

    def settle_but(self, text: str) -> None:
        """Lets all end but what begins with this text."""
        while left := [f for f in self.world.flights if not _flight(f).startswith(text)]:
            self._put(sm.finish(self.world, left[0]))

    def play(self, text: str) -> None:
        """Plays a trace; all that is in flight ends first."""
        self.session = play(text, self.session)

    def _find(self, text: str) -> Flight:
        found = next((f for f in self.world.flights if _flight(f).startswith(text)), None)
        assert found is not None, f"{text} is not among {self.flights}"
        return found

    def _put(self, world: sm.World) -> None:
        self.session = advance_tasks(replace(self.session, world=world))


def _flight(flight: Flight) -> str:
    effect = flight.effect
    if not isinstance(effect, sm.Io):
        return "fetch" if isinstance(effect, sm.Fetch) else "requeue"
    bio = effect.bio
    if bio.op is sm.Op.FLUSH:
        return f"flush {bio.where}"
    text = f"{bio.op.value} {bio.where} {bio.sector} {bio.count}{' fua' if bio.fua else ''}"
    return f"flush {bio.where}; {text}" if flight.flushing else text
