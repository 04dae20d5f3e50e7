"""Shrinking a trace: the fewest operations, and the smallest numbers, that still end in a disagreement.

First whole operations are left out, in ever smaller parts; then, if the schedule is known, as many of its choices as
possible are replaced by the canonical ones; then numbers are lowered, dependent ones together.  This is repeated until
nothing makes the trace smaller.  The caller runs each candidate and says whether it still fails.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import combinations, pairwise

import snapmerge as sm
from snapmerge import Choices, Operation, Step
from snapmerge.records import replace
from snapmerge_specs.lockstep.schedule import choices_of, with_choices, with_operation
from snapmerge_specs.scenarios.numbers import Number, Operations, Role, fitted, numbers, with_numbers

__all__ = ["shrink"]

Steps = tuple[Step, ...]


def shrink(
    trace: Steps,
    still_fails: Callable[[Steps], Steps | None],
    *,
    tries: int = 1000,
    over: Callable[[], bool] = lambda: False,
    progress: Callable[[int, int], None] | None = None,
) -> Steps:
    """The smallest trace found that still fails: with the fewest operations, then choices, then the smallest numbers.

    ``still_fails`` runs the steps and returns the trace up to the disagreement, or None.  It is called at most
    ``tries`` times, and no more when ``over`` returns true.  ``progress`` is called after every try, with the number of
    tries and of remaining operations.  Equal answers give equal results.
    """
    shrinking = _Shrinking(trace, still_fails, tries, over, progress or (lambda _tries, _left: None))
    shrinking.run()
    return shrinking.trace


class _SpentError(Exception):
    """No tries or no time are left."""


class _Shrinking:
    """A trace that is being shrunk."""

    def __init__(
        self,
        trace: Steps,
        still_fails: Callable[[Steps], Steps | None],
        tries: int,
        over: Callable[[], bool],
        progress: Callable[[int, int], None],
    ) -> None:
        self.trace = trace
        self._still_fails = still_fails
        self._tries = tries
        self._over = over
        self._progress = progress
        self._done = 0
        self._tried: set[_Played] = {_played(trace)}

    @property
    def _now(self) -> Operations:
        return _operations(self.trace)

    def run(self) -> None:
        """Repeats all passes until none of them makes the trace smaller."""
        try:
            while True:
                before = _played(self.trace)
                self._leave_out()
                self._keep_to_canonical()
                self._lower()
                if _played(self.trace) == before:
                    break
                self._tried = {_played(self.trace), *(played for played in self._tried if len(played) <= len(before))}
        except _SpentError:
            pass

    def _helps(self, operations: Operations) -> bool:
        """Whether these operations are smaller and still fail; if so, they become the trace."""
        known = dict(zip(map(id, self._now), self.trace, strict=True))
        if len(operations) == len(self.trace):
            changed = zip(self.trace, operations, strict=True)
            return self._try(tuple(known.get(id(one)) or with_operation(step, one) for step, one in changed))
        return self._try(tuple(known.get(id(one)) or Step(one) for one in operations))

    def _try(self, steps: Steps) -> bool:
        if (played := _played(steps)) in self._tried or _measure(steps) >= _measure(self.trace):
            return False
        if self._done >= self._tries or self._over():
            raise _SpentError
        self._done += 1
        self._tried.add(played)
        found = self._still_fails(steps)
        helps = found is not None and _measure(found) < _measure(self.trace)
        if found is not None and helps:
            self.trace = found
        self._progress(self._done, len(self.trace))
        return helps

    # --- fewer operations ---

    def _leave_out(self) -> None:
        """Leaves out ever smaller parts, from the end backwards; then pairs of operations that name the same object."""
        size = max(len(self.trace) // 2, 1)
        while True:
            before = len(self.trace)
            self._without(size)
            if len(self.trace) == before:
                if size == 1:
                    break
                size = max(size // 2, 1)
        while self._without_two():
            pass
        while self._plainer():
            pass

    def _without(self, size: int) -> None:
        end = len(self.trace)
        while end > 0:
            start = max(end - size, 0)
            self._helps((*self._now[:start], *self._now[end:]))
            end = min(start, len(self.trace))

    def _without_two(self) -> bool:
        now = self._now
        pairs = [two for two in combinations(range(len(now)), 2) if _names(now[two[0]]) & _names(now[two[1]])]
        return any(self._helps(tuple(o for at, o in enumerate(now) if at not in two)) for two in reversed(pairs))

    def _plainer(self) -> bool:
        """Replaces started operations by plain ones, ``noflush`` by none, and I/O on devices by I/O on disks."""
        return any(self._helps(plainer) for plainer in _plainer(self._now))

    # --- fewer choices ---

    def _keep_to_canonical(self) -> None:
        """Replaces choices by the canonical ones: all of them, then ever smaller parts."""
        size = len(self._chosen())
        while size:
            end = len(self._chosen())
            while end > 0:
                start = max(end - size, 0)
                self._try(self._without_choices(set(self._chosen()[start:end])))
                end = min(start, len(self._chosen()))
            size //= 2

    def _chosen(self) -> list[tuple[int, int]]:
        """The positions of all choices: the step, and the choice in it."""
        return [(at, nth) for at, step in enumerate(self.trace) for nth in range(len(choices_of(step)))]

    def _without_choices(self, without: set[tuple[int, int]]) -> Steps:
        return tuple(
            with_choices(step, tuple(one for nth, one in enumerate(choices_of(step)) if (at, nth) not in without))
            for at, step in enumerate(self.trace)
        )

    # --- smaller numbers ---

    def _lower(self) -> None:
        for factor in (64, 16, 8, 4, 2):
            self._helps(_scaled(self._now, factor))
        for role in (Role.CHUNK, Role.COUNT, Role.SIZE, Role.OFFSET, Role.SECTOR):
            self._lower_role(role)
        self._narrow()
        self._shift()
        self._helps(_renumbered(self._now))
        for role in (Role.TAG, Role.KEY):
            self._lower_role(role)

    def _lower_role(self, role: Role) -> None:
        """Lowers equal numbers together, the largest first, and then each alone.

        Equal lengths of tables stay equal, since devices on one origin are as long as it is.
        """
        for value in sorted({n.value for n in numbers(self._now) if n.role is role}, reverse=True):
            together = [n for n in numbers(self._now) if n.role is role and n.value == value]
            self._lower_together(together)
        at = 0
        while at < len(each := [n for n in numbers(self._now) if n.role is role and not self._in_table(n)]):
            self._lower_together(each[at : at + 1])
            at += 1

    def _in_table(self, number: Number) -> bool:
        return number.role is Role.SIZE and not isinstance(self._now[number.at], sm.Disk)

    def _lower_together(self, group: list[Number]) -> None:
        """Searches the least value by bisection; among powers of two where they are required."""
        if not group:
            return
        good, bad = group[0].value, group[0].least - 1
        next_try = group[0].least
        while good - bad > 1:
            if self._helps(self._with(group, next_try)):
                good = next_try
            else:
                bad = next_try
            next_try = _power_between(bad, good) if group[0].role is Role.CHUNK else (good + bad) // 2
            if not bad < next_try < good:
                return

    def _with(self, group: list[Number], value: int) -> Operations:
        now = self._now
        if any(number.at >= len(now) for number in group):
            return now
        return fitted(now, with_numbers(now, {(n.at, n.which): value for n in group}))

    def _narrow(self) -> None:
        """Moves the beginning of I/O up to its end, where only the end matters."""
        for at in range(len(self._now)):
            parts = [n for n in numbers(self._now) if n.at == at and n.role in (Role.SECTOR, Role.COUNT)]
            while len(parts) == 2 and parts[1].value > 1:
                by = parts[1].value - 1
                while by and not self._helps(self._later(parts, by)):
                    by //= 2
                if not by:
                    break
                parts = [n for n in numbers(self._now) if n.at == at and n.role in (Role.SECTOR, Role.COUNT)]

    def _later(self, parts: list[Number], by: int) -> Operations:
        sector, count = parts
        values = {(sector.at, sector.which): sector.value + by, (count.at, count.which): count.value - by}
        values |= {
            (n.at, n.which): n.value + by for n in numbers(self._now) if n.at == sector.at and n.role is Role.TAG
        }
        return with_numbers(self._now, values)

    def _shift(self) -> None:
        """Moves all I/O that does not begin at sector 0 to the front, by the same distance."""
        sectors = [n for n in numbers(self._now) if n.role is Role.SECTOR and n.value]
        by = min((n.value for n in sectors), default=0)
        while by and not self._helps(
            with_numbers(self._now, {(n.at, n.which): n.value - by for n in sectors if n.at < len(self._now)})
        ):
            by //= 2


def _operations(trace: Steps) -> Operations:
    return tuple(step.operation for step in trace)


_Played = tuple[tuple[Operation, Choices], ...]


def _played(trace: Steps) -> _Played:
    """The part of a trace that is run: its operations and choices, without the outcomes."""
    return tuple((step.operation, choices_of(step)) for step in trace)


_SIZES = (Role.SIZE, Role.CHUNK, Role.COUNT, Role.OFFSET)


def _measure(trace: Steps) -> tuple[int, ...]:
    """The measure that shrinking lowers: operations, those not plain, choices, sectors, positions, tags and keys."""
    operations = _operations(trace)
    found = numbers(operations)
    choices = sum(len(choices_of(step)) for step in trace)
    extra = sum(isinstance(o, sm.Start) or (isinstance(o, sm.Suspend) and o.noflush) for o in operations)
    sizes = sum(n.value for n in found if n.role in _SIZES)
    sectors = sum(n.value for n in found if n.role is Role.SECTOR)
    names = sum(n.value for n in found if n.role in (Role.TAG, Role.KEY))
    return len(operations), extra, choices, sizes, sectors, names


def _power_between(bad: int, good: int) -> int:
    """The least power of two above ``bad``, for a chunk size below ``good``."""
    return 1 << max(bad, 0).bit_length() if bad < good else good


def _names(operation: Operation) -> frozenset[str]:
    """The devices, disks and keys that an operation is about."""
    match operation:
        case sm.Start(key, inner):
            return _names(inner) | {f"key {key}"}
        case sm.Finish(key):
            return frozenset({f"key {key}"})
        case sm.Disk(name):
            return frozenset({name})
        case sm.Write(where) | sm.Read(where) | sm.Flush(where) | sm.Discard(where):
            return frozenset({where})
        case sm.Metadata(disk) | sm.Fault(disk) | sm.Heal(disk):
            return frozenset({disk})
        case sm.Crash() | sm.Reset():
            return frozenset()
        case _:
            return frozenset({operation.device})


def _plainer(operations: Operations) -> Iterator[Operations]:
    for at, operation in enumerate(operations):
        before, after = operations[:at], operations[at + 1 :]
        if isinstance(operation, sm.Start):
            finished = sm.Finish(operation.key)
            yield (*before, operation.operation, *(one for one in after if one != finished))
        elif isinstance(operation, sm.Suspend) and operation.noflush:
            yield (*before, replace(operation, noflush=False), *after)
        elif isinstance(operation, sm.Create) and operation.table is not None:
            disks = [one.name for one in before if isinstance(one, sm.Disk) and one.name in operation.table.split()]
            yield from ((*before, *(_moved(one, operation.device, disk) for one in after)) for disk in disks)


def _moved(operation: Operation, device: str, disk: str) -> Operation:
    """The operation; if it is I/O on the device, the same I/O on the disk."""
    match operation:
        case sm.Start(key, inner):
            moved = _moved(inner, device, disk)
            return operation if isinstance(moved, sm.Start | sm.Finish) else sm.Start(key, moved)
        case sm.Read(where) | sm.Write(where) | sm.Flush(where) if where == device:
            return replace(operation, where=disk)
        case _:
            return operation


def _scaled(operations: Operations, by: int) -> Operations:
    """The operations with all sector numbers divided: chunk sizes and lengths are rounded up, positions down."""
    values: dict[tuple[int, int], int] = {}
    for n in numbers(operations):
        if n.role in (*_SIZES, Role.SECTOR):
            values[n.at, n.which] = n.value // by if n.role in (Role.SECTOR, Role.OFFSET) else -(-n.value // by)
    return with_numbers(operations, values)


def _renumbered(operations: Operations) -> Operations:
    """The operations with consecutive tags of writes from 1, and keys from 1; tag 0 stays."""
    values: dict[tuple[int, int], int] = {}
    keys: dict[int, int] = {}
    tag = 1
    for at, count in _writes(operations):
        if at.value:
            values[at.at, at.which] = tag
            tag += count
    for n in numbers(operations):
        if n.role is Role.KEY:
            values[n.at, n.which] = keys.setdefault(n.value, len(keys) + 1)
    return with_numbers(operations, values)


def _writes(operations: Iterable[Operation]) -> Iterator[tuple[Number, int]]:
    """The first tag of every write, and the number of its tags."""
    found = numbers(tuple(operations))
    for count, tag in pairwise(found):
        if tag.role is Role.TAG:
            yield tag, count.value
