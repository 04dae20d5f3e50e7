"""The capabilities of a kernel's device-mapper."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from snapmerge import OPERATION_WORDS, TARGETS, Capabilities
from snapmerge_adapters.kernel.disks import Backing
from snapmerge_adapters.kernel.kmsg import KernelLog

__all__ = ["capabilities_of", "snapshot_targets"]


def snapshot_targets(versions: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The snapshot targets of a kernel that the model has, sorted by name, each with its version."""
    return tuple((name, versions[name]) for name in sorted(TARGETS & set(versions)) if name.startswith("snapshot"))


_TABLE_WORDS: Final = frozenset({"N", "PO", "discard_zeroes_cow", "discard_passdown_origin", "refusals"})


def capabilities_of(backing: Backing, versions: dict[str, str], *, controlled: bool) -> Capabilities:
    """What a kernel with these targets can do on this backing; ``controlled``: whether its disks can be."""
    targets = TARGETS & set(versions)
    words = set(OPERATION_WORDS)
    if not backing.volatile:
        words -= {"crash"}
    if not backing.nbd:
        words -= {"fault", "heal"}
    about = ", ".join(f"{name} {version}" for name, version in snapshot_targets(versions))
    return Capabilities(
        frozenset(words),
        frozenset(targets),
        frozenset({"read", "write", "flush"} if backing.nbd else ()),
        _features(backing) | _TABLE_WORDS | ({"controlled"} if controlled else set()),
        backing.sectors,
        f"Linux {os.uname().release}, {about}",
        tuple(sorted((name, version) for name, version in versions.items())),
    )


def _features(backing: Backing) -> frozenset[str]:
    features = set()
    if KernelLog().readable:
        features.add("texts")
    with contextlib.suppress(OSError):
        device = Path(backing.path).stat().st_rdev
        path = f"/sys/dev/block/{os.major(device)}:{os.minor(device)}/queue/discard_max_bytes"
        if int(Path(path).read_text()) > 0:
            features.add("discard")
    return frozenset(features)
