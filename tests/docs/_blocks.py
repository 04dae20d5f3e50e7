"""The fenced blocks of a Markdown page, and what those that can be run print.

The language of a block says what is done with it:

* ``console``: each line that begins with ``$ `` is a command, which lines that begin with ``> `` continue; the lines
  after it are what it prints, on standard output and standard error together.  The commands of a block run in one bash.
* ``sh``: a script that has to succeed, whatever it prints.
* ``python``: a program that has to succeed and prints the ``text`` block that follows it directly, or nothing.
* The languages of ``INERT`` are not run.

A comment in the line before a block changes that: ``<!-- file: NAME -->`` keeps the block as a file, which every other
block of the page finds in its working directory; ``<!-- not run: REASON -->`` says why a block can't be run.
The working directory also holds ``specs`` and ``tests``, as in a clone.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RUN = {"console", "sh", "python"}
INERT = {"text", "ebnf", "json", "mermaid", "{toctree}"}
SECONDS_MAX = 120

FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<language>\S*)\n(?P<text>.*?)^(?P=ticks)$", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"^\$ (.*(?:\n> .*)*)$", re.MULTILINE)
COMMENT = re.compile(r"<!--.*-->\n\Z")
MARK = re.compile(r"<!-- (?:file: (?P<file>[\w.-]+)|not run: (?P<reason>\S.*)) -->\n\Z")
NEEDS_KERNEL = re.compile(r"--adapter guest|\bGuest\(|snapmerge kernels")
# What no page shows: it would be written down as if it were right.
BROKEN = re.compile(r"Traceback \(most recent|command not found|a defect of snapmerge itself")
# What varies between runs, machines and versions of the generators: durations, releases, how often a check did what,
# which states it met, and where lines are wrapped because of these.
MASKS: list[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]] = [
    (re.compile(r"\n {12,}"), " "),
    (re.compile(r"\b\d+(\.\d+)? s\b"), "N s"),
    (re.compile(r"\bLinux \d[\w.+-]*"), "Linux N"),
    (re.compile(r"\b(snapshot(?:-\w+)?) \d+\.\d+\.\d+"), r"\1 N"),
    (re.compile(r"^(?:operations|kinds) .*$", re.MULTILINE), lambda match: re.sub(r"\d+", "N", match[0])),
    (re.compile(r"^(states reached +)(?!none$).*$", re.MULTILINE), r"\1..."),
    (re.compile(r"^crash \d+$", re.MULTILINE), "crash N"),
]


class PageError(Exception):
    """A block that breaks the rules above (its language, comment or prompt), or whose commands do not work."""


@dataclass(frozen=True)
class Block:
    """A fenced block.

    ``text`` is its content; ``expected`` what it prints according to the page, which stands at the offset ``start``.
    ``file`` and ``reason`` are those of the comment before it.
    """

    page: str
    line: int
    language: str
    text: str
    expected: str
    start: int
    file: str | None = None
    reason: str | None = None

    @property
    def runs(self) -> bool:
        """Whether it is run by itself."""
        return self.language in RUN and self.file is None and self.reason is None


def pages() -> list[Path]:
    """The pages whose blocks are run."""
    return [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), *sorted((ROOT / "specs").glob("*.md"))]


def blocks(page: str, text: str) -> list[Block]:
    """The blocks of a page, in order.

    Raises:
        PageError: a block breaks the rules.
    """
    fences = list(FENCE.finditer(text))
    return [_block(page, fence, following) for fence, following in zip_longest(fences, fences[1:])]


def _block(page: str, fence: re.Match[str], following: re.Match[str] | None) -> Block:
    before, language = fence.string[: fence.start()], fence["language"]
    line = before.count("\n") + 1
    mark = MARK.search(before)
    if language not in RUN | INERT:
        raise PageError(f"{page}:{line}: the language {language!r} is none of {', '.join(sorted(RUN | INERT))}")
    if (language == "console") != fence["text"].startswith("$ "):
        raise PageError(f"{page}:{line}: a console block begins with a prompt, and no other block does")
    if COMMENT.search(before) and mark is None:
        raise PageError(f"{page}:{line}: the comment is neither <!-- file: NAME --> nor <!-- not run: REASON -->")
    expected, start = _expected(fence, following)
    return Block(page, line, language, fence["text"], expected, start, **(mark.groupdict() if mark else {}))


def _expected(fence: re.Match[str], following: re.Match[str] | None) -> tuple[str, int]:
    """What the page says that a block prints, and where."""
    if fence["language"] == "console":
        return fence["text"], fence.start("text")
    text = fence.string
    if following is not None and following["language"] == "text" and not text[fence.end() : following.start()].strip():
        return following["text"], following.start("text")
    return "", fence.end() + 1


def files(found: list[Block]) -> dict[str, str]:
    """The files that blocks of a page are kept as."""
    return {block.file: block.text for block in found if block.file is not None}


def needs_kernel(block: Block, kept: dict[str, str]) -> bool:
    """Whether it asks for a real kernel, itself or in a file that it names."""
    return any(NEEDS_KERNEL.search(text) for text in (block.text, *(kept[name] for name in kept if name in block.text)))


def run(block: Block, kept: dict[str, str], folder: Path) -> str:
    """Runs a block in an empty folder, and gives what it prints; of a ``console`` block with its prompts.

    Raises:
        subprocess.CalledProcessError: a program or a script failed.
        PageError: a command could not be run, or has an error in itself.
    """
    for name, text in kept.items():
        (folder / name).write_text(text)
    for name in ("specs", "tests"):
        (folder / name).symlink_to(ROOT / name)
    if block.language == "console":
        return _session(COMMAND.findall(block.text), folder)
    if block.language == "python":
        return _call([sys.executable, "-c", block.text], folder, check=True)
    _call(["bash", "-euc", block.text], folder, check=True)
    return ""


def _session(commands: list[str], folder: Path) -> str:
    """What a terminal shows; each command finds the exit code of the one before in ``$?``."""
    end = "-- end of a command --\n"
    texts = [command.replace("\n> ", "\n") for command in commands]
    script = "".join(f"{text}\n(status=$?; printf '%s' '{end}'; exit $status)\n" for text in texts)
    printed = _call(["bash", "-c", script], folder, check=False).split(end)
    shown = "".join(f"$ {command}\n{text}" for command, text in zip(commands, printed, strict=False))
    if BROKEN.search(shown):
        raise PageError(shown)
    return shown


def _call(command: list[str], folder: Path, *, check: bool) -> str:
    kept = {name: value for name, value in os.environ.items() if name in {"HOME", "LANG", "TMPDIR"}}
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        command,
        cwd=folder,
        env={**kept, "PATH": path, "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
        check=check,
    )
    return done.stdout


def masked(text: str) -> str:
    """The text without what varies."""
    for pattern, replacement in MASKS:
        text = pattern.sub(replacement, text)
    return text
