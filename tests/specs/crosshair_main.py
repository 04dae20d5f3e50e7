"""CrossHair, able to see through ``struct.Struct``.

It knows the functions of the struct module, but takes a compiled Struct's methods for opaque: a contract over them
then ends in "unable to meet precondition", which checks nothing.  Here each method becomes its function.
"""

import struct
from typing import Any

from crosshair import register_patch
from crosshair.main import main


def _unpack_from(self: struct.Struct, data: bytes, offset: int = 0) -> tuple[Any, ...]:
    # By slice: CrossHair's own unpack_from mistakes the length of a symbolic buffer.
    return struct.unpack(self.format, data[offset : offset + self.size])


def _iter_unpack(self: struct.Struct, data: bytes) -> list[tuple[Any, ...]]:
    # A list: CrossHair doesn't trace the generator that its own iter_unpack gives.
    return list(struct.iter_unpack(self.format, data))


def _pack(self: struct.Struct, *values: int) -> bytes:
    return struct.pack(self.format, *values)


if __name__ == "__main__":
    register_patch(struct.Struct.unpack_from, _unpack_from)
    register_patch(struct.Struct.iter_unpack, _iter_unpack)
    register_patch(struct.Struct.pack, _pack)
    main()
