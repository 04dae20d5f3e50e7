"""Every block of the README, of docs and of specs prints what the page says that it prints."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.docs.__main__ import rewritten
from tests.docs._blocks import ROOT, Block, PageError, blocks, files, masked, needs_kernel, pages, run

FOUND = {str(path.relative_to(ROOT)): blocks(str(path.relative_to(ROOT)), path.read_text()) for path in pages()}
EXCUSED_MAX = 6
INSTALLED = os.environ.get("SNAPMERGE_TEST_INSTALLED") == "1"


def cases() -> Iterator[object]:
    """One test a block; those on a kernel once, in the clone, as they take longest."""
    for page, found in FOUND.items():
        for block in found:
            kernel = needs_kernel(block, files(found))
            if block.runs and not (kernel and INSTALLED):
                marks = [pytest.mark.kernel] if kernel else []
                yield pytest.param(block, id=f"{page}:{block.line}", marks=marks)


def differs(block: Block, kept: dict[str, str], folder: Path) -> bool:
    return masked(run(block, kept, folder)) != masked(block.expected)


@pytest.mark.parametrize("block", list(cases()))
def test_a_block_prints_what_the_page_says(block: Block, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    kept = files(FOUND[block.page])
    if needs_kernel(block, kept):
        request.getfixturevalue("booted")
    printed = masked(run(block, kept, tmp_path))
    assert printed == masked(block.expected), f"python -m tests.docs {block.page} writes it anew"


def test_every_file_of_a_page_is_run_by_a_block() -> None:
    for page, found in FOUND.items():
        texts = [block.text for block in found if block.runs]
        assert [name for name in files(found) if not any(name in text for text in texts)] == [], page


def test_few_blocks_are_not_run() -> None:
    """Each has its reason, which the page states before it; one more is a decision."""
    excused = [(page, block.reason) for page, found in FOUND.items() for block in found if block.reason]
    assert len(excused) <= EXCUSED_MAX, excused


CONSOLE = """\
```console
$ echo 1; (exit 3)
1
$ echo $?
3
$ cat <<END
> 4
> END
4
```

```console
$ echo 1
2
```

```console
$ true
2
```
"""

PYTHON = """\
```python
print(6 * 7)
```

```text
42
```

```python
print(6 * 9)
```

```text
42
```

```python
print(42)
```

Prose between a program and this block.

```text
42
```
"""

KERNEL = """\
<!-- file: boot.py -->
```python
Guest()
```

```console
$ python3 boot.py
```

```console
$ snapmerge check --adapter guest
```

```console
$ snapmerge check
```
"""


@pytest.mark.parametrize(("text", "wrong"), [(CONSOLE, [False, True, True]), (PYTHON, [False, True, True])])
def test_a_block_that_prints_something_else_is_found(text: str, wrong: list[bool], tmp_path: Path) -> None:
    found = [block for block in blocks("page.md", text) if block.runs]
    for block in found:
        (tmp_path / str(block.line)).mkdir()
    assert [differs(block, {}, tmp_path / str(block.line)) for block in found] == wrong


@pytest.mark.parametrize(("language", "text"), [("python", "1 / 0"), ("sh", "false\ntrue")])
def test_what_fails_is_found(language: str, text: str, tmp_path: Path) -> None:
    (block,) = blocks("page.md", f"```{language}\n{text}\n```\n")
    with pytest.raises(subprocess.CalledProcessError):
        run(block, {}, tmp_path)


@pytest.mark.parametrize("command", ["no-such-command", "python3 -c '1 / 0'"])
def test_a_command_that_does_not_work_is_never_written_down(command: str, tmp_path: Path) -> None:
    (block,) = blocks("page.md", f"```console\n$ {command} | cat\n```\n")
    with pytest.raises(PageError, match=r"command not found|Traceback"):
        run(block, {}, tmp_path)


def test_a_file_is_kept_for_the_other_blocks(tmp_path: Path) -> None:
    found = blocks("page.md", "<!-- file: six.py -->\n```python\nprint(6)\n```\n```console\n$ python3 six.py\n6\n```\n")
    assert [block.runs for block in found] == [False, True]
    assert not differs(found[1], files(found), tmp_path)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```bash\ntrue\n```\n", "page.md:3: the language 'bash' is none of"),
        ("```\ntrue\n```\n", "the language '' is none of"),
        ("```text\n$ true\n```\n", "begins with a prompt"),
        ("```console\ntrue\n```\n", "begins with a prompt"),
        ("<!-- not run: -->\n```sh\ntrue\n```\n", "the comment is neither"),
        ("<!-- skip -->\n```sh\ntrue\n```\n", "the comment is neither"),
    ],
)
def test_a_block_that_would_not_be_run_is_refused(text: str, error: str) -> None:
    with pytest.raises(PageError, match=error):
        blocks("page.md", f"Prose.\n\n{text}")


def test_a_kernel_is_asked_for_where_a_block_needs_one() -> None:
    found = blocks("page.md", KERNEL)
    assert [needs_kernel(block, files(found)) for block in found] == [True, True, True, False]


def test_only_what_varies_is_masked() -> None:
    assert masked("8 in 3.9 s, seed 3") == masked("8 in 12 s, seed 3") != masked("9 in 3.9 s, seed 3")
    assert masked("Linux 6.1.176, snapshot 1.16.0") == masked("Linux 6.12.101+deb13,\n             snapshot 1.16.1")
    assert masked("states reached  discard 2, merge\n                 failed 4") == masked("states reached  discard 3")
    assert masked("states reached  none") != masked("states reached  discard 2")
    assert masked("kinds  create 46") == masked("kinds  create 47") != masked("kinds  remove 47")
    assert masked("round 46") != masked("round 47")


def test_a_page_is_written_anew_where_it_differs() -> None:
    text = "```console\n$ echo 3.9 s\n1.2 s\n$ echo 2\n2\n```\n```python\nprint(1)\n```\n\n```text\n{}\n```\n"
    assert rewritten("page.md", text.format("2")) == text.format("1")
    assert rewritten("page.md", text.format("1")) == text.format("1")
