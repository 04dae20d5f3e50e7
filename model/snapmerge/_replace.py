"""``dataclasses.replace`` for the model's values, which is most of what a transition does, at two thirds of its price.

A value of the model is a frozen dataclass with slots, without ``__post_init__``, whose constructor takes all its fields
by position (``__match_args__``, with those of its bases).  So they can be copied; the constructor need not run.
"""

from typing import TYPE_CHECKING, TypeVar

__all__ = ["replace"]

_Value = TypeVar("_Value")

if TYPE_CHECKING:
    from dataclasses import replace  # under its own name, so that fields and their types are checked
else:

    def replace(value: _Value, /, **changes: object) -> _Value:
        """The value with these fields changed.  Raises AttributeError for a field that it does not have."""
        kind = type(value)
        changed = object.__new__(kind)
        for name in kind.__match_args__:
            object.__setattr__(changed, name, getattr(value, name))
        for name, content in changes.items():
            object.__setattr__(changed, name, content)
        return changed
