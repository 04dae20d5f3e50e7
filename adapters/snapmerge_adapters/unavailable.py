"""The one error of the adapters: something outside that they need is not there."""

from snapmerge import SnapmergeError

__all__ = ["Unavailable"]


class Unavailable(SnapmergeError):  # it is no mistake of anybody's
    """Something that an adapter needs is not on this machine; the message says what, and what brings it."""
