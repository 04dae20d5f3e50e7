"""The machine's inner parts, for those who replace a transition of it: seeded defects, and kernels that do otherwise.

What is here may change with the machine.  Everybody else needs no more than ``snapmerge``.
"""

from ._bios import piece_ended, send, take
from ._concept import hold, released, to_destination
from ._concept_state import ConceptMerge, Stage
from ._construct import finish_load, lower_names
from ._copyout import area_written, dropped, invalidate, publish, write_area
from ._exceptions import Exceptions, lookup, pairs
from ._handover import hand_over
from ._layout import is_metadata
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
from ._session import Task, begin, poll, tend
from ._snapshot import map_snapshot
from ._state import (
    CopyJob,
    Device,
    DeviceBio,
    LinearTarget,
    Merge,
    MergeFlush,
    OriginTarget,
    Pending,
    Phase,
    Piece,
    Purpose,
    Removing,
    Resuming,
    SnapshotTarget,
    StoreIo,
    StoreStep,
    Suspending,
    Target,
)
from ._status import snapshot_status
from ._store import Persistent, Run, Store, Transient
from ._storeio import drop_header, write_header
from ._storeio import write as write_metadata
from ._table import TableLine, print_line
from ._units import chunk_start

__all__ = [
    "ConceptMerge",
    "CopyJob",
    "Device",
    "DeviceBio",
    "Exceptions",
    "LinearTarget",
    "Merge",
    "MergeFlush",
    "OriginTarget",
    "Pending",
    "Persistent",
    "Phase",
    "Piece",
    "Purpose",
    "Removing",
    "Resuming",
    "Run",
    "SnapshotTarget",
    "Stage",
    "Store",
    "StoreIo",
    "StoreStep",
    "Suspending",
    "TableLine",
    "Target",
    "Task",
    "Transient",
    "area_read",
    "area_written",
    "begin",
    "chunk_start",
    "commit_done",
    "commit_merge",
    "drain",
    "drop_header",
    "dropped",
    "fail_merge",
    "finish_load",
    "flush_origin",
    "flushed",
    "hand_over",
    "hold",
    "invalidate",
    "is_metadata",
    "lookup",
    "lower_names",
    "map_merge",
    "map_snapshot",
    "merge_of",
    "next_run",
    "origin_write",
    "pairs",
    "piece_ended",
    "poll",
    "print_line",
    "protect",
    "publish",
    "release_run",
    "released",
    "send",
    "snapshot_status",
    "stop_merge",
    "take",
    "tend",
    "to_destination",
    "write_area",
    "write_header",
    "write_metadata",
]
