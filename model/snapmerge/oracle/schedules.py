"""Every schedule of an operation, without those that can't make a difference.

What comes next is in ``_reductions``, with what is left out there.  What is left out here: a status, a table and an
event count change nothing.  When one has shown what it should (``enough``), what is in flight goes on as well after
it as before.
"""

from collections.abc import Callable, Iterator

from snapmerge.errors import OperationError
from snapmerge.oracle.calm import ANYTHING, Ahead
from snapmerge.oracle.reductions import next_worlds
from snapmerge.trace import operations as op
from snapmerge.trace.outcomes import Blocked, Done, Outcome
from snapmerge.world.disk_operations import metadata
from snapmerge.world.session import Result, Session, advance_tasks, blocked, poll, submit

__all__ = ["LOOKS", "Node", "Spend", "outcomes"]

Node = tuple[int | None, Session]
"""A session in which the operation has begun under a key, or (None) has not."""

Spend = Callable[[Session, bool], None]
"""Hears of every session that is looked at, and whether it is remembered."""

LOOKS = (op.Status, op.Table, op.Events)
"""Operations that end at once and change nothing."""


def _free(_session: Session, _worth: bool) -> None:  # it is a Spend
    pass


def _never(_result: Result) -> bool:
    return False


def outcomes(
    session: Session,
    operation: op.Operation,
    spend: Spend = _free,
    *,
    after: Ahead = ANYTHING,
    enough: Callable[[Result], bool] = _never,
    seen: Outcome | None = None,
    met: set[Node] | None = None,
) -> Iterator[tuple[Result, Session]]:
    """Every outcome that an operation can have (ORACLE-2, ORACLE-9), with the session that it leaves.

    It goes over every schedule that can make a difference.

    What is in flight may go on before the operation begins.  Where it can go on in one way only, the operation begins
    first; else last, so that the canonical schedule comes first.  ``spend`` is called for every session that is looked
    at; it may raise to end the search.  ``after``: what this operation and those that come may show.  ``enough``: a
    look with this result need not be had later, too.  ``seen``: what is sure to have another outcome may be left out.
    ``met``: what other calls for the same operation have looked at, or will; it is not looked at again, and grows.

    Raises:
        OperationError: the operation makes no sense by any schedule; WouldBlock: it would never end by any.
    """
    return _Walk(operation, spend, after, enough, seen, set() if met is None else met).run(session)


_REMEMBERED = 32
"""How many sessions are remembered after there was a choice: other choices may lead there, too."""


class _Walk:
    """Goes through all schedules of an operation, depth first."""

    def __init__(
        self,
        operation: op.Operation,
        spend: Spend,
        after: Ahead,
        enough: Callable[[Result], bool],
        outcome: Outcome | None,
        met: set[Node],
    ) -> None:
        self._operation = operation
        self._spend = spend
        self._after = after
        self._enough = enough
        self._outcome = outcome
        self._seen = met
        self._stack: list[tuple[Iterator[Node], bool]] = []
        self._alone = 0
        self._error: OperationError | None = None

    def run(self, session: Session) -> Iterator[tuple[Result, Session]]:
        """Every result; what can be done by no schedule is an error."""
        found = False
        self._push(iter([(None, session)]), only=True)
        while self._stack:
            node = self._take()
            if node is not None:
                for result in self._at(node[0], advance_tasks(node[1])):
                    found = True
                    yield result
        if not found and self._error is not None:
            raise self._error

    def _push(self, nodes: Iterator[Node], *, only: bool = False) -> None:
        """What is to be looked at next; ``only``: there is one at most, so that nothing need be kept for others."""
        self._stack.append((nodes, only))

    def _take(self) -> Node | None:
        nodes, only = self._stack[-1]
        if only:
            self._stack.pop()
        node = next(nodes, None)
        if node is None and not only:
            self._stack.pop()
        return node

    def _at(self, key: int | None, session: Session) -> Iterator[tuple[Result, Session]]:
        """The results at a node; what comes next is put onto the stack."""
        worlds, only = next_worlds(key, session, self._operation, self._after, self._outcome)
        if not self._is_new((key, session), only=only):
            return
        following = ((key, Session(world, session.tasks)) for world in worlds)
        if key is not None:
            ended = self._ended(key, session)
            if ended is None:
                self._push(following, only=only)
            else:
                yield from ended
        elif isinstance(self._operation, op.Start):
            self._push(following, only=only)
            for begun in self._begun(session):
                yield Done(), begun[1]
        elif isinstance(self._operation, LOOKS):
            yield from self._looked(session, following, only=only)
        elif only:
            self._push(following, only=True)
            self._push(self._begun(session))
        else:
            self._push(self._begun(session))
            self._push(following)

    def _is_new(self, node: Node, *, only: bool) -> bool:
        """Whether nobody was here before.  Where there is no choice for long, nothing is remembered."""
        self._alone = self._alone + 1 if only else 0
        worth = self._alone <= _REMEMBERED
        if worth and node in self._seen:
            return False
        self._spend(node[1], worth)
        if worth:
            self._seen.add(node)
        return True

    def _ended(self, key: int, session: Session) -> tuple[tuple[Result, Session], ...] | None:
        """How the operation has ended, in none or one way; None: it goes on."""
        session, result = poll(session, key)
        if result is not None:
            return ((result, session),)
        if session.world.flights:
            return None
        if isinstance(self._outcome, Blocked):
            return ((self._outcome, session),)
        try:
            return ((blocked(self._operation), session),)
        except OperationError as error:
            self._error = error
            return ()

    def _begun(self, session: Session) -> Iterator[Node]:
        """The operation begins here, with what it must know of a disk turned out in every way."""
        try:
            for here in _known_enough(session, self._operation, self._outcome):
                yield submit(here, self._operation)
        except OperationError as error:
            self._error = error

    def _looked(self, session: Session, following: Iterator[Node], *, only: bool) -> Iterator[tuple[Result, Session]]:
        for key, begun in self._begun(session):
            results = () if key is None else self._ended(key, begun) or ()
            if not any(self._enough(result) for result, _ in results):
                self._push(following, only=only)
            yield from results


def _known_enough(session: Session, operation: op.Operation, seen: Outcome | None) -> Iterator[Session]:
    """The session in every way in which what the operation must know of a disk can turn out to be what was seen."""
    plain = op.inner(operation)
    if not isinstance(plain, op.Metadata):
        yield session
        return
    for world, _ in metadata(session.world, plain.disk, None if plain is not operation else seen):
        yield Session(world, session.tasks)
