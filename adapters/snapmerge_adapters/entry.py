"""The entry point of ``snapmerge``: small, so that a failure while the rest is imported has a proper exit code.

Python ends with 1 when an error reaches its end, and 1 is the exit code of a divergence.  So none gets that far: a
working directory that is gone, too few file descriptors and a missing package are one line and 2, Ctrl-C is 130.
"""

import os
import sys

TYPE_CHECKING = False  # what the module typing says, without the time that it takes to import
if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["main"]

_UNABLE = 2  # as in cli.errors, which may be the module that can't be imported


def main() -> int:
    """Runs the command, and gives its exit code; nothing is raised."""
    try:
        run = _imported()
        return _UNABLE if run is None else run()
    except KeyboardInterrupt as end:
        import signal

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is ending; another one would end it in the middle of a line
        number = signal.Signals(end.args[0] if end.args else signal.SIGINT)
        _say("interrupted" if number == signal.SIGINT else f"ended by {number.name}")
        return 128 + number
    except Exception as error:  # noqa: BLE001  # cli.main handles all that are expected
        _say(f"{type(error).__name__}: {error}; this is a defect of snapmerge itself")
        return _UNABLE


def _imported() -> "Callable[[], int] | None":
    """The command; None, after a message, when it can't be imported."""
    try:
        os.getcwd()  # relative names would lead nowhere
    except OSError as error:
        _say(f"can't start: the working directory: {error.strerror}; change to one that is there")
        return None
    try:
        from snapmerge_adapters.cli.main import main as run
    except MemoryError:
        _say("can't start: there is not enough memory")
    except ImportError as error:
        _say(f"can't start: {error}")
    except OSError as error:
        _say(f"can't start: {error.filename}: {error.strerror}" if error.filename else f"can't start: {error}")
    else:
        return run
    return None


def _say(text: str) -> None:
    try:
        if sys.stderr is not None:
            print(f"snapmerge: {text}", file=sys.stderr, flush=True)
    except OSError:
        sys.stderr = None  # else Python tries again at its end
