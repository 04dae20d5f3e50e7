import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from snapmerge import Data as Seen
from snapmerge import (
    Oracle,
    Step,
    as_seen,
    contents,
    data_bytes,
    parse_trace,
    print_operation,
    print_outcome,
    tags_from,
)
from snapmerge_adapters import Unavailable
from snapmerge_adapters.cli.main import main
from snapmerge_adapters.guest.fxsave import kernel_command
from snapmerge_adapters.guest.guest import _in_order, _plain, find_kernel, find_modules, kernel_release
from snapmerge_adapters.script.script import shell_script

TRACES = sorted((Path(__file__).parents[3] / "specs" / "traces").glob("*.trace"))
ALL = """
disk base 64
disk cow 64
create x
load x "0 64 linear base 0"
create s "0 64 snapshot base cow P 8; 64 1 error"
resume x
suspend x
suspend x noflush
message s "it's a \\"$(touch x)\\" `y` \\\\"
write s 0 8 #4294967288
read cow 1 2
flush s
discard s 0 8
status s
table s
events s
settle s
metadata cow
fault base write 1 2
heal base
start 3 write x 0 1 #1
finish 3
remove s
reset
"""
NASTY = 'create d "0 8 linear $(touch a) `touch b` \\" ; touch c \\\\ 0"\nmessage d "$(touch d) \' `touch e`"\n'


def script(text: str, source: str = "a trace") -> str:
    return shell_script(parse_trace(text), source=source).text


def shell(text: str, *, cwd: Path | None = None) -> str:
    """Runs a text with the shell functions of the scripts, but without what they do at their start and end."""
    foundation = script("reset")
    functions = foundation[foundation.index("# try COMMAND") : foundation.index("# --- the trace ---")]
    done = subprocess.run(
        ["sh"], input=f"{functions}\n{text}", capture_output=True, text=True, cwd=cwd, timeout=60, check=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.mark.parametrize("path", TRACES, ids=lambda path: str(path.stem))
def test_the_shell_accepts_the_script(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["script", str(path)]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert subprocess.run(["sh", "-n"], input=out, text=True, timeout=30, check=False).returncode == 0


def test_every_operation_has_its_line() -> None:
    text = script(ALL)
    assert subprocess.run(["sh", "-n"], input=text, text=True, timeout=30, check=False).returncode == 0
    steps = parse_trace(ALL)
    assert text.count("\nstep ") == len(steps)
    assert """create s "0 64 snapshot $dev/base $dev/cow P 8;64 1 error\"""" in text
    assert "start 3 write x 0 1 1\n" in text


def test_only_disks_that_fail_lie_under_a_mapping() -> None:
    text = script("disk a 8\ndisk b 8\nfault b read 0 1\n")
    assert "disk a 8\n" in text
    assert "disk b 8 faulty\n" in text
    assert "fail reads and writes alike" in text
    assert "fail reads and writes alike" not in script("disk a 8\n")


def test_the_kernel_s_message_is_a_comment() -> None:
    text = script('resume x -> error EINVAL "snapshots: no"')
    assert "# line 1: error EINVAL \"snapshots: no\"\nstep 'resume x' 'error EINVAL' resume x\n" in text


@pytest.mark.parametrize("line", ["crash", "fault base flush 0 1"])
def test_what_no_script_can_do_fails_before_anything_is_touched(
    line: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "a.trace"
    trace.write_text(f"disk base 8\n\n{line}\n")
    assert main(["script", str(trace)]) == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert f"a.trace:3: {line.split(maxsplit=1)[0]}: " in err
    text = shell_script(parse_trace(trace.read_text()), lines=(1, 3), source="a.trace").text
    assert "THIS SCRIPT ONLY FAILS" in text
    done = subprocess.run(["sh"], input=text, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"a.trace:3: {line.split(maxsplit=1)[0]}: " in done.stderr


def test_no_text_of_a_trace_is_run(tmp_path: Path) -> None:
    text = script(NASTY, source="a\nname; touch f")
    lines = text[text.index("# --- the trace ---") :]
    stub = "step() { printf '%s|' \"$@\"; echo; }\ndifferent=0 differing=0 dev=DEV\n"
    done = subprocess.run(
        ["sh"], input=stub + lines, capture_output=True, text=True, cwd=tmp_path, timeout=30, check=True
    )
    assert list(tmp_path.iterdir()) == []
    tables = [line.split("|")[4] for line in done.stdout.splitlines()]
    assert tables == ['0 8 linear DEV/$(touch a) `touch b` ";touch c \\ 0', "$(touch d) ' `touch e`"]
    assert text.splitlines()[1] == "# Made by snapmerge from a?name; touch f."


def test_only_root_may_run_it() -> None:
    if os.geteuid() == 0:
        pytest.skip("this is root")
    done = subprocess.run(["sh"], input=script(ALL), capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 2
    assert "for root only" in done.stderr


# --- the shell functions that need no device-mapper --------------------------------------------------------------


@pytest.mark.parametrize(("tag", "count"), [(0, 3), (1, 1), (255, 3), (4294967290, 6), (0x0A0D2500, 2), (0x5C, 2)])
def test_the_shell_makes_the_payload(tag: int, count: int, tmp_path: Path) -> None:
    shell(f"payload {tag} {count} >out", cwd=tmp_path)
    assert (tmp_path / "out").read_bytes() == data_bytes(tags_from(tag, count))


@pytest.mark.parametrize(
    "sectors",
    [
        [0],
        [7, 7, 7],
        [1, 2, 3, 3, 3, 4, 9],
        [5, 5, 6, 7, 7, 8],
        [4294967294, 4294967295, 0],
        [b"x" * 512, b"x" * 512, 3, b"y" + b"x" * 511],
        [b"\0" * 511 + b"\1", 0, 1],
    ],
)
def test_the_shell_reads_as_a_trace_does(sectors: list[int | bytes], tmp_path: Path) -> None:
    data = data_bytes(sectors)
    (tmp_path / "data").write_bytes(data)
    assert shell("seen_sectors data", cwd=tmp_path) == print_outcome(Seen(tuple(map(as_seen, contents(data)))))


@pytest.mark.parametrize(
    ("message", "errno"),
    [
        ("dd: error writing 'x': Input/output error", "EIO"),
        ("device-mapper: reload ioctl on x (252:1) failed: No such device", "ENODEV"),
        ("device-mapper: resume ioctl on x failed: No such device or address", "ENXIO"),
        ("Device x not found", "ENXIO"),
        ("who knows", "E0"),
    ],
)
def test_the_shell_names_errors(message: str, errno: str, tmp_path: Path) -> None:
    text = f'dir=. job=now\nfail() {{ echo "{message}" >&2; return 1; }}\ntry fail 2>/dev/null; true'
    assert shell(text, cwd=tmp_path) == f"error {errno}\n"


# --- the whole script, in a kernel -------------------------------------------------------------------------------

IN_KERNEL = {path.stem: path for path in TRACES if path.stem in ("partial-tail", "merge-write-error")}
BLOCKING = """
disk base 64
create x "0 32 linear base 0;32 32 linear base 32"
suspend x
start 1 write x 0 8 #4294967288
finish 1 -> blocked
resume x
remove x -> error EBUSY
finish 1 -> ok
read x 0 12 -> #4294967288+8 #0x4
start 1 flush x
start 2 read x 0 1
remove x -> error EBUSY
finish 1 -> ok
remove x -> error EBUSY
finish 2
remove x -> ok
create x "0 32 linear base 0;32 32 linear base 32"
create y "0 64 linear nowhere 0" -> error ENODEV
status y -> error ENXIO
table x
suspend x noflush
start 2 read x 0 1
reset
disk base 8
read base 0 8
metadata base
"""
PLACES = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a name short enough for a kernel's command line."""
    with tempfile.TemporaryDirectory(prefix="snapmerge-") as name:
        yield Path(name)


def run_in_kernel(folder: Path, scripts: list[Path]) -> str:
    """What the scripts print when they are run, one after another, in a user-mode Linux."""
    try:
        kernel = find_kernel()
        modules = find_modules(kernel)
    except Unavailable as error:
        pytest.skip(str(error))
    lines = ["#!/bin/sh", f"export PATH={':'.join(PLACES)} TMPDIR=/mnt"]
    lines += ["mount -t proc proc /proc", "mount -t sysfs sysfs /sys", "mount -t tmpfs tmpfs /mnt"]
    lines += [f"insmod {_plain(path, folder)}" for path, _ in _in_order(modules)]
    lines += [f"sh {path} 2>&1; echo exit $?" for path in scripts]
    lines += ["dmsetup ls; losetup -a; ls -A /mnt; echo THE END"]
    init = folder / "init"
    init.write_text("\n".join(lines))
    init.chmod(0o755)
    options = ["mem=256M", f"uml_dir={folder}/", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
    options += [f"init={init}", "con=null", "con0=null,fd:1", "quiet", "loglevel=0", "panic=-1", "lpj=10000000"]
    command = kernel_command(kernel, kernel_release(kernel), options)
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        timeout=240, text=True, check=False, cwd=folder,
    )  # fmt: skip
    return done.stdout.replace("\r", "").partition("THE END")[0]


def tools_missing(*tools: str) -> list[str]:
    return [tool for tool in tools if not any(Path(place, tool).exists() for place in PLACES)]


@pytest.mark.kernel
def test_a_kernel_does_what_the_script_expects(folder: Path) -> None:
    if missing := tools_missing("dmsetup", "losetup", "blkdiscard", "insmod"):
        pytest.skip(f"missing: {', '.join(missing)}")
    paths, expected = [], ""
    for name, text in {**{name: path.read_text() for name, path in IN_KERNEL.items()}, "blocking": BLOCKING}.items():
        steps = _complete(parse_trace(text))
        paths.append(folder / f"{name}.sh")
        paths[-1].write_text(shell_script(steps).text)
        expected += "".join(f"{_line(step)}\n" for step in steps) + "exit 0\n"
    seen, _, left = run_in_kernel(folder, paths).partition("No devices found")
    assert seen == expected
    assert left.strip() == ""


def _complete(steps: tuple[Step, ...]) -> list[Step]:
    """The steps, each with an outcome."""
    oracle = Oracle()
    for step in steps:
        outcome = step.outcome or oracle.expect(step.operation)
        assert oracle.observe(step.operation, outcome) is None
    return oracle.history


def _line(step: Step) -> str:
    assert step.outcome is not None
    return f"{print_operation(step.operation)} -> {print_outcome(step.outcome)}"
