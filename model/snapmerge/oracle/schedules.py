"""Every schedule of an operation, except those that lead to the same outcomes as another (WORLD-14).

``reductions`` has the moves from a session, and its own reductions.  One reduction is made here: ``status``, ``table``
and ``events`` change nothing, so once one of them has the observed result (``enough``), no schedule is tried in which
more effects end before it.
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
"""Called for every session that is visited, with whether it is remembered; may raise to end the search."""

LOOKS = (op.Status, op.Table, op.Events)
"""Operations that end at once and change nothing."""


def _free(_session: Session, _remembered: bool) -> None:
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
    """Yields every outcome that an operation can have (ORACLE-2, ORACLE-9), with the session after it.

    Effects in flight may end before the operation begins.  The canonical schedule comes first; schedules that lead to
    the same outcomes as another are left out (WORLD-14).

    Args:
        session: the session before the operation.
        operation: the operation.
        spend: called for every session that is visited; may raise to end the search.
        after: what this operation and the following ones can show.
        enough: whether a result of ``status``, ``table`` or ``events`` need not be looked for in later sessions.
        seen: the observed outcome; schedules that can't lead to it may be left out.
        met: the nodes visited by other calls for the same operation, which are not visited again; grows.

    Raises:
        OperationError: the operation is invalid by every schedule; WouldBlock: it would never end by any.
    """
    return _Walk(operation, spend, after, enough, seen, set() if met is None else met).run(session)


_REMEMBERED = 32
"""The number of sessions remembered after a choice; other choices may lead to one of them."""


class _Walk:
    """A depth-first walk over the schedules of an operation."""

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
        """Yields every result.  Raises OperationError if every schedule makes the operation invalid, or block."""
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
        """Adds nodes to visit next; ``only``: there is at most one, so the iterator is dropped after it."""
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
        """Yields the results at a node, and puts the following nodes onto the stack."""
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
        """Whether the node was not visited before.  Long chains without a choice are not remembered."""
        self._alone = self._alone + 1 if only else 0
        remembered = self._alone <= _REMEMBERED
        if remembered and node in self._seen:
            return False
        self._spend(node[1], remembered)
        if remembered:
            self._seen.add(node)
        return True

    def _ended(self, key: int, session: Session) -> tuple[tuple[Result, Session], ...] | None:
        """The result of the operation and the session after it; empty: an error; None: it is under way."""
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
        """The nodes after the operation has begun, one for each way to decide the unknown sectors that it reads."""
        try:
            for resolved in _resolved(session, self._operation, self._outcome):
                yield submit(resolved, self._operation)
        except OperationError as error:
            self._error = error

    def _looked(self, session: Session, following: Iterator[Node], *, only: bool) -> Iterator[tuple[Result, Session]]:
        for key, begun in self._begun(session):
            results = () if key is None else self._ended(key, begun) or ()
            if not any(self._enough(result) for result, _ in results):
                self._push(following, only=only)
            yield from results


def _resolved(session: Session, operation: op.Operation, seen: Outcome | None) -> Iterator[Session]:
    """The session, once for each store that ``metadata`` may read and that agrees with the observed outcome."""
    plain = op.inner(operation)
    if not isinstance(plain, op.Metadata):
        yield session
        return
    for world, _ in metadata(session.world, plain.disk, None if plain is not operation else seen):
        yield Session(world, session.tasks)
