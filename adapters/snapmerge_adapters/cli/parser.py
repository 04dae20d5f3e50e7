"""The command line's grammar: commands, options, their help and their examples."""

import argparse
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Final, NoReturn

from snapmerge import shortened, shown
from snapmerge_adapters.cli.errors import UNABLE
from snapmerge_adapters.cli.generation import DEFAULT, GENERATIONS, choices, examples
from snapmerge_adapters.cli.recipe_options import RECIPE_CODES, RECIPES, recipe_options
from snapmerge_adapters.cli.schedules import schedule_word
from snapmerge_adapters.cli.show import one_line

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

__all__ = ["ADAPTERS", "SHELLS", "BadArguments", "make_parser", "program_version"]

ADAPTERS: Final = ("memory", "file", "guest", "devicemapper")
SHELLS: Final = ("bash", "zsh", "fish")

_FILE: Final = {"bash": "_shtab_compgen_files", "zsh": "_files", "fish": "__fish_complete_path"}
_FOLDER: Final = {"bash": "_shtab_compgen_dirs", "zsh": "_files -/", "fish": "__fish_complete_directories"}

_TRACE_HELP: Final = "a file of trace lines; - is standard input"

_CODES: Final = """\
exit codes:
  0    it agrees with the model (or simply: done); check: but for known findings, unless --strict
  1    it diverged: something was seen that the model does not allow (unless --promises); or (--promises, judge,
       replay) a promise to a user is broken
  2    it could not be run: bad arguments, no kernel, an unreadable trace; or not be decided, or is not
       modelled
  130  interrupted; devices, processes and temporary files are given back all the same"""

_ABOUT: Final = """\
An executable reference model of Linux device-mapper snapshots and of merging them back, held in lockstep against
real implementations: image files, a real kernel, or any program that speaks the protocol."""

_EXAMPLES: Final = {
    "check": """\
  snapmerge check                                    the model over image files
  snapmerge check --adapter guest --runs 1000        a real kernel, as an ordinary process
  snapmerge check --seed 7 -- ./my-implementation    any program that speaks the protocol
  snapmerge check --promises -- ./my-implementation  it need not do what Linux does, but it must not lose data
  snapmerge check --adapter devicemapper --disk /dev/loop0   this machine's kernel; /dev/loop0 is overwritten""",
    "explore": """\
  snapmerge explore                                  the model: every schedule and power cut of every scope
  snapmerge explore --adapter guest                  every schedule on a real kernel, request by request
  snapmerge explore merge overflow -- ./my-implementation
  snapmerge explore my-scope.trace --adapter memory
  snapmerge explore diverged-merge.trace --adapter guest --volatile   plays a schedule that was found""",
    "replay": """\
  snapmerge replay bug.trace --adapter guest
  snapmerge replay bug.trace -- ./my-implementation --verbose
  some-recorder | snapmerge replay -""",
    "judge": """\
  snapmerge judge recorded/*.trace
  some-recorder | snapmerge judge --json -""",
    "script": """\
  snapmerge script bug.trace > bug.sh
  sudo sh bug.sh | snapmerge judge -                 what the script prints is a trace again""",
    "kernels": """\
  snapmerge kernels
  snapmerge kernels --kernel ./linux.uml --modules ./modules""",
    "findings": """\
  snapmerge findings
  snapmerge findings misaligned-discard""",
    "serve": """\
  snapmerge serve --adapter memory
  echo '{"do": "disk base 64"}' | snapmerge serve""",
    "recipe": """\
  snapmerge recipe rollback --adapter guest
  snapmerge recipe backup --rounds 10""",
    "completion": """\
  snapmerge completion bash > ~/.local/share/bash-completion/completions/snapmerge
  snapmerge completion zsh > "${fpath[1]}/_snapmerge"
  snapmerge completion fish > ~/.config/fish/completions/snapmerge.fish""",
}


class BadArguments(SystemExit):  # as argparse would raise
    """The arguments are invalid; the message has been printed and is ``text``."""

    def __init__(self, text: str) -> None:
        super().__init__(UNABLE)
        self.text = text


class _Parser(argparse.ArgumentParser):
    """Says what is wrong in one line, then how to learn more."""

    def error(self, message: str) -> NoReturn:
        text = f"{one_line(shortened(message, 400))}; see {self.prog} --help"
        self._print_message(f"{self.prog}: {text}\n", sys.stderr)
        raise BadArguments(text)

    def _print_message(self, message: str, file: "SupportsWrite[str] | None" = None) -> None:
        """Argparse's own says nothing when help can't be written."""
        if file is sys.stdout:
            file.write(message)
        else:
            super()._print_message(message, file)


def program_version() -> str:
    """The version of the distribution, or "unknown" when it runs from a source tree."""
    try:
        return version("snapmerge")
    except PackageNotFoundError:
        return "unknown"


def make_parser(ids: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser; it leaves ``--`` and what follows to its caller.  ``ids`` of findings are for completion only."""
    parser = _Parser("snapmerge", description=_ABOUT, epilog=_CODES, formatter_class=_Format)
    parser.add_argument("--version", action="version", version=f"snapmerge {program_version()}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, (add, text) in _COMMANDS.items():
        usage = f"snapmerge {name} [OPTION ...]" + _USAGE.get(name, "")
        add(
            commands.add_parser(
                name,
                usage=usage,
                help=text,
                description=f"{text[0].upper()}{text[1:]}.",
                epilog=f"examples:\n{examples(name, _EXAMPLES[name])}\n\n{_CODES}",
                formatter_class=_Format,
            )
        )
    if ids:
        findings = commands.choices["findings"]
        next(action for action in findings._actions if action.dest == "id").choices = ids
    return parser


_Format: Final = argparse.RawDescriptionHelpFormatter
_USAGE: Final = {
    "check": " [-- COMMAND [ARGUMENT ...]]",
    "explore": " [SCOPE|FILE ...] [-- COMMAND [ARGUMENT ...]]",
    "replay": " TRACE [-- COMMAND [ARGUMENT ...]]",
    "judge": " TRACE ...",
    "script": " TRACE",
    "findings": " [ID]",
    "recipe": " {rollback,backup} ... [-- COMMAND [ARGUMENT ...]]",
    "completion": " {bash,zsh,fish}",
}


def _check(parser: argparse.ArgumentParser) -> None:
    option = parser.add_argument
    option("--runs", type=_number(1, 10**9), default=200, metavar="N", help="how many scenarios (default: 200)")
    option("--steps", type=_number(1, 10**5), default=30, metavar="N", help="the longest scenario (default: 30)")
    option(
        "--seed",
        type=_number(0),
        metavar="S",
        help="seed of the scenarios (default: a new one each time; it is printed)",
    )
    save = option("--save", metavar="DIR", help="where the trace of a divergence goes (default: the current directory)")
    _complete(save, _FOLDER)
    option("--strict", action="store_true", help="a known finding that is met ends in exit code 1, too")
    _budget(parser, 5)
    _promises(parser)
    _json(parser)
    _implementation(parser)


def _explore(parser: argparse.ArgumentParser) -> None:
    text = "a scope's name; or a file (- is standard input): a trace to explore, or to play if it has lines of control"
    _complete(parser.add_argument("scopes", nargs="*", metavar="SCOPE|FILE", help=f"{text} (default: all scopes)"))
    option = parser.add_argument
    option("--list", action="store_true", help="list the scopes")
    save = option("--save", metavar="DIR", help="where the trace of a divergence goes (default: the current directory)")
    _complete(save, _FOLDER)
    option("--strict", action="store_true", help="a known finding that is met ends in exit code 1, too")
    _json(parser)
    _implementation(parser)


def _replay(parser: argparse.ArgumentParser) -> None:
    _trace(parser)
    parser.add_argument(
        "--strict", action="store_true", help="what differs from the record has diverged, even if the model allows it"
    )
    _budget(parser, 30)
    _promises(parser)
    _json(parser)
    _implementation(parser)


def _judge(parser: argparse.ArgumentParser) -> None:
    _complete(parser.add_argument("traces", nargs="+", metavar="TRACE", help=_TRACE_HELP))
    _budget(parser, 30)
    _promises(parser)
    _generation(parser.add_argument)
    _json(parser)


def _promises(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--promises",
        action="store_true",
        help="ask whether a user may count on it: a broken promise ends in 1, and is named; what differs from Linux is "
        "said, and ends in 0",
    )


def _script(parser: argparse.ArgumentParser) -> None:
    _trace(parser)


def _kernels(parser: argparse.ArgumentParser) -> None:
    _kernel_options(parser.add_argument)
    _json(parser)


def _findings(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", nargs="?", metavar="ID", help="the one to explain and to play")
    _json(parser)


def _serve(parser: argparse.ArgumentParser) -> None:
    _implementation(parser)


def _recipe(parser: argparse.ArgumentParser) -> None:
    recipes = parser.add_subparsers(dest="recipe", metavar="RECIPE", required=True, prog="snapmerge recipe")
    for name, (text, own) in RECIPES.items():
        one = recipes.add_parser(
            name,
            usage=f"snapmerge recipe {name} [OPTION ...] [-- COMMAND [ARGUMENT ...]]",
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            epilog=f"examples:\n{examples(name, own)}\n\n{RECIPE_CODES}",
            formatter_class=_Format,
        )
        recipe_options(one.add_argument, name, _number)
        _json(one)
        _implementation(one)


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, help="for which shell")


_FOUND: Final = " and ".join(entries.place for entries in GENERATIONS)
_COMMANDS: Final[dict[str, tuple[Callable[[argparse.ArgumentParser], None], str]]] = {
    "check": (_check, "hold an implementation against the model in many random scenarios"),
    "explore": (_explore, "take the model, or an implementation under control, through every schedule of small scopes"),
    "replay": (_replay, "play a trace on an implementation; compare with the model and with the record"),
    "judge": (_judge, "say whether the model allows every outcome that these traces have recorded"),
    "script": (_script, "print the trace as a shell script of dmsetup and dd, to run as root on a real machine"),
    "kernels": (_kernels, "list the real kernels that can be used here, with their targets' versions"),
    "findings": (_findings, f"list what was found {_FOUND}, or explain one and play it"),
    "serve": (_serve, "be an implementation for another process: the protocol on standard input and output"),
    "recipe": (_recipe, "do one of the two things that snapshot-merge was proposed for, and see whether it is right"),
    "completion": (_completion, "print a completion script for a shell"),
}


# --- what several commands share ---------------------------------------------------------------------------------


def _implementation(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the implementation")
    option = group.add_argument
    option("--adapter", choices=ADAPTERS, help="which one (default: file, unless a COMMAND follows --)")
    _generation(option)
    option("--schedule-seed", type=_number(0), metavar="N", help="memory: draw the schedules from this seed")
    but = "memory: the canonical schedule but for these choices, as check prints them: OPERATION:CHOICE=CHOSEN,..."
    option("--schedule", type=schedule_word, metavar="CHOICES", help=but)
    folder = option("--directory", metavar="DIR", help="file: keep the images here (default: a temporary directory)")
    _complete(folder, _FOLDER)
    _kernel_options(option)
    disk = option("--disk", metavar="DEVICE", help="devicemapper: the block device for all disks; IT IS OVERWRITTEN")
    _complete(disk)
    option("--nbd", action="append", metavar="DEVICE", help="devicemapper: a free nbd device, for faults; repeatable")
    option("--volatile", action="store_true", help="guest, devicemapper: volatile caches, for power cuts (slower)")
    cut = "guest, devicemapper: draw what a power cut keeps from this seed (default: 0)"
    option("--crash-seed", type=_number(0), metavar="N", help=cut)
    option("--timeout", type=_number(1, 10**6), metavar="SECONDS", help="how long one operation may take")


def _budget(parser: argparse.ArgumentParser, seconds: int) -> None:
    parser.add_argument(
        "--budget",
        type=_number(1, 10**6),
        default=seconds,
        metavar="SECONDS",
        help=f"how long the model may search for an explanation of one operation before it is undecided "
        f"(default: {seconds}); memory is bounded, too",
    )


def _generation(option: Callable[..., argparse.Action]) -> None:
    named = [f"{one.about} ({one.name}{', the default' * (one.name == DEFAULT)})" for one in choices()]
    which = ", ".join(named[:-1]) + ", or " * (len(named) > 1) + named[-1]
    option(
        "--generation",
        choices=[one.name for one in choices()],
        help=f"which snapshot-merge, the implementation's and the one that it is judged by: {which}; memory and file "
        "have all of them",
    )


def _kernel_options(option: Callable[..., argparse.Action]) -> None:
    _complete(option("--kernel", metavar="PATH", help="guest: the user-mode Linux (default: linux.uml on PATH)"))
    _complete(option("--modules", metavar="DIR", help="guest: the kernel's modules (default: beside it)"), _FOLDER)


def _trace(parser: argparse.ArgumentParser) -> None:
    _complete(parser.add_argument("trace", metavar="TRACE", help=_TRACE_HELP))


def _json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output, and nothing else")


def _complete(action: argparse.Action, how: dict[str, str] = _FILE) -> None:
    """Tells shtab what a value completes to."""
    action.complete = how  # type: ignore[attr-defined]


def _number(least: int, most: int = 2**64 - 1) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not least <= int(text[:30]) <= most:
            raise argparse.ArgumentTypeError(f"not a number from {least} to {most}: {shown(text)}")
        return int(text)

    return convert
