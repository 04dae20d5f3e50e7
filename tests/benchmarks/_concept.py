"""What the design choices of the two generations buy, counted in disk I/Os: they are the same on every machine."""

import statistics
from collections.abc import Callable, Iterator
from typing import TypeGuard

from tests.benchmarks._figures import Figure, Sizes

import snapmerge as sm
from snapmerge.machine.core.state import CopyJob
from snapmerge.machine.snapshot.state import Copy
from snapmerge.records import replace
from snapmerge.world.session import advance_tasks, begin, poll
from snapmerge_specs.concept import AS_POSTED

__all__ = ["concept"]


class _Run:
    """A merge under way, of ``chunks`` exceptions in every second chunk of one sector."""

    def __init__(self, rules: sm.Rules, chunks: int) -> None:
        size = 2 * chunks
        self.mainline = not rules.has(sm.ConceptRules)
        self.device = "origin" if self.mainline else "merge"
        self.origin = f"0 {size} snapshot-origin base"
        self.table = f"0 {size} snapshot-merge {'base' if self.mainline else 'origin'} cow P 1"
        self.ios = self.copies = self.flushes = self.metadata = 0
        self.session = sm.Session.new(rules)
        self._play(f"disk base {size}\ndisk cow {4 * chunks}\nwrite base 0 {size} #1\nflush base")
        self._play(f'create origin "{self.origin}"\ncreate snap "0 {size} snapshot base cow P 1"\nsuspend snap\n')
        self._play("resume snap\n" + "".join(f"write snap {2 * at + 1} 1 #{at + 1000}\n" for at in range(chunks)))
        self._play("flush snap\nsuspend snap")

    def _play(self, text: str) -> None:
        for step in sm.parse_trace(text):
            _, self.session = sm.operate(self.session, step.operation)

    def begin(self) -> None:
        """Begins the merge; the first copy is in flight then, and the user's request has ended."""
        if self.mainline:
            self._play(f'suspend origin\nload origin "{self.table}"')
            self._ask(sm.Resume("origin"))
        else:
            self._ask(sm.Create("merge", self.table))
        self.ios = 0
        while not self._copying():
            self.move()
        self.ios = self.metadata = 0

    def _ask(self, operation: sm.Plain) -> None:
        self.session = begin(self.session, 0, operation)
        while True:
            self.session, result = poll(self.session, 0)
            if result is not None:
                return
            self.move()

    def _copying(self) -> bool:
        return any(_is_copy(work) for work in self.session.world.stack.work.values())

    def move(self) -> None:
        """The canonical next move, counted if it is a disk's."""
        world = self.session.world
        before = {flight.effect.id for flight in world.flights if isinstance(flight.effect, sm.Io)}
        kinds = {flight.effect.id: flight for flight in world.flights}
        copying = {id for id, one in world.stack.work.items() if _is_copy(one) and one.reading}
        world = sm.advance(world)
        self.session = advance_tasks(replace(self.session, world=world))
        for id in before - {f.effect.id for f in world.flights if f is kinds.get(f.effect.id)}:
            flight = kinds[id]
            self.ios += 1
            self.copies += id in copying
            self.flushes += flight.flushing
            self.metadata += isinstance(flight.effect, sm.Io) and isinstance(flight.effect.bio.payload, bytes)

    def wait(self, operation: sm.Plain) -> int:
        """How many disk I/Os end before an operation does that is begun now."""
        self.session = begin(self.session, 1, operation)
        there = self.ios
        while True:
            self.session, result = poll(self.session, 1)
            if result is not None:
                return self.ios - there
            self.move()

    def settle(self, limit: int | None = None) -> bool:
        """Lets the merge go on to its end, or for so many I/Os; whether there was more to do."""
        while self.session.world.flights:
            if limit is not None and self.ios >= limit:
                return True
            self.move()
        return False

    def recover(self) -> None:
        """Cuts the power, and merges again."""
        self.session = sm.Session(sm.resolve(sm.cut_power(self.session.world), lambda _: 0))
        if not self.mainline:
            self._play(f'create origin "{self.origin}"')
        self._ask(sm.Create(self.device, self.table))
        self.settle()


def _is_copy(work: object) -> TypeGuard[CopyJob]:
    return isinstance(work, CopyJob) and work.purpose is not Copy.OUT


def concept(sizes: Sizes) -> Iterator[Figure]:
    """Each figure of the patch and of the intended design, as a ratio to the kernel's."""
    chunks = sizes.chunks
    designs = {"kernel's": sm.MAINLINE, "patch": AS_POSTED, "as meant": sm.CONCEPT}
    measures: dict[str, Callable[[sm.Rules, int], float]] = {
        "I/Os that a read of the last chunk waits for": _read_waits,
        "I/Os that a write to the last chunk waits for": _write_waits,
        "I/Os of the whole merge": _all,
        "chunks copied again after a power cut, on average": _repeated,
    }
    for what, measure in measures.items():
        values = {name: measure(rules, chunks) for name, rules in designs.items()}
        for name, value in values.items():
            base = values["kernel's"] or 1
            yield Figure("concept", f"{what}: {name}", value, "", value / base, f"the kernel's ({chunks} exceptions)")


def _begun(rules: sm.Rules, chunks: int) -> _Run:
    run = _Run(rules, chunks)
    run.begin()
    return run


def _last(run: _Run, chunks: int) -> sm.Sector:
    """The chunk that is merged last: the kernel goes backwards."""
    return sm.Sector(1 if run.mainline else 2 * chunks - 1)


def _read_waits(rules: sm.Rules, chunks: int) -> float:
    run = _begun(rules, chunks)
    return run.wait(sm.Read(run.device, _last(run, chunks), sm.Sectors(1)))


def _write_waits(rules: sm.Rules, chunks: int) -> float:
    run = _begun(rules, chunks)
    return run.wait(sm.Write(run.device, _last(run, chunks), sm.Sectors(1), 5))


def _all(rules: sm.Rules, chunks: int) -> float:
    run = _begun(rules, chunks)
    run.settle()
    return run.ios


def _repeated(rules: sm.Rules, chunks: int) -> float:
    """Over power cuts behind every I/O of the merge."""
    repeated: list[int] = []
    while True:
        run = _begun(rules, chunks)
        if not run.settle(limit=len(repeated)):
            return statistics.mean(repeated)
        run.recover()
        repeated.append(run.copies - chunks)
