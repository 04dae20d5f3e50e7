"""The errors; the class says which side is at fault.

    SnapmergeError
    ├── OperationError      the operation is invalid now: an unknown name, a bad range
    │   ├── WouldBlock      it is valid, but would never end; begin it with ``start``
    │   └── NotModelled     the outcome concerns something that the model does not have
    ├── EventError          the driver of the machine sent an event that can't happen now
    ├── TraceError          a trace line is not in the grammar
    └── MachineError        the machine broke its own rules: a defect of snapmerge

A mistake of an *implementation* is never an exception: it is a ``Divergence``, a value.
"""

__all__ = ["EventError", "MachineError", "NotModelled", "OperationError", "SnapmergeError", "TraceError", "WouldBlock"]


class SnapmergeError(Exception):
    """The base of all errors of this package; never raised itself."""


class OperationError(SnapmergeError):
    """The operation is invalid now.  Nothing has changed."""


class WouldBlock(OperationError):
    """The operation would not end by itself; begun with ``start`` it can wait.  Nothing has changed."""


class NotModelled(OperationError):
    """The outcome concerns something that the model does not have, so that it can't be judged.

    Attributes: ``target`` the target that is not modelled; None: it is something else.
    """

    def __init__(self, reason: str, target: str | None = None) -> None:
        self.target = target
        super().__init__(reason)


class EventError(SnapmergeError):
    """The driver of the machine sent an event that can't happen now.  Nothing has changed."""


class MachineError(SnapmergeError):
    """The machine broke one of its own rules."""


class TraceError(SnapmergeError):
    """A line is not in the grammar of traces.

    Attributes: ``line`` the line's number from 1 on (0: unknown), ``column`` from 1 on (0: the whole line), ``reason``.
    """

    def __init__(self, reason: str, *, line: int = 0, column: int = 0) -> None:
        self.reason, self.line, self.column = reason, line, column
        super().__init__(f"line {line}: {reason}" if line and not reason.startswith(f"line {line} ") else reason)
