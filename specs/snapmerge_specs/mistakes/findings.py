"""Findings: known misbehaviour of real kernels, each with its name and the transition as the kernel makes it.

The model does what is right.  A check that meets a finding counts it and continues; the trace of the same name in
``specs/findings`` reproduces it in as few lines as possible.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import fields

from snapmerge import (
    MAINLINE,
    Bio,
    Budget,
    Crash,
    Create,
    Died,
    Discard,
    Draft,
    Fault,
    Load,
    Op,
    Operation,
    OperationError,
    Rules,
    Step,
    Undecided,
    inner,
)
from snapmerge.format.store import Persistent, Store
from snapmerge.machine.snapshot.merge import area_read, commit_done
from snapmerge.machine.snapshot.rules import SnapshotRules
from snapmerge.machine.snapshot.snapshot import max_io_len
from snapmerge.machine.snapshot.state import SnapshotTarget, StoreStep
from snapmerge.machine.snapshot.store_io import write_header
from snapmerge.records import dataclass, replace
from snapmerge_specs.lockstep.lockstep import judge

__all__ = ["FINDINGS", "CutOff", "Explanation", "Finding", "explanation", "with_finding"]


def _never(_operation: Operation) -> bool:
    return False


def _discards(operation: Operation) -> bool:
    return isinstance(inner(operation), Discard)


def _cuts_or_fails(operation: Operation) -> bool:
    return isinstance(operation, Crash | Fault)


def _lines(operation: Operation) -> list[list[str]]:
    """The table lines of an operation, each as a list of its words; none if it has no table."""
    operation = inner(operation)
    table = operation.table if isinstance(operation, Create | Load) else None
    return [line.split() for line in table.split(";")] if table is not None else []


def _zeroes_small_chunks(operation: Operation) -> bool:
    """Whether the table has a snapshot with ``discard_zeroes_cow`` and chunks below 512 sectors."""
    lines = [words for words in _lines(operation) if "discard_zeroes_cow" in words[7:]]
    return any(words[6].isdecimal() and int(words[6]) < 512 for words in lines)


def _merges(operation: Operation) -> bool:
    return any(words[2:3] == ["snapshot-merge"] for words in _lines(operation))


def _merges_transient(operation: Operation) -> bool:
    return any(words[2:3] == ["snapshot-merge"] and words[5:6] and words[5][0] in "Nn" for words in _lines(operation))


@dataclass(frozen=True, slots=True)
class Finding:
    """A known misbehaviour.  ``rules``: those of the model, with the one transition that the kernel makes differently.

    ``releases``: the kernels on which it was seen.  ``statement``: the statement of ``specs`` that it violates.
    ``needs``: whether an operation can be the one that ``rules`` carry out differently, or a condition of that; a trace
    in which no operation is shows nothing of the finding.
    ``death``: a part of the kernel's last words if it dies of the misbehaviour; ``rules`` are then those it follows
    until it dies.  ``may_die``: whether an operation can lead to that death.  ``cause``: the same of the first of its
    last words, by which a death in such an operation is known when the rest is missing.
    """

    name: str
    summary: str
    statement: str
    releases: tuple[str, ...]
    rules: Rules
    needs: Callable[[Operation], bool]
    death: str = ""
    cause: str = ""
    may_die: Callable[[Operation], bool] = _never

    def concerns(self, about: str) -> bool:
        """Whether the kernel, described by ``about``, belongs to a series in which the finding was seen."""
        found = re.search(r"Linux (\d+\.\d+)\b", about)
        return found is not None and any(release.startswith(f"{found[1]}.") for release in self.releases)


def _cut_from_start(d: Draft, snap: SnapshotTarget, bio: Bio) -> int:
    """Discards are split every chunk size sectors, counted from their own start instead of from chunk borders."""
    if bio.op is Op.DISCARD and snap.merge is None and snap.store.chunk_size:
        return min(bio.count, snap.store.chunk_size)
    return max_io_len(d, snap, bio)


def _commit_forgotten(d: Draft, snap: SnapshotTarget, error: str | None) -> None:
    """After a failed write of the cleared area the records stay cleared in memory, and are still counted."""
    store, run = snap.store, snap.merge.run if snap.merge is not None else None
    if error is not None and isinstance(store, Persistent) and run is not None:
        snap = d.put(replace(snap, store=replace(store, image=store.cleared(run.count))), over=snap)
    commit_done(d, snap, error)


def _area_skipped(d: Draft, snap: SnapshotTarget, error: str | None, data: bytes) -> None:
    """The store goes back an area although reading it has failed."""
    if error is not None and isinstance(snap.store, Persistent):
        snap = d.put(replace(snap, store=replace(snap.store, area=snap.store.area - 1)), over=snap)
    area_read(d, snap, error, data)


def _plain_header(d: Draft, snap: SnapshotTarget) -> None:
    """The header of an invalid store is written like data, without flush and FUA."""
    write_header(d, snap, StoreStep.DROP)


def _takes_all(_store: Store) -> bool:
    """Accepts every kind of store for a merge."""
    return True


FINDINGS: tuple[Finding, ...] = (
    Finding(
        "misaligned-discard",
        "a discard that begins inside a chunk zeroes sectors of another chunk",
        "SNAP-12",
        ("6.1.176", "6.12.101", "7.2.7"),
        MAINLINE.changed(SnapshotRules, max_io_len=_cut_from_start),
        needs=_discards,
    ),
    Finding(
        "merge-repeats-cleared-records",
        "after a failed metadata write, a restarted merge takes cleared records for real ones and copies the header",
        "MERGE-17",
        ("6.1.176", "6.12.101", "7.2.7"),
        MAINLINE.changed(SnapshotRules, commit_done=_commit_forgotten),
        needs=_merges,
    ),
    Finding(
        "merge-skips-area",
        "after a failed read of an area, a restarted merge continues with the area before it, or ends early",
        "MERGE-18",
        ("6.1.176", "6.12.101", "7.2.7"),
        MAINLINE.changed(SnapshotRules, area_read=_area_skipped),
        needs=_merges,
    ),
    Finding(
        "invalidation-is-volatile",
        "after a power cut an invalid snapshot can be valid again, although it lacks chunks that the origin has lost",
        "SNAP-13",
        ("6.1.176", "6.12.101", "7.2.7"),
        MAINLINE.changed(SnapshotRules, drop_header=_plain_header),
        needs=_cuts_or_fails,
    ),
    Finding(
        "discards-divide-by-zero",
        "a table line with discard_zeroes_cow and chunks below 512 sectors makes the kernel divide by zero",
        "SNAP-19",
        ("7.2.7",),
        MAINLINE,
        needs=_never,  # it shows in the death alone
        death="blk_stack_limits",
        cause="Kernel mode signal 8",
        may_die=_zeroes_small_chunks,
    ),
    Finding(
        "merge-without-operations",
        "a merge of a store that has no merge operations is accepted, and its resume calls them: a null pointer",
        "MERGE-31",
        ("6.1.176", "7.2.7"),
        MAINLINE.changed(SnapshotRules, can_merge=_takes_all),
        needs=_merges_transient,
        death="snapshot_merge_next_chunks",
        may_die=_merges_transient,
    ),
)


def with_finding(rules: Rules, finding: Finding) -> Rules:
    """Linux' rules, with what other findings have changed, and with the transition that this one changes."""
    plain, other = MAINLINE.part(SnapshotRules), finding.rules.part(SnapshotRules)
    names = [field.name for field in fields(plain)]
    changes = {name: getattr(other, name) for name in names if getattr(other, name) is not getattr(plain, name)}
    return rules.changed(SnapshotRules, **changes)


_WORK = 2_000
"""Worlds for one step: few suffice, since traces of findings follow the canonical schedule closely."""


@dataclass(frozen=True, slots=True)
class CutOff:
    """Whether a finding explains a trace is not known: the search by the rules of those of these names was given up."""

    names: tuple[str, ...]


Explanation = Finding | CutOff | None
"""What explains a trace: a finding, none of them, or the budget has not sufficed to find out."""


def explanation(trace: Iterable[Step], budget: Budget = Budget()) -> Explanation:  # noqa: B008  # it is frozen
    """The first finding whose rules allow every outcome of the trace; None: no finding does.

    Within the budget's time: first by the canonical schedule alone, which costs little, then by a search for each
    finding that the trace has not contradicted yet.  CutOff if no finding was found and a search was given up.
    """
    steps, budget = tuple(trace), budget.at_once(_WORK)
    last = steps[-1].outcome if steps else None
    if isinstance(last, Died):
        left, steps = [finding for finding in FINDINGS if _dies_so(finding, steps[-1].operation, last)], steps[:-1]
    else:
        left = [finding for finding in FINDINGS if any(finding.needs(step.operation) for step in steps)]
    for bounds in (budget.at_once(1), budget):  # one world: nothing is searched
        explains = [(finding, _explains(finding, steps, bounds)) for finding in left]
        if (found := next((finding for finding, does in explains if does), None)) is not None:
            return found
        left = [finding for finding, does in explains if does is None]
    return CutOff(tuple(finding.name for finding in left)) if left else None


def _dies_so(finding: Finding, operation: Operation, died: Died) -> bool:
    """Whether these can be a kernel's last words if it dies of the misbehaviour; a panic may hang before it is told."""
    if finding.cause and finding.cause in died.text and finding.may_die(operation):
        return True
    return bool(finding.death) and finding.death in died.text


def _explains(finding: Finding, steps: tuple[Step, ...], budget: Budget) -> bool | None:
    """Whether the finding's rules allow every outcome; None: the budget is used up before that is known."""
    try:
        verdict = next((verdict for _, verdict in judge(steps, finding.rules, budget=budget) if verdict), None)
    except OperationError:  # by these rules it makes no sense, or it is not modelled
        return False
    return None if isinstance(verdict, Undecided) else verdict is None
