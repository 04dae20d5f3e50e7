"""Serves an implementation: reads requests of the protocol from one stream and answers on another."""

import traceback
from collections.abc import Iterator
from typing import BinaryIO

from snapmerge import (
    Control,
    Controlled,
    Died,
    Implementation,
    OperationError,
    TraceError,
    parse_control,
    parse_operation,
    print_outcome,
    print_requests,
)
from snapmerge_adapters.protocol.messages import MESSAGE_MAX, Decoder, Message, ProtocolError, encode, hello

__all__ = ["say_died", "serve"]


def serve(implementation: Implementation, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answers requests until the input ends or asks to close, or the implementation dies; does not close it.

    A line that is no message, or too long for one, is answered as illegal.
    """
    _say(stdout, hello(implementation.capabilities))
    decoder = Decoder()
    for line in _lines(stdin):
        try:
            request = decoder.feed(line)
        except ProtocolError as error:
            _say(stdout, {"illegal": str(error)})
            continue
        if request is None:
            continue
        if request.get("close"):
            return
        reply = _reply(implementation, request)
        _say(stdout, reply)
        if "died" in reply:
            return


def say_died(stdout: BinaryIO, died: Died) -> None:
    """Sends the answer that the implementation has died, while ``serve`` is stuck in an operation."""
    _say(stdout, {"died": died.text})


def _lines(stdin: BinaryIO) -> Iterator[bytes]:
    """The lines of the input; one that is too long is cut off just beyond the limit."""
    while line := stdin.readline(MESSAGE_MAX + 1):
        yield line
        while len(line) > MESSAGE_MAX and not line.endswith(b"\n"):
            line = stdin.readline(MESSAGE_MAX + 1)


def _say(stdout: BinaryIO, message: Message) -> None:
    stdout.write(encode(message))
    stdout.flush()


def _reply(implementation: Implementation, request: Message) -> Message:
    line = request.get("do")
    if not isinstance(line, str):
        return {"illegal": 'a request is {"do": "OPERATION"} or {"close": true}'}
    try:
        if isinstance(implementation, Controlled) and (control := parse_control(line)) is not None:
            return _reply_of_disks(implementation, control)
        outcome = implementation.apply(parse_operation(line))
    except (OperationError, TraceError) as error:
        return {"illegal": str(error)}
    except Exception:  # noqa: BLE001  # any error is reported to the other side
        return {"died": traceback.format_exc()}
    return {"died": outcome.text} if isinstance(outcome, Died) else {"saw": print_outcome(outcome)}


def _reply_of_disks(implementation: Controlled, control: Control) -> Message:
    seen = implementation.control(control)
    return {"died": seen.text} if isinstance(seen, Died) else {"saw": print_requests(seen)}
