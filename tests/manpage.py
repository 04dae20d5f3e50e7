"""The manual page, from the parser that prints ``--help``: ``python -m tests.manpage > docs/snapmerge.1``.

``argparse-manpage`` was tried: it leaves out the examples and exit codes, and repeats the options of the implementation
with every command.
"""

import argparse
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from snapmerge_adapters.cli.parser import make_parser

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "snapmerge.1"
SHARED = "the implementation"
_CODE = re.compile(r"  (\d+) +(.+)")


def page() -> str:
    """The page's text, for ``man``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return "\n".join(_lines(make_parser(), project["version"], project["description"])) + "\n"


def _lines(parser: argparse.ArgumentParser, version: str, summary: str) -> Iterator[str]:
    yield f'.TH SNAPMERGE 1 "" "snapmerge {version}" "User Commands"'
    yield from (".SH NAME", rf"snapmerge \- {_text(summary)}", ".SH SYNOPSIS", ".nf")
    yield from (f".B {_text(line)}" for line in _synopsis(parser))
    yield from (".fi", ".SH DESCRIPTION", _text(parser.description or ""))
    yield from (".SH OPTIONS", *_actions(parser._actions))
    yield ".SH COMMANDS"
    for command in _commands(parser):
        yield from _command(command)
    yield ".SH THE IMPLEMENTATION"
    yield "Commands that need an implementation have these options."
    yield from _shared(parser)
    yield from (".SH EXIT STATUS", *_codes(parser.epilog or ""))


def _subparsers(parser: argparse.ArgumentParser) -> list[argparse.ArgumentParser]:
    actions = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return [command for action in actions for command in action.choices.values()]


def _commands(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The commands; in place of one that has commands of its own, those."""
    for command in _subparsers(parser):
        yield from _commands(command) if _subparsers(command) else [command]


def _synopsis(parser: argparse.ArgumentParser) -> Iterator[str]:
    yield "snapmerge --help | --version"
    yield from (str(command.usage) for command in _commands(parser))


def _command(command: argparse.ArgumentParser) -> Iterator[str]:
    examples, _, codes = (command.epilog or "").partition("exit codes:\n")
    yield f".SS {_text(command.prog)}"
    yield _text(command.description or "")
    yield from _options(command)
    if any(group.title == SHARED for group in command._action_groups):
        yield from (".PP", "Also the options of THE IMPLEMENTATION.")
    yield from (".PP", "Examples:", ".PP", ".nf", ".RS 4")
    yield from (_text(line.strip()) for line in examples.splitlines()[1:] if line)
    yield from (".RE", ".fi")
    if "recipe" in command.prog:
        yield from (".PP", "Exit codes:", *_codes(codes))


def _options(command: argparse.ArgumentParser) -> Iterator[str]:
    """Its own: neither those that are shared nor --help, which all have."""
    for group in command._action_groups:
        if group.title != SHARED:
            yield from _actions(action for action in group._group_actions if action.dest != "help")


def _shared(parser: argparse.ArgumentParser) -> list[str]:
    """The options that several commands share; a ValueError if they have come to differ."""
    groups = [group for command in _commands(parser) for group in command._action_groups if group.title == SHARED]
    texts = {tuple(_actions(group._group_actions)) for group in groups}
    if len(texts) != 1:
        raise ValueError(f"{len(texts)} different sets of options are called {SHARED}")
    return list(texts.pop())


def _actions(actions: Iterable[argparse.Action]) -> Iterator[str]:
    for action in actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        choices = f"{{{','.join(action.choices)}}}" if action.choices else None
        value = "" if action.nargs == 0 else str(action.metavar or choices or action.dest)
        names = [rf"\fB{_text(name)}\fR" for name in action.option_strings]
        yield ".TP"
        yield ", ".join(names) + (" " if names and value else "") + (rf"\fI{_text(value)}\fR" if value else "")
        yield _text(action.help or "")


def _codes(text: str) -> Iterator[str]:
    for code, meaning in _CODE.findall(text):
        yield from (".TP", f".B {code}", _text(meaning))


def _text(text: str) -> str:
    """The text as roff prints it."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("\n", " ")
    return f"\\&{text}" if text.startswith(".") else text


if __name__ == "__main__":
    print(page(), end="")
