"""The findings as files: a trace each."""

from importlib.resources import files
from pathlib import Path

from snapmerge import Step, parse_trace

__all__ = ["finding_trace", "findings_folder"]


def findings_folder() -> Path:
    """Where the traces of findings are: beside the pages of ``specs``, or in the installed package.

    Those in kernels lie there as they are, those in another generation in a folder with its name.
    """
    package = Path(str(files("snapmerge_specs")))
    installed = package / "findings"
    return installed if installed.is_dir() else package.parent / "findings"


def finding_trace(name: str) -> tuple[Step, ...]:
    """The trace of a finding; its outcomes are those that should be seen.  Raises LookupError if there is none."""
    for path in findings_folder().rglob("*.trace"):
        if path.stem == name:
            return parse_trace(path.read_bytes())
    raise LookupError(f"no finding has the name {name}")
