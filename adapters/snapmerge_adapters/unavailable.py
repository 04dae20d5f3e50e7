"""The error of the adapters: something that they need is missing on this machine."""

from snapmerge import SnapmergeError

__all__ = ["Unavailable"]


class Unavailable(SnapmergeError):  # neither the user nor a program has made a mistake
    """Something that an adapter needs is missing; the message says what, and how to get it."""
