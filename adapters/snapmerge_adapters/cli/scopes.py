"""What ``explore`` is asked for: scopes by their names, traces as scopes, and controlled traces to be replayed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from snapmerge import ControlStep, OperationError
from snapmerge_adapters.cli.errors import CommandError
from snapmerge_adapters.cli.traces import ControlledTrace, read_controlled_trace
from snapmerge_specs import SCRIPTS, Scope, Script, scope_of

__all__ = ["SCOPES", "check_scope", "chosen", "word_of"]


def word_of(script: Script) -> str:
    """A script's name as a word: ``merge-beside-a-snapshot``."""
    return script.name.replace(",", "").replace(" ", "-")


SCOPES: Final = {word_of(script): script for script in SCRIPTS}
"""The scopes, by their words."""


def chosen(words: Sequence[str]) -> list[Script | ControlledTrace]:
    """What the words name; without any, every scope.  Raises CommandError."""
    return [_chosen(word) for word in words] if words else list(SCRIPTS)


def _chosen(word: str) -> Script | ControlledTrace:
    script = SCOPES.get(word.replace(",", "").replace(" ", "-"))
    if script is not None:
        return script
    if word != "-" and not Path(word).exists():
        raise CommandError(f"there is no scope and no file of this name: {word}; scopes: {', '.join(SCOPES)}")
    trace = read_controlled_trace(word)
    if any(isinstance(step, ControlStep) for step in trace.steps):
        return trace
    return Script(trace.name, tuple(step.operation for step in trace.steps if not isinstance(step, ControlStep)))


def check_scope(script: Script) -> Scope:
    """The scope of a script, in which there is something to explore.  Raises CommandError."""
    try:
        scope = scope_of(script)
    except OperationError as error:
        raise CommandError(f"{script.name}: no scope: {error}") from None
    if not scope.explored:
        raise CommandError(
            f"{script.name}: there is one schedule only: nothing is begun with start, and nothing is left under way"
        )
    return scope
