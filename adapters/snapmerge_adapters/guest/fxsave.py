"""Starts a program without the processor's extended registers, as far as ``ptrace`` is asked for them.

A user-mode Linux before 6.13 keeps 2,696 bytes of a process's extended registers (AVX and the like), and puts back as
many.  On processors with more (with AMX it is 11,008) the host refuses that, and the guest dies of its first process.
If ``ptrace`` reports none, the kernel saves the classic registers (FXSAVE).  The extended ones are then lost at every
page fault, so programs in the guest must not use them: ``_WITHOUT_EXTENDED`` keeps its libraries from that.

Run as a script: ``python -I -S _fxsave.py PROGRAM ARGUMENT ...``.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

__all__ = ["is_needed", "kernel_command"]

_WITHOUT_EXTENDED: Final = (
    "GLIBC_TUNABLES=glibc.cpu.hwcaps=-AVX_Fast_Unaligned_Load,-AVX,-AVX2,-FMA,-AVX512F,-AVX512VL,-AVX512BW",
    "OPENSSL_ia32cap=~0x1000000000000000:~0xC0230020",  # AVX; AVX2 and AVX-512
)
"""The environment that keeps a guest's C library and OpenSSL from using what is not saved."""

_PR_SET_SECCOMP: Final = 22
_PR_SET_NO_NEW_PRIVS: Final = 38
_SECCOMP_MODE_FILTER: Final = 2
_SYS_PTRACE: Final = 101  # x86-64, the only one with AMX
_PTRACE_GETREGSET: Final = 0x4204
_NT_X86_XSTATE: Final = 0x202
_LOAD: Final = 0x20
_JUMP_IF_EQUAL: Final = 0x15
_RETURN: Final = 0x06
_ALLOW: Final = 0x7FFF0000
_ENODEV: Final = 0x00050000 | 19


def is_needed(release: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether a user-mode Linux of this release can't cope with the registers of this machine."""
    major, minor = (int(part) for part in release.split(".")[:2])
    try:
        return (major, minor) < (6, 13) and "amx_tile" in cpuinfo.read_text().split()
    except OSError:
        return False


def kernel_command(kernel: Path, release: str, options: Iterable[str]) -> list[str]:
    """The command that boots a user-mode Linux of this release with these options, on this machine."""
    if not is_needed(release):
        return [str(kernel), *options]
    return [sys.executable, "-I", "-S", __file__, str(kernel), *options, *_WITHOUT_EXTENDED]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_void_p))


def _filter() -> bytes:
    """``ptrace(PTRACE_GETREGSET, ..., NT_X86_XSTATE, ...)`` is ENODEV, all else allowed."""
    # Offsets in struct seccomp_data: the call's number at 0, its arguments from 16 on, 8 bytes each.
    steps = [
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_EQUAL, 0, 5, _SYS_PTRACE),
        (_LOAD, 0, 0, 16),
        (_JUMP_IF_EQUAL, 0, 3, _PTRACE_GETREGSET),
        (_LOAD, 0, 0, 32),
        (_JUMP_IF_EQUAL, 0, 1, _NT_X86_XSTATE),
        (_RETURN, 0, 0, _ENODEV),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return b"".join(struct.pack("<HBBI", *one) for one in steps)


def _main(command: list[str]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    code = _filter()
    buffer = ctypes.create_string_buffer(code)  # a name of its own keeps it: the structure only has its address
    program = _Program(len(code) // 8, ctypes.addressof(buffer))
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0
    ):
        sys.exit(f"seccomp: {os.strerror(ctypes.get_errno())}")
    os.execv(command[0], command)


if __name__ == "__main__":
    _main(sys.argv[1:])
