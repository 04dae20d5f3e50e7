"""What is asked of the kernel without the library: started operations do it while others are at work."""

import errno
import os
from pathlib import Path

import pytest

from snapmerge_adapters.kernel import libdm
from snapmerge_adapters.kernel.libdm import Control, DmError


@pytest.fixture
def asked() -> list[tuple[int, bytes]]:
    return []


@pytest.fixture
def control(asked: list[tuple[int, bytes]]) -> Control:
    def ioctl(_file: object, request: int, head: bytearray) -> None:
        if b"missing" in head:
            raise OSError(errno.ENXIO, os.strerror(errno.ENXIO))
        asked.append((request, bytes(head)))

    return Control(Path(os.devnull), ioctl)


def test_suspend_resume_and_remove_are_ioctls_of_their_own(control: Control, asked: list[tuple[int, bytes]]) -> None:
    control.resume("a")
    control.suspend("a")
    control.suspend("a", noflush=True)
    control.remove("a")
    assert [request & 0xFF for request, _ in asked] == [6, 6, 6, 4]  # DM_DEV_SUSPEND and DM_DEV_REMOVE
    assert [int.from_bytes(head[28:32], "little") for _, head in asked] == [0, 2, 2 | 1 << 11, 0]
    for request, head in asked:
        assert request >> 16 & 0x3FFF == len(head) == 312
        assert head[:16] == b"\4\0\0\0" + bytes(8) + (312).to_bytes(4, "little")
        assert head[48:176] == b"a".ljust(128, b"\0")


def test_the_kernels_errno_is_kept(control: Control, asked: list[tuple[int, bytes]]) -> None:
    with pytest.raises(DmError) as caught:
        control.remove("missing")
    assert caught.value.errno == errno.ENXIO
    assert asked == []


def test_the_library_is_asked_for_nothing_that_it_keeps_for_all_threads() -> None:
    assert "dm_task_update_nodes" not in libdm._PROTOTYPES
