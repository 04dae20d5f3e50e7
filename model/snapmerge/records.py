"""Records: the frozen, hashable values of which the model is made.

To a type checker ``dataclass`` and ``replace`` here are those of the standard library, so fields and their types are
checked.  At run time a class becomes a ``msgspec.Struct``, whose construction, comparison, hash and copy are written in
C: most of the model's time goes into making and comparing values.  A record's hash is computed once.
"""

from typing import TYPE_CHECKING

__all__ = ["dataclass", "replace"]

if TYPE_CHECKING:
    from dataclasses import dataclass, replace
else:
    from collections.abc import Callable
    from inspect import get_annotations

    from msgspec import Struct, defstruct
    from msgspec.structs import replace

    _NOT_CARRIED_OVER = ("__dict__", "__weakref__", "__annotations__", "__module__", "__qualname__", "__doc__")

    def dataclass(**_frozen_and_slotted: bool) -> Callable[[type], type]:
        """The decorator that makes a class a record: its annotated names are the fields, in their order."""
        return _record

    def _record(cls: type) -> type:
        if issubclass(cls, Struct):  # derived from a record, it is one
            return cls
        annotations = get_annotations(cls)
        given = vars(cls)
        fields = [(name, kind, given[name]) if name in given else (name, kind) for name, kind in annotations.items()]
        kept = {name: it for name, it in given.items() if name not in annotations and name not in _NOT_CARRIED_OVER}
        made = defstruct(
            cls.__name__, fields, bases=(Struct,), namespace=kept, module=cls.__module__, frozen=True, cache_hash=True
        )
        made.__doc__, made.__qualname__ = cls.__doc__, cls.__qualname__
        return made
