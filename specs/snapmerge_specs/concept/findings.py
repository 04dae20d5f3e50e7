"""The findings as files: a trace each.  Those in the patch of 2009 were found by the hunt and shrunk."""

from importlib.resources import files
from pathlib import Path

from snapmerge import Step, parse_trace
from snapmerge_specs.concept.defects import CONCEPT_DEFECTS

__all__ = ["finding_trace", "findings_folder"]


def findings_folder() -> Path:
    """Where the traces of findings are: beside the pages of ``specs``, or in the installed package.

    Those in kernels lie there as they are, those in the patch of 2009 in ``concept``.
    """
    package = Path(str(files("snapmerge_specs")))
    installed = package / "findings"
    return installed if installed.is_dir() else package.parent / "findings"


def finding_trace(name: str) -> tuple[Step, ...]:
    """The trace of a finding; its outcomes are those that should be seen."""
    folder = findings_folder()
    place = folder / "concept" if any(defect.id == name for defect in CONCEPT_DEFECTS) else folder
    return parse_trace((place / f"{name}.trace").read_bytes())
