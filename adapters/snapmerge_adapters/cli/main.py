"""The command ``snapmerge``: parses the arguments, runs the subcommand, and turns its end into an exit code."""

import contextlib
import io
import json
import signal
import sys
import threading
import traceback
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Final, NoReturn

from snapmerge import SnapmergeError
from snapmerge_adapters.cleanup import ENDING
from snapmerge_adapters.cli.adapters import check_options, implementation
from snapmerge_adapters.cli.check import run_check
from snapmerge_adapters.cli.errors import AGREES, DIVERGED, INTERRUPTED, UNABLE, CommandError
from snapmerge_adapters.cli.explore import run_explore
from snapmerge_adapters.cli.findings import finding_ids, run_findings
from snapmerge_adapters.cli.generation import rules_of
from snapmerge_adapters.cli.judge import run_judge, run_replay
from snapmerge_adapters.cli.kernels import run_kernels
from snapmerge_adapters.cli.parser import BadArguments, make_parser
from snapmerge_adapters.cli.recipe import run_recipe
from snapmerge_adapters.cli.show import complain, one_line
from snapmerge_adapters.cli.streams import flush_output, forget, stand_in
from snapmerge_adapters.cli.traces import read_trace
from snapmerge_adapters.protocol.serve import serve
from snapmerge_adapters.script.script import shell_script

__all__ = ["COMMANDS", "main"]

Commands = Mapping[str, Callable[[Namespace], int]]

_PIPE_CLOSED: Final = 128 + signal.SIGPIPE


def main(argv: Sequence[str] | None = None, commands: Commands | None = None) -> int:
    """Runs the command; ``argv`` without the program's name.  The exit codes are those that ``--help`` lists.

    ``commands``: functions to run in place of those of ``COMMANDS``.
    """
    if not stand_in():
        complain("standard output is closed")
        return UNABLE
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        options = _parse(words)
    except BadArguments as end:
        _say_in_json(words, end.text)
        return _arrived(UNABLE)
    except SystemExit as end:
        return _arrived(end.code if isinstance(end.code, int) else UNABLE)
    except OSError as error:
        return _not_printed(error)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file's name need not be text in this locale
            stream.reconfigure(errors="backslashreplace")
    with _signals():
        return _arrived(_guarded(options, {**COMMANDS, **(commands or {})}[options.command]))


def _say_in_json(words: list[str], text: str) -> None:
    """Arguments that can't be parsed may still ask for an object."""
    mine = words[: words.index("--")] if "--" in words else words
    if any(len(word) > len("--") and "--json".startswith(word) for word in mine):
        command = next((word for word in mine if word in COMMANDS), None)
        with contextlib.suppress(OSError):
            print(json.dumps({"command": command, "error": text}))


def _arrived(code: int) -> int:
    """The exit code; 2 instead when the output could not be written, as it is then incomplete."""
    try:
        flush_output()
    except OSError as error:
        return _not_printed(error) if code in (AGREES, DIVERGED) else code
    return code


def _not_printed(error: OSError) -> int:
    forget(sys.stdout)
    if isinstance(error, BrokenPipeError):
        return _PIPE_CLOSED
    complain(f"standard output: {error.strerror}")
    return UNABLE


def _parse(argv: list[str]) -> Namespace:
    """``--`` is taken out here: argparse treats what follows in ways that change from version to version."""
    words, program = (argv[: (at := argv.index("--"))], argv[at + 1 :]) if "--" in argv else (argv, None)
    parser = make_parser()
    options = parser.parse_args(words)
    options.program = program
    if program is not None and options.command not in ("check", "explore", "replay", "recipe"):
        parser.error(f"{options.command} takes no command after --; check, explore, replay and recipe do")
    if program == []:
        parser.error("after -- there is no command")
    return options


class _Terminated(KeyboardInterrupt):
    """SIGTERM and its like.  No SystemExit, since Hypothesis takes that for a failure of what it tests."""


def _guarded(options: Namespace, run: Callable[[Namespace], int]) -> int:
    try:
        return run(options)
    except _Terminated as end:
        complain(f"ended by {signal.Signals(end.args[0]).name}")
        return 128 + int(end.args[0])
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED
    except BrokenPipeError as error:
        return _not_printed(error)
    except SnapmergeError as error:
        return _failed(options, error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(options, CommandError(f"{where}{error.strerror or error}"))
    except MemoryError:
        return _failed(options, CommandError("there is not enough memory for this"))
    except Exception:  # noqa: BLE001  # 1, which is what Python would end with, means a divergence
        with contextlib.suppress(OSError):
            traceback.print_exc()
        complain("this is a defect of snapmerge itself; nothing is said about the implementation")
        return UNABLE


def _failed(options: Namespace, error: SnapmergeError) -> int:
    text = str(error) or type(error).__name__
    complain(text if isinstance(error, CommandError) else one_line(text))
    if getattr(options, "json", False):
        with contextlib.suppress(OSError):  # perhaps this is the error
            print(json.dumps({"command": options.command, "error": text}))
    return UNABLE


@contextmanager
def _signals() -> Iterator[None]:
    """``ENDING`` ends the command from inside, so that everything it holds is given back."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [number for number in ENDING if signal.getsignal(number) is signal.SIG_DFL]
    for number in numbers:
        signal.signal(number, _end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, signal.SIG_DFL)


def _end(number: int, frame: FrameType | None) -> NoReturn:  # noqa: ARG001  # the signature is Python's
    raise _Terminated(number)


# --- the smaller commands ----------------------------------------------------------------------------------------


def _run_script(options: Namespace) -> int:
    trace = read_trace(options.trace)
    script = shell_script(trace.steps, lines=trace.lines, source=trace.name)
    if script.problems:
        raise CommandError(f"{trace.name}:{script.problems[0]}")
    print(script.text, end="")
    return AGREES


def _run_serve(options: Namespace) -> int:
    check_options(options)
    if sys.stdin is None:
        raise CommandError("standard input is closed; requests are read from there")
    with implementation(options, rules_of(options)) as made:
        serve(made, sys.stdin.buffer, sys.stdout.buffer)
    return AGREES


def _run_completion(options: Namespace) -> int:
    import shtab

    print(shtab.complete(make_parser(finding_ids()), shell=options.shell))
    return AGREES


COMMANDS: Final[Commands] = {
    "check": run_check,
    "explore": run_explore,
    "replay": run_replay,
    "judge": run_judge,
    "script": _run_script,
    "kernels": run_kernels,
    "findings": run_findings,
    "serve": _run_serve,
    "recipe": run_recipe,
    "completion": _run_completion,
}
"""The functions of the commands, by name; each returns the exit code."""
