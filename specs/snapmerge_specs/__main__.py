"""Writes the traces of the findings in the patch of 2009 anew: ``python -m snapmerge_specs [FOLDER]``."""

import sys
from pathlib import Path

from ._concept_findings import findings_folder, write_findings

if __name__ == "__main__":
    for path in write_findings(Path(sys.argv[1]) if len(sys.argv) > 1 else findings_folder() / "concept", range(10)):
        sys.stdout.write(f"{path}\n")
