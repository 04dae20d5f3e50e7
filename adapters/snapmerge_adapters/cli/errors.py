"""How a command ends: the exit codes, and the errors that become one line on standard error."""

from typing import Final

from snapmerge import SnapmergeError

__all__ = ["AGREES", "DIVERGED", "INTERRUPTED", "UNABLE", "CommandError"]

AGREES: Final = 0
"""What was asked for has been done, and nothing left the model."""

DIVERGED: Final = 1
"""The implementation, or a trace, does what the model doesn't allow."""

UNABLE: Final = 2
"""It could not be run, or could not be decided."""

INTERRUPTED: Final = 130
"""Ctrl-C; everything has been given back."""


class CommandError(SnapmergeError):
    """What the user asked for can't be done; the message says what, where, and what would be right."""
