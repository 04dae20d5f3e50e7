"""Writes anew what the blocks of pages print: ``python -m tests.docs [PAGE ...]``, from the top of the repository.

Only what differs from the page by more than figures that vary is written; look at the diff before it is committed.
"""

import sys
import tempfile
from pathlib import Path

from tests.docs._blocks import ROOT, blocks, files, masked, pages, run


def rewritten(page: str, text: str) -> str:
    """The page with what its blocks print now."""
    found = blocks(page, text)
    for block in reversed(found):  # from the end, so that the places of those before it stay right
        if block.runs:
            with tempfile.TemporaryDirectory() as folder:
                printed = run(block, files(found), Path(folder))
            if masked(printed) != masked(block.expected):
                text = text[: block.start] + printed + text[block.start + len(block.expected) :]
    return text


def main(names: list[str]) -> None:
    """Rewrites these pages, or all."""
    for path in [Path(name).resolve() for name in names] or pages():
        text = path.read_text()
        if (new := rewritten(str(path.relative_to(ROOT)), text)) != text:
            path.write_text(new)
            print(f"{path.relative_to(ROOT)}: written anew")


if __name__ == "__main__":
    main(sys.argv[1:])
