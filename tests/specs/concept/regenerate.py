"""Writes the traces of the findings in the patch of 2009 anew: ``python -m tests.specs.concept.regenerate [FOLDER]``.

A developers' command, for a clone.  Without FOLDER it writes to the clone's ``specs/findings/concept``.
"""

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from snapmerge import Step, parse_trace, print_trace
from snapmerge_specs.checking.compare import compare, compare_with_look
from snapmerge_specs.concept import CONCEPT_DEFECTS, ConceptDefect, hunt

FOLDER = Path(__file__).resolve().parents[3] / "specs" / "findings" / "concept"


def finding_text(defect: ConceptDefect, seed: int) -> str:
    """The file of a defect as a hunt from this seed finds it: what is wrong in comments, then what should be seen.

    Raises LookupError when it finds nothing, or breaks another statement first.
    """
    catch = hunt(defect.rules, seed=seed)
    if catch is None or catch.statement != defect.statement:
        raise LookupError(f"no scenario of seed {seed} shows {defect.id}")
    shown = compare_with_look(catch.operations, defect.rules) or compare(catch.operations, defect.rules)
    steps = [Step(one.operation, one.expected) for one in shown if one.expected is not None]
    return (
        f"# {defect.id}: {defect.summary}.\n"
        f"# Property: {catch.property} ({catch.statement}): {catch.problem}.\n"
        f"# Generation: concept, seed {seed}. The outcomes are those of the intended design.\n"
        f"{print_trace(steps)}"
    )


def write_findings(folder: Path, seeds: Iterable[int]) -> Iterator[Path]:
    """Hunts for every defect from each seed, and writes the shortest trace of each that shows it to a user."""
    for defect in CONCEPT_DEFECTS:
        texts = (text for seed in seeds if (text := _found(defect, seed)) is not None)
        path = folder / f"{defect.id}.trace"
        path.write_text(min(texts, key=lambda text: (not _shows(defect, text), text.count("\n"), len(text))))
        yield path


def _shows(defect: ConceptDefect, text: str) -> bool:
    steps = parse_trace(text)
    return any(one.expected != one.actual for one in compare([step.operation for step in steps], defect.rules))


def _found(defect: ConceptDefect, seed: int) -> str | None:
    try:
        return finding_text(defect, seed)
    except LookupError:
        return None


if __name__ == "__main__":
    for path in write_findings(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER, range(10)):
        print(path)
