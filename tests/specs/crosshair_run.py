"""The contracts in the model's docstrings, held against CrossHair; and CrossHair against planted mistakes.

Two questions, in bounded time: does CrossHair find a counterexample to a contract (it must not), and does it find one
in each copy of the model with one line made wrong (it must: a contract that no mistake breaks says nothing)?
Run by ``tests/run``; prints what was found and exits with 1 on a surprise.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import snapmerge

MODULES = ("units", "format.layout", "format.codec")
CONTRACT_SECONDS = 4
MISTAKE_SECONDS = 6
PROCESS_SECONDS = 200
_VERDICT = re.compile(r"(\w+)\.py:(\d+): (\w+): (.*)")


_MEANINGS = {
    "Confirmed over all paths.": "confirmed over all paths",
    "Not confirmed.": "not refuted",
    # Too hard in the time.  It is no failure, as it hangs on the machine's speed; that the contract can be tried at all
    # is what its planted mistake shows.
    "Unable to meet precondition.": "not tried",
}


@dataclass(frozen=True, slots=True)
class Mistake:
    """In ``module``, ``right`` (which occurs once) becomes ``wrong``; ``function``'s contract must break."""

    module: str
    function: str
    right: str
    wrong: str


MISTAKES = (
    Mistake("units", "chunk_of", "Chunk(sector // chunk_size)", "Chunk((sector + 1) // chunk_size)"),
    Mistake("units", "chunk_start", "Sector(chunk * chunk_size)", "Sector((chunk + 1) * chunk_size)"),
    Mistake("units", "offset_in_chunk", "Sectors(sector % chunk_size)", "Sectors(sector % (chunk_size + 1))"),
    Mistake("units", "room_in_chunk", "Sectors(chunk_size - sector % chunk_size)", "Sectors(-sector % chunk_size)"),
    Mistake("units", "chunk_count", "return -(-length // chunk_size)", "return length // chunk_size"),
    Mistake("units", "is_chunk_size", "size & (size - 1) == 0", "size & (size - 1) != 1"),
    Mistake("format.layout", "exceptions_per_area", "return 32 * chunk_size", "return 32 * chunk_size - 1"),
    Mistake("format.layout", "area_location", "Chunk(1 + area * (per_area + 1))", "Chunk(1 + area * per_area)"),
    Mistake("format.layout", "is_metadata", "chunk % (per_area + 1) == 1", "chunk % per_area == 1"),
    Mistake("format.layout", "skip_metadata", "next_free + 1 if is", "next_free + 2 if is"),
    Mistake("format.layout", "new_chunk", "Chunk(2 + k + k // per_area)", "Chunk(2 + k + (k + 1) // per_area)"),
    Mistake("format.layout", "free_after", "max(count - 1, 0) // per_area", "(count + 1) // per_area"),
    Mistake("format.layout", "merge_run", "(old - length, new - length)", "(old - length, new)"),
    Mistake("format.codec", "decode_header", ".ljust(HEADER_BYTES", ".rjust(HEADER_BYTES"),
    Mistake("format.codec", "encode_header", "pack(header.magic, header.valid", "pack(header.magic, 1"),
    Mistake("format.codec", "decode_records", "        if new == 0:", "        if old == 0:"),
    Mistake("format.codec", "encode_records", "_RECORD.pack(old, new) for", "_RECORD.pack(new, old) for"),
)


def check(target: str, seconds: int, root: Path) -> list[tuple[str, str, str]]:
    """CrossHair's verdicts on ``target``, with the packages in ``root``: place, kind, message."""
    command = [sys.executable, str(Path(__file__).with_name("crosshair_main.py")), "check", "--report_all"]
    command += ["--analysis_kind=PEP316", f"--per_condition_timeout={seconds}", target]
    environment = os.environ | {"PYTHONPATH": str(root)}
    done = subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, timeout=PROCESS_SECONDS, check=False
    )
    verdicts = [(f"{at}.py:{line}", kind, said) for at, line, kind, said in _VERDICT.findall(done.stdout)]
    if done.returncode not in (0, 1) or not verdicts:
        raise RuntimeError(f"CrossHair did not check {target} (exit {done.returncode}):\n{done.stdout}{done.stderr}")
    return verdicts


def contracts_hold(pool: ThreadPoolExecutor) -> bool:
    """Check the contracts as they are; print a count of each verdict, and every counterexample."""
    root = Path(str(snapmerge.__file__)).parents[1]
    found = pool.map(lambda module: check(f"snapmerge.{module}", CONTRACT_SECONDS, root), MODULES)
    count: Counter[str] = Counter()
    for place, kind, said in (verdict for verdicts in found for verdict in verdicts):
        count["refuted" if kind == "error" else _MEANINGS.get(said, said)] += 1
        if kind == "error":
            print(f"  {place}: {said[:300]}")
    print("  contracts:", ", ".join(f"{number} {verdict}" for verdict, number in sorted(count.items())))
    return not count["refuted"]


def found_mistake(mistake: Mistake) -> bool:
    """Whether CrossHair finds a counterexample in a copy of the model with this mistake."""
    with tempfile.TemporaryDirectory(prefix="snapmerge-crosshair-") as folder:
        package = Path(folder) / "snapmerge"
        shutil.copytree(Path(str(snapmerge.__file__)).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
        path = package / f"{mistake.module.replace('.', '/')}.py"
        text = path.read_text()
        if text.count(mistake.right) != 1:
            raise RuntimeError(
                f"{mistake.module}.py holds {mistake.right!r} {text.count(mistake.right)} times, not once"
            )
        path.write_text(text.replace(mistake.right, mistake.wrong))
        verdicts = check(f"snapmerge.{mistake.module}.{mistake.function}", MISTAKE_SECONDS, Path(folder))
    return any(kind == "error" for _, kind, _ in verdicts)


def mistakes_are_found(pool: ThreadPoolExecutor) -> bool:
    """Try every planted mistake; print those that went unnoticed."""
    missed = [one for one, found in zip(MISTAKES, pool.map(found_mistake, MISTAKES), strict=True) if not found]
    for one in missed:
        print(f"  not found: {one.module}.{one.function} with {one.wrong!r} for {one.right!r}")
    print(f"  planted mistakes: {len(MISTAKES) - len(missed)} of {len(MISTAKES)} found")
    return not missed


def main() -> int:
    """0 when both questions have the right answer."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        return 0 if all([contracts_hold(pool), mistakes_are_found(pool)]) else 1


if __name__ == "__main__":
    sys.exit(main())
