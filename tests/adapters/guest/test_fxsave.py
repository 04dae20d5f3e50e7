"""A guest boots also where the processor has more registers than a user-mode Linux of its release knows."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

from snapmerge_adapters.guest import fxsave as _fxsave

_ASK = """
import ctypes, errno
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace({request}, 0, 0x202, 0)  # process 0 can't be traced: ESRCH, if nobody is in between
print(errno.errorcode[ctypes.get_errno()])
"""


@pytest.mark.parametrize(
    ("release", "flags", "needed"),
    [
        ("6.1.176", "fpu sse avx512f amx_tile", True),
        ("6.12.101", "fpu sse amx_tile amx_int8", True),
        ("6.13.1", "fpu sse amx_tile", False),
        ("7.2.7", "fpu sse amx_tile", False),
        ("6.1.176", "fpu sse avx512f", False),
    ],
)
def test_it_is_needed_by_old_releases_on_new_processors(release: str, flags: str, needed: bool, tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nflags\t\t: {flags}\n")
    assert _fxsave.is_needed(release, cpuinfo) is needed


def test_without_a_list_of_processors_it_is_not_needed(tmp_path: Path) -> None:
    assert not _fxsave.is_needed("6.1.176", tmp_path / "nothing")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the numbers are those of x86-64")
@pytest.mark.parametrize(("request_number", "errno"), [(0x4204, "ENODEV"), (0x4205, "ESRCH")])
def test_only_the_extended_registers_are_hidden(request_number: int, errno: str) -> None:
    program = [sys.executable, "-I", "-S", "-c", _ASK.format(request=request_number)]
    command = [sys.executable, "-I", "-S", _fxsave.__file__, *program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == errno
