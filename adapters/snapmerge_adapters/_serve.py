"""Serves an implementation to whoever speaks the protocol on two streams."""

import traceback
from typing import BinaryIO

from snapmerge import Died, Implementation, OperationError, TraceError, parse_operation, print_outcome

from ._protocol import Decoder, Message, ProtocolError, encode, hello

__all__ = ["serve"]


def serve(implementation: Implementation, stdin: BinaryIO, stdout: BinaryIO) -> None:
    """Answers requests until the input ends or asks to close, or the implementation dies; does not close it.

    A line that is no message is answered as illegal.
    """
    _say(stdout, hello(implementation.capabilities))
    decoder = Decoder()
    while line := stdin.readline():
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


def _say(stdout: BinaryIO, message: Message) -> None:
    stdout.write(encode(message))
    stdout.flush()


def _reply(implementation: Implementation, request: Message) -> Message:
    line = request.get("do")
    if not isinstance(line, str):
        return {"illegal": 'a request is {"do": "OPERATION"} or {"close": true}'}
    try:
        outcome = implementation.apply(parse_operation(line))
    except (OperationError, TraceError) as error:
        return {"illegal": str(error)}
    except Exception:  # noqa: BLE001  # whatever it is, the other side shall know
        return {"died": traceback.format_exc()}
    return {"died": outcome.text} if isinstance(outcome, Died) else {"saw": print_outcome(outcome)}
