from pathlib import Path

import pytest

from snapmerge_adapters.kernel.kmsg import KernelLog, explanation, trouble

NAMES = {"254:3": "snap", "254:1": "base", "dm-1": "base"}


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        ([], None),
        (["something else"], None),
        (["device-mapper: ioctl: error adding target to table"], None),
        (
            [
                "device-mapper: table: 254:3: snapshot: Couldn't create exception store (-EINVAL)",
                "device-mapper: ioctl: error adding target to table",
            ],
            "snapshot: Couldn't create exception store",
        ),
        (
            ["device-mapper: table: 254:3: dm-1 too small for target: start=0, len=136, dev_size=128"],
            "base too small for target: start=0, len=136, dev_size=128",
        ),
        (
            [
                "device-mapper: snapshots: Unable to perform snapshot handover until source is suspended.",
                "device-mapper: table: 254:3: snapshot-merge: preresume failed, error = -22",
            ],
            "snapshots: Unable to perform snapshot handover until source is suspended.",
        ),
        (
            [
                "device-mapper: table: 254:3: device base not in table devices list",
                "device-mapper: table: 254:3: snapshot: COW device cannot be the same as origin device (-EINVAL)",
                "device-mapper: table: 254:3: dm_table_destroy: dm_put_device call missing for 254:0",
            ],
            "snapshot: COW device cannot be the same as origin device",
        ),
        (["device-mapper: core: 254:1 and 254:9: -5"], "core: base and 254:9"),
    ],
)
def test_the_kernels_reason_is_found(lines: list[str], text: str | None) -> None:
    assert explanation(lines, NAMES.get) == text


def test_what_is_said_of_the_table_of_another_device_explains_nothing() -> None:
    lines = [
        "device-mapper: table: 254:1: snapshot-merge: A snapshot is already merging. (-EINVAL)",
        "device-mapper: table: dm-4: snapshot-merge: Chunk size not set (-EINVAL)",
        "device-mapper: table: 254:3: snapshot: Failed to read snapshot metadata (-EIO)",
    ]
    assert explanation(lines, NAMES.get, "254:3") == "snapshot: Failed to read snapshot metadata"
    assert explanation(lines, NAMES.get, "254:4") == "snapshot-merge: Chunk size not set"
    assert explanation(lines, NAMES.get, "254:5") is None


def test_what_is_said_with_another_errno_explains_nothing() -> None:
    lines = [
        "device-mapper: table: 254:3: snapshot: Couldn't create exception store (-EINVAL)",
        "device-mapper: table: 254:3: snapshot: Failed to read snapshot metadata (-EIO)",
    ]
    assert explanation(lines, NAMES.get, errno="EIO") == "snapshot: Failed to read snapshot metadata"
    assert explanation(lines, NAMES.get, errno="EINVAL") == "snapshot: Couldn't create exception store"
    assert explanation(lines[:1], NAMES.get, "254:3", "ENXIO") is None


def test_trouble_is_told_from_its_first_line_on() -> None:
    lines = ["device-mapper: ioctl: fine", "WARNING: CPU: 0 PID: 1 at x.c:1", "Call Trace:"]
    assert trouble(lines) == "WARNING: CPU: 0 PID: 1 at x.c:1\nCall Trace:"
    assert trouble(lines[:1]) is None


def test_without_a_log_nothing_is_said(tmp_path: Path) -> None:
    log = KernelLog(str(tmp_path / "none"))
    assert not log.readable
    log.forget()
    assert log.lines() == []
    log.close()
