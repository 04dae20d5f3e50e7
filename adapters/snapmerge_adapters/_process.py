"""An implementation that is another program: anything that speaks the protocol on its standard streams."""

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Final

from snapmerge import Capabilities, Died, Operation, OperationError, Outcome, TraceError, parse_outcome, print_operation

from ._cleanup import close_at_exit
from ._protocol import Decoder, Message, ProtocolError, capabilities_from, encode
from ._unavailable import Unavailable

__all__ = ["Process"]

_CLOSE_SECONDS: Final = 2.0
_LINE_MAX: Final = 1 << 24
_STDERR_KEPT: Final = 64_000


class _GoneError(Exception):
    """The program will not answer any more; the text says why."""


class Process:
    """Implements ``snapmerge.Implementation`` by a program of any language.

    ``timeout`` bounds, in seconds, how long the program may take for one answer, and ``start_timeout`` how long for
    its first line.  What it says before that line, and on its standard error, is kept: it is the last
    word when it dies.  The program is a process group of its own, which ends with ``close``.  ``cpu`` keeps it on
    one processor.

    Raises:
        Unavailable: it can't be run, or does not greet.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        timeout: float = 30.0,
        start_timeout: float = 30.0,
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        cpu: int | None = None,
    ) -> None:
        self._timeout = timeout
        self._name: Final = Path(command[0]).name
        self._out, self._err = b"", b""
        self._decoder = Decoder()
        self._died: Died | None = None
        try:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=None if env is None else dict(env),
                cwd=cwd,
                start_new_session=True,
            )
        except OSError as error:
            raise Unavailable(f"{command[0]} can't be run: {error.strerror}") from None
        close_at_exit(self)
        try:
            if cpu is not None:
                with contextlib.suppress(OSError):
                    os.sched_setaffinity(self._child.pid, {cpu})
            self._listen()
            self._capabilities = self._greeting(time.monotonic() + start_timeout)
        except BaseException:
            self.close()
            raise

    def _listen(self) -> None:
        stdin, stdout, stderr = (stream.fileno() for stream in self._streams())
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        self._poll = select.poll()
        for fd in (stdout, stderr):
            os.set_blocking(fd, False)
            self._poll.register(fd, select.POLLIN)

    def _streams(self) -> list[IO[bytes]]:
        child = self._child
        return [stream for stream in (child.stdin, child.stdout, child.stderr) if stream is not None]

    def _greeting(self, deadline: float) -> Capabilities:
        try:
            while True:
                line = self._line(deadline)
                if line.lstrip().startswith((b'{"snapmerge"', b'{"part"', b'{"last"')):
                    message = self._decoder.feed(line)
                    if message is not None:
                        return capabilities_from(message)
                else:
                    self._err += line
        except (_GoneError, ProtocolError) as error:
            raise Unavailable(f"{self._name} does not start: {error}\n{self._last_words()}".strip()) from None

    @property
    def capabilities(self) -> Capabilities:
        """What the program says it can do."""
        return self._capabilities

    def apply(self, operation: Operation) -> Outcome:
        """Has the program do it.  Raises OperationError when the program says that it makes no sense."""
        if self._died is not None:
            return self._died
        line = print_operation(operation)
        try:
            reply = self._ask({"do": line})
            return self._outcome(reply)
        except (_GoneError, ProtocolError, TraceError) as error:
            return self._die(f"{line}: {error}\n{self._last_words()}".strip())

    def _die(self, text: str) -> Died:
        self._died = Died(text)
        self._kill()
        return self._died

    def _outcome(self, reply: Message) -> Outcome:
        match reply:
            case {"saw": str(text)}:
                return parse_outcome(text)
            case {"illegal": str(reason)}:
                raise OperationError(reason)
            case {"died": str(text)}:
                return self._die(text)
            case _:
                raise ProtocolError(f"not a reply: {dict(reply)!r}"[:300])

    def _ask(self, message: Message) -> Message:
        deadline = time.monotonic() + self._timeout
        try:
            os.write(self._stdin, encode(message))
        except OSError:
            raise _GoneError(self._farewell(deadline)) from None
        while (reply := self._decoder.feed(self._line(deadline))) is None:
            pass
        return reply

    def _line(self, deadline: float) -> bytes:
        """The next line of the program's output."""
        while True:
            # Also of one that never stops talking: complete lines that are no answer run into the deadline, too.
            left = deadline - time.monotonic()
            if left <= 0 and not self._out.endswith(b"\n"):
                raise _GoneError(f"hang: no answer within {self._timeout:g} s")
            if b"\n" in self._out:
                break
            if len(self._out) > _LINE_MAX:
                raise _GoneError(f"it sends a line of more than {_LINE_MAX} bytes")
            for fd, _ in self._poll.poll(max(left, 0) * 1000):
                self._receive(fd, deadline)
        line, _, self._out = self._out.partition(b"\n")
        return line + b"\n"

    def _receive(self, fd: int, deadline: float) -> None:
        data = os.read(fd, 1 << 16)
        if fd == self._stderr:
            self._err = (self._err + data)[-_STDERR_KEPT:]
        else:
            self._out += data
        if not data:
            self._poll.unregister(fd)
            if fd == self._stdout:
                raise _GoneError(self._farewell(deadline))

    def _farewell(self, deadline: float) -> str:
        """How it ended, once it has closed its output."""
        try:
            status = self._child.wait(max(0.1, min(deadline - time.monotonic(), _CLOSE_SECONDS)))
        except subprocess.TimeoutExpired:
            return "it closed its output"
        if status >= 0:
            return f"it ended with status {status}"
        names = {number.value: number.name for number in signal.Signals}  # most of the real-time ones have none
        return f"it was killed by {names.get(-status, f'signal {-status}')}"

    def _last_words(self) -> str:
        """What it said on its standard error, the end of it."""
        with contextlib.suppress(OSError):
            while data := os.read(self._stderr, 1 << 16):
                self._err = (self._err + data)[-_STDERR_KEPT:]
        return "\n".join(self._err.decode(errors="replace").splitlines()[-40:])

    def close(self) -> None:
        """Asks the program to end, and ends its process group.  May be called twice."""
        if self._child.stdin is not None and not self._child.stdin.closed:
            with contextlib.suppress(OSError):
                os.write(self._child.stdin.fileno(), encode({"close": True}))
            self._child.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_CLOSE_SECONDS)
        self._kill()
        for stream in self._streams():
            stream.close()

    def _kill(self) -> None:
        # The group outlives its leader as long as any other process is in it.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._child.pid, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._child.wait(_CLOSE_SECONDS)
