"""The entries of Linux' generation on the command line."""

from typing import Final

from snapmerge import MAINLINE
from snapmerge_adapters.cli.entries import Choice, Entries, FindingEntry
from snapmerge_specs import FINDINGS, Finding
from snapmerge_specs.recipes import Backup, Rollback

__all__ = ["LINUX"]


def _entry(one: Finding) -> FindingEntry:
    where = f"Linux {', '.join(one.releases)}"
    return FindingEntry(one.name, where, where, one.summary, "", one.statement, one.rules, one.death)


LINUX: Final = Entries(
    choices=(
        Choice(
            "mainline",
            "the kernel's",
            MAINLINE,
            lambda load, shape, failed, _options: Rollback(load, shape, failed),
            lambda load, shape, _options: Backup(load, shape),
        ),
    ),
    title="in real kernels",
    place="in kernels",
    findings=tuple(map(_entry, FINDINGS)),
    examples={},
    options=lambda _option, _recipe: None,
    check=lambda _options: None,
    facts=lambda _options: {},
)
"""The default, and the findings in real kernels."""
