"""The record of the generation of Linux."""

from typing import Final

from snapmerge import MAINLINE, SnapshotRules
from snapmerge_specs.generations.generation import Generation
from snapmerge_specs.properties.invariants import INVARIANTS
from snapmerge_specs.properties.views import activated, below
from snapmerge_specs.scenarios.coverage import MERGES
from snapmerge_specs.scenarios.scenario import Scenario
from snapmerge_specs.search.scripts import SCRIPTS

__all__ = ["LINUX"]

LINUX: Final = Generation(
    part=SnapshotRules,
    rules=MAINLINE,
    in_kernels=True,
    invariants=INVARIANTS,
    steps=(),
    reads="SNAP-1",
    shows=lambda _world, _device, _cut: "SNAP-1",
    ends="DEV-5",
    durable="MERGE-7",
    below=below,
    activated=activated,
    merges=MERGES,
    scenario=Scenario,
    scripts=SCRIPTS,
)
"""The snapshots, origins and merges of Linux."""
