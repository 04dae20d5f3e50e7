"""The traces of the findings, as files."""

from importlib.resources import files
from pathlib import Path

from snapmerge import Step, parse_trace

__all__ = ["finding_trace", "findings_folder"]


def findings_folder() -> Path:
    """The folder with the traces of findings: in ``specs`` of a clone, or in the installed package.

    Traces of kernels lie in the folder itself, those of another generation in a subfolder with its name.
    """
    package = Path(str(files("snapmerge_specs")))
    installed = package / "findings"
    return installed if installed.is_dir() else package.parent / "findings"


def finding_trace(name: str) -> tuple[Step, ...]:
    """The trace of a finding, with the correct outcomes.  Raises LookupError if there is none of that name."""
    for path in findings_folder().rglob("*.trace"):
        if path.stem == name:
            return parse_trace(path.read_bytes())
    raise LookupError(f"no finding has the name {name}")
