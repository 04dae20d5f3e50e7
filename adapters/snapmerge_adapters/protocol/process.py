"""An implementation that is another program: anything that speaks the protocol on its standard streams."""

import contextlib
import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Self, TypeVar

from snapmerge import (
    Capabilities,
    Control,
    Died,
    Operation,
    OperationError,
    Outcome,
    Requests,
    Reset,
    TraceError,
    parse_outcome,
    parse_requests,
    print_control,
    print_operation,
)
from snapmerge_adapters.cleanup import close_at_exit
from snapmerge_adapters.protocol.messages import (
    MESSAGE_MAX,
    Decoder,
    Message,
    ProtocolError,
    answer_from,
    capabilities_from,
    encode,
)
from snapmerge_adapters.texts import cut, last_words
from snapmerge_adapters.unavailable import Unavailable

__all__ = ["Process"]

T = TypeVar("T")

_CLOSE_SECONDS: Final = 2.0
_KILL_SECONDS: Final = 6.0  # the supervisor takes five at most
_READ: Final = 1 << 16
_STDERR_KEPT: Final = 64_000
_LINE_QUOTED: Final = 200
_DRAIN: Final = 64  # reads, of what a pipe can hold
_GREETING: Final = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{(?:.*"snapmerge"|\s*"(?:part|last)")')
_SUPERVISOR: Final = Path(__file__).with_name("supervise.py")


class _GoneError(Exception):
    """The program can't answer any more; the text says why."""


class Process:
    """Implements ``snapmerge.Implementation`` by a program of any language.

    ``timeout`` bounds, in seconds, how long the program may take for one answer, and ``start_timeout`` how long for
    its first line.  What it says before that line, and on its standard error, is kept: the end of it is the last
    word when it dies.  It runs below a supervisor (``supervise.py``): with ``close``, with its own end, and with the
    end of this process, all processes end that it has started.  ``cpu`` keeps it on one processor.
    ``name`` is what messages call it, by default the name of the command's file.

    When it has died or was closed, a ``reset`` starts the program anew, if the program has that operation.
    ``with Process(...) as program:`` closes it at the end of the block.

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
        name: str | None = None,
    ) -> None:
        self._timeout, self._start_timeout = timeout, start_timeout
        self._command: Sequence[str] = command
        self._env, self._cwd = env, cwd
        self._cpu = "-" if cpu is None else str(cpu)
        self._name: Final = cut(name or Path(command[0]).name)
        self._begin()
        close_at_exit(self)

    def _begin(self) -> None:
        """Starts the program and hears its greeting.  Raises Unavailable."""
        self._out, self._err = bytearray(), b""
        self._seen = 0
        self._decoder = Decoder()
        self._died: Died | None = None
        self._control = -1
        try:
            self._child = self._start()
        except OSError as error:
            raise Unavailable(f"{cut(self._command[0])} can't be run: {error.strerror}") from None
        self._closed = False
        try:
            self._listen()
            self._capabilities = self._greeting(time.monotonic() + self._start_timeout)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_raised: object) -> None:
        self.close()

    def _start(self) -> subprocess.Popen[bytes]:
        """Starts the supervisor, which starts the program.  Raises OSError."""
        control, self._control = os.pipe()
        status, told = os.pipe()
        child, problem = None, ""
        try:
            child = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_SUPERVISOR), str(control), str(told), self._cpu, *self._command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=None if self._env is None else dict(self._env),
                cwd=self._cwd,
                start_new_session=True,
                pass_fds=(control, told),
            )
            os.close(told)
            told = -1
            problem = os.read(status, 16).decode()
        finally:
            for fd in (control, status, *([told] if told >= 0 else [])):
                os.close(fd)
            if child is None or problem:
                os.close(self._control)
        if problem:
            with child:
                child.communicate()
            raise OSError(int(problem), os.strerror(int(problem)))
        return child

    def _listen(self) -> None:
        stdin, stdout, stderr = (stream.fileno() for stream in self._streams())
        self._stdin, self._stdout, self._stderr = stdin, stdout, stderr
        self._poll = select.poll()
        for fd in (stdin, stdout, stderr):
            os.set_blocking(fd, False)
        for fd in (stdout, stderr):
            self._poll.register(fd, select.POLLIN)

    def _streams(self) -> list[IO[bytes]]:
        child = self._child
        return [stream for stream in (child.stdin, child.stdout, child.stderr) if stream is not None]

    def _greeting(self, deadline: float) -> Capabilities:
        try:
            while True:
                line = self._line(deadline)
                if _GREETING.match(line):
                    message = self._decoder.feed(line)
                    if message is not None:
                        return capabilities_from(message)
                else:
                    self._hear(line)
                self._check(deadline)
        except (_GoneError, ProtocolError) as error:
            self._kill()
            raise Unavailable(f"{self._name} does not start: {error}\n{self._last_words()}".strip()) from None

    @property
    def capabilities(self) -> Capabilities:
        """What the program says it can do."""
        return self._capabilities

    def apply(self, operation: Operation) -> Outcome:
        """Sends the operation to the program.

        Raises:
            OperationError: the program calls the operation invalid.
            Unavailable: it was closed, and this is no ``reset``; or it can't be started anew.
        """
        if isinstance(operation, Reset) and "reset" in self._capabilities.operations:
            self._revive()
        return self._do(print_operation(operation), parse_outcome)

    def control(self, control: Control) -> Requests | Died:
        """Tells the program about its disks.  Raises as ``apply`` does."""
        if "controlled" not in self._capabilities.features:
            raise OperationError(f"{self._name} has no disks under control")
        return self._do(print_control(control), parse_requests)

    def _do(self, line: str, parse: Callable[[str], T]) -> T | Died:
        if self._closed:
            raise Unavailable(f"{self._name} was closed: {self._how_to_begin()}")
        if self._died is not None:
            return self._died
        try:
            return self._answer(self._ask({"do": line}), parse)
        except (_GoneError, ProtocolError, TraceError) as error:
            self._kill()  # first: the last words of a program that never stops writing could not be read
            return self._die(f"{cut(line, _LINE_QUOTED)}: {cut(str(error))}\n{self._last_words()}")

    def _revive(self) -> None:
        if self._died is not None or self._closed:
            self.close()
            self._begin()

    def _how_to_begin(self) -> str:
        """What would start the program anew."""
        return "reset starts it anew" if "reset" in self._capabilities.operations else "make another Process"

    def _die(self, text: str) -> Died:
        self._kill()
        self._died = Died(last_words(text))
        return self._died

    def _answer(self, reply: Message, parse: Callable[[str], T]) -> T | Died:
        match answer_from(reply):
            case "saw", text:
                return parse(text)
            case "illegal", reason:
                raise OperationError(cut(reason))
            case _, text:
                return self._die(text)

    def _ask(self, message: Message) -> Message:
        deadline = time.monotonic() + self._timeout
        self._check_silence()
        self._write(encode(message), deadline)
        while (reply := self._decoder.feed(self._line(deadline))) is None:
            self._check(deadline)
        return reply

    def _check(self, deadline: float) -> None:
        if time.monotonic() >= deadline:
            raise _GoneError(f"hang: no answer within {self._timeout:g} s")

    def _check_silence(self) -> None:
        """Refuses a surplus answer, which would be taken for the answer to the next request."""
        for fd, _ in self._poll.poll(0):
            if fd == self._stderr or not self._out:
                self._receive(fd)
        if self._out:
            raise ProtocolError(f"it has said more than its answer: {bytes(self._out[:100])!r}")

    def _write(self, data: bytes, deadline: float) -> None:
        """Sends a request, and reads meanwhile: the program may stop reading until its output is read."""
        self._poll.register(self._stdin, select.POLLOUT)
        try:
            while data:
                self._check(deadline)
                for fd, _ in self._poll.poll((deadline - time.monotonic()) * 1000):
                    if fd == self._stdin:
                        data = data[os.write(fd, data) :]
                    else:
                        self._receive(fd)
        except (BrokenPipeError, ConnectionResetError):
            raise _GoneError(self._farewell(deadline)) from None
        finally:
            self._poll.unregister(self._stdin)

    def _line(self, deadline: float) -> bytes:
        """The next line of the program's output."""
        while (end := self._out.find(b"\n", self._seen)) < 0:
            self._seen = len(self._out)
            self._check(deadline)
            for fd, _ in self._poll.poll((deadline - time.monotonic()) * 1000):
                self._receive(fd)
        self._seen = 0
        line = bytes(self._out[: end + 1])
        del self._out[: end + 1]
        return line

    def _receive(self, fd: int) -> None:
        data = os.read(fd, _READ)
        if fd == self._stderr:
            self._hear(data)
        else:
            self._out += data
            if len(self._out) > MESSAGE_MAX:
                raise _GoneError(f"it sends a line of more than {MESSAGE_MAX} bytes")
        if not data:
            self._poll.unregister(fd)
            if fd == self._stdout:
                raise _GoneError(self._farewell(time.monotonic() + _CLOSE_SECONDS))

    def _hear(self, data: bytes) -> None:
        self._err = (self._err + data)[-_STDERR_KEPT:]

    def _farewell(self, deadline: float) -> str:
        """How the program ended, after it has closed its output."""
        try:
            status = self._child.wait(max(0.1, min(deadline - time.monotonic(), _CLOSE_SECONDS)))
        except subprocess.TimeoutExpired:
            return "it closed its output"
        if status >= 0:
            return f"it ended with status {status}"
        names = {number.value: number.name for number in signal.Signals}  # most of the real-time ones have none
        return f"it was killed by {names.get(-status, f'signal {-status}')}"

    def _last_words(self) -> str:
        """The end of what the program has written to its standard error."""
        with contextlib.suppress(OSError):
            for _ in range(_DRAIN):
                self._hear(os.read(self._stderr, _READ))
        return last_words("\n".join(self._err.decode(errors="replace").splitlines()[-40:]))

    def close(self) -> None:
        """Asks the program to end, and ends all its processes.  May be called twice."""
        self._closed = True
        stdin = self._child.stdin
        if stdin is not None and not stdin.closed:
            with contextlib.suppress(OSError):
                os.write(stdin.fileno(), encode({"close": True}))
            stdin.close()
            if self._died is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._child.wait(_CLOSE_SECONDS)
        self._kill()
        for stream in self._streams():
            stream.close()

    def _kill(self) -> None:
        if self._control >= 0:
            os.close(self._control)  # the supervisor ends them all
            self._control = -1
        try:
            self._child.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._child.wait(_CLOSE_SECONDS)
