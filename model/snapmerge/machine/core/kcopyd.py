"""kcopyd: copies an extent from one device to another for a target.

A copy is one job in two halves: a read into the job's own buffer, then a write from it.  Each half is an ordinary
bio, so it may pass through lower mapped devices, and everything else may happen between the two.

Source: ``dm_kcopyd_copy``, ``run_complete_job`` in dm-kcopyd.c.
"""

from snapmerge.machine.core.bio import Bio, Buffer, Op, WorkId
from snapmerge.machine.core.bios import send
from snapmerge.machine.core.draft import Draft
from snapmerge.machine.core.state import CopyJob
from snapmerge.records import replace

__all__ = ["copy", "half_done"]


def copy(d: Draft, job: CopyJob, source: str, sector: int) -> None:
    """Begins a copy of ``job.destination.count`` sectors from ``sector`` of the device ``source``."""
    id = d.begin(job)
    d.change(id, replace(job, destination=replace(job.destination, payload=Buffer(id))), over=job)
    send(d, id, Bio(Op.READ, source, sector, job.destination.count, Buffer(id)))


def half_done(d: Draft, id: WorkId, job: CopyJob, error: str | None, _data: bytes) -> None:
    """Begins the second half, or tells the target that the copy has ended, by its purpose."""
    if job.reading and error is None:
        d.change(id, replace(job, reading=False), over=job)
        send(d, id, job.destination)
        return
    d.end(id)
    d.rules.copied[job.purpose](d, job, error)
