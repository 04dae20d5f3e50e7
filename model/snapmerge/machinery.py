"""The machine's inner parts, for those who replace a transition of it: seeded defects, and kernels that do otherwise.

What is here may change with the machine.  Everybody else needs no more than ``snapmerge``.
"""

from ._bios import take
from ._copyout import area_written, invalidate, publish, write_area
from ._construct import finish_load
from ._devices import hand_over
from ._merge import (
    area_read,
    commit_done,
    commit_merge,
    drain,
    fail_merge,
    flush_origin,
    flushed,
    map_merge,
    merge_of,
    next_run,
    protect,
    release_run,
    stop_merge,
)
from ._origin import origin_write
from ._snapshot import map_snapshot
from ._state import (
    Device,
    DeviceBio,
    LinearTarget,
    Merge,
    OriginTarget,
    Pending,
    Phase,
    Piece,
    SnapshotTarget,
    Target,
)
from ._status import snapshot_status
from ._store import Persistent, Run, Store, Transient

__all__ = [
    "Device",
    "DeviceBio",
    "LinearTarget",
    "Merge",
    "OriginTarget",
    "Pending",
    "Persistent",
    "Phase",
    "Piece",
    "Run",
    "SnapshotTarget",
    "Store",
    "Target",
    "Transient",
    "area_read",
    "area_written",
    "commit_done",
    "commit_merge",
    "drain",
    "fail_merge",
    "finish_load",
    "flush_origin",
    "flushed",
    "hand_over",
    "invalidate",
    "map_merge",
    "map_snapshot",
    "merge_of",
    "next_run",
    "origin_write",
    "protect",
    "publish",
    "release_run",
    "snapshot_status",
    "stop_merge",
    "take",
    "write_area",
]
