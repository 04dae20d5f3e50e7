"""Makes an implementation from options, and gives the options that name it."""

import contextlib
import shlex
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from snapmerge import (
    MAINLINE,
    Capabilities,
    Choices,
    Control,
    Controlled,
    Died,
    Implementation,
    Operation,
    OperationError,
    Outcome,
    Requests,
    Reset,
    Rules,
    Scheduled,
)
from snapmerge_adapters.cli.errors import CommandError
from snapmerge_adapters.cli.schedules import to_schedule
from snapmerge_adapters.cli.show import one_line
from snapmerge_adapters.folders import Folder
from snapmerge_adapters.guest.guest import Guest
from snapmerge_adapters.kernel.devicemapper import DeviceMapper
from snapmerge_adapters.model.file import Files
from snapmerge_adapters.model.memory import Memory
from snapmerge_adapters.protocol.process import Process

__all__ = ["RefusedError", "adapter_name", "check_options", "implementation", "maker", "options_again"]

Make = Callable[[], Implementation]

# Which adapters an option is for.  "command" is the program that follows --.
_FOR: Final = {
    "generation": ("memory", "file", "command"),
    "schedule_seed": ("memory",),
    "schedule": ("memory",),
    "directory": ("file",),
    "kernel": ("guest",),
    "modules": ("guest",),
    "disk": ("devicemapper",),
    "nbd": ("devicemapper",),
    "volatile": ("guest", "devicemapper"),
    "crash_seed": ("guest", "devicemapper"),
    "timeout": ("guest", "devicemapper", "command"),
}
_COMMAND: Final = "command"
_CRASH_SEED: Final = 0


class RefusedError(OperationError):
    """The implementation, not the model, calls an operation invalid."""


class _Outspoken:
    """An implementation whose refusals can be told from the model's."""

    def __init__(self, inner: Implementation) -> None:
        self._inner = inner

    @property
    def capabilities(self) -> Capabilities:
        return self._inner.capabilities

    def apply(self, operation: Operation) -> Outcome:
        try:
            return self._inner.apply(operation)
        except OperationError as error:
            raise RefusedError(one_line(str(error))) from error

    def control(self, control: Control) -> Requests | Died:
        if not isinstance(self._inner, Controlled):
            raise RefusedError("its disks are not under control")
        try:
            return self._inner.control(control)
        except OperationError as error:
            raise RefusedError(one_line(str(error))) from error

    def close(self) -> None:
        self._inner.close()


class _OutspokenScheduled(_Outspoken):
    """The same, of one whose schedule is known."""

    def __init__(self, inner: Scheduled) -> None:
        super().__init__(inner)
        self._scheduled = inner

    @property
    def choices(self) -> Choices:
        return self._scheduled.choices

    def follow(self, schedule: Sequence[Choices] | None) -> None:
        self._scheduled.follow(schedule)


def _outspoken(inner: Implementation) -> Controlled:
    return _OutspokenScheduled(inner) if isinstance(inner, Scheduled) else _Outspoken(inner)


def _flag(dest: str) -> str:
    return "--" + dest.replace("_", "-")


def _given(options: Namespace, dest: str) -> bool:
    value = getattr(options, dest)
    return value is not None and value is not False  # 0 is a number that was given


def adapter_name(options: Namespace) -> str:
    """The adapter that was chosen; "command" for a program."""
    return _COMMAND if options.program else options.adapter or "file"


def check_options(options: Namespace) -> None:
    """Raises CommandError for options that don't go together."""
    if options.program and options.adapter:
        raise CommandError(f"both --adapter {options.adapter} and a command after --; give one of them")
    name = adapter_name(options)
    for dest, adapters in _FOR.items():
        if _given(options, dest) and name not in adapters:
            mine = "a command" if name == _COMMAND else f"--adapter {name}"
            good = " or ".join(f"--adapter {one}" for one in adapters if one != _COMMAND)
            raise CommandError(f"{_flag(dest)} is not for {mine}; it is for {good}")
    if options.schedule is not None and options.schedule_seed is not None:
        raise CommandError("both --schedule and --schedule-seed; give one of them")
    if name == "devicemapper" and not options.disk:
        raise CommandError("--adapter devicemapper needs --disk DEVICE, an unused block device; it is erased")
    if options.directory == "":
        raise CommandError("--directory has no name; without the option a temporary one is used")
    if name == "file" and options.directory and options.command != "serve":
        _check_directory(Path(options.directory))


def _check_directory(directory: Path) -> None:
    if directory.exists() and not directory.is_dir():
        raise CommandError(f"--directory {directory}: not a directory")
    images = sorted(path.name for path in directory.glob("*.img"))
    if images:
        raise CommandError(f"--directory {directory} has disk images already ({images[0]}); name an empty one")


@contextmanager
def maker(options: Namespace, rules: Rules = MAINLINE) -> Iterator[Callable[[], Controlled]]:
    """The function that makes the implementation, which is closed at the end, with its files removed.

    ``rules`` are those of adapters that are the model.
    """
    made: list[Controlled] = []
    with contextlib.ExitStack() as stack:
        make = _maker(options, stack, rules)

        def closing() -> Controlled:
            while made:
                made.pop().close()
            made.append(_outspoken(make()))
            return made[-1]

        try:
            yield closing
        finally:
            while made:
                made.pop().close()


@contextmanager
def implementation(options: Namespace, rules: Rules = MAINLINE) -> Iterator[Controlled]:
    """The one implementation that the options name, closed in the end."""
    with maker(options, rules) as make:
        yield make()


def _maker(options: Namespace, stack: contextlib.ExitStack, rules: Rules) -> Make:
    seconds = 30.0 if options.timeout is None else float(options.timeout)
    cut = _CRASH_SEED if options.crash_seed is None else options.crash_seed
    match adapter_name(options):
        case "memory":
            return lambda: _memory(options, rules)
        case "file":
            return _file_maker(options, stack, rules)
        case "guest":
            kernel, modules, volatile = options.kernel, options.modules, options.volatile
            return lambda: Guest(kernel=kernel, modules=modules, volatile=volatile, seed=cut, timeout=seconds)
        case "devicemapper":
            nbd = options.nbd or ()
            return lambda: DeviceMapper(options.disk, nbd=nbd, volatile=options.volatile, hang=seconds, seed=cut)
        case _:
            return lambda: Process(options.program, timeout=seconds)


def _memory(options: Namespace, rules: Rules) -> Memory:
    memory = Memory(seed=options.schedule_seed, rules=rules)
    if options.schedule is not None:
        memory.follow(to_schedule(options.schedule))
        memory.apply(Reset())
    return memory


def _file_maker(options: Namespace, stack: contextlib.ExitStack, rules: Rules) -> Make:
    if options.directory:
        return lambda: Files(Path(options.directory), rules=rules)
    directory = stack.enter_context(Folder())
    return lambda: Files(directory.path, keep=False, rules=rules)


def options_again(options: Namespace, *, schedule: str | None = None) -> str:
    """The options that name the same implementation, as one would type them; with another schedule, if one is given."""
    if schedule is not None:
        options = Namespace(**{**vars(options), "schedule_seed": None, "schedule": schedule or None})
    words: list[str] = []
    if not options.program:
        words += ["--adapter", adapter_name(options)]
    for dest in _FOR:
        value = getattr(options, dest)
        if dest == "crash_seed" and options.volatile and value is None:
            value = _CRASH_SEED  # always said, as the power cuts of a replay depend on it
        elif dest == "directory" or not _given(options, dest):
            continue
        for one in value if isinstance(value, list) else [value]:
            words += [_flag(dest)] if one is True else [_flag(dest), str(one)]
    if options.program:
        words += ["--", *options.program]
    return shlex.join(words)
