import os

import pytest

from snapmerge_adapters import DeviceMapper, Unavailable


def test_it_wants_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snapmerge_adapters.kernel.devicemapper.os.geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="root"):
        DeviceMapper("/dev/null")


@pytest.mark.skipif(os.geteuid() != 0, reason="asks for a missing device as root")
@pytest.mark.parametrize("path", ["/dev/no-such-device", "/dev/null"])
def test_a_backing_device_that_is_none_is_said_in_a_line(path: str) -> None:
    with pytest.raises(Unavailable, match="can't be used"):
        DeviceMapper(path)


def test_a_backing_device_with_other_blocks_is_not_modelled(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("os.geteuid", 0), ("Path.is_block_device", True), ("is_free", True), ("block_size", 4096)):
        monkeypatch.setattr(f"snapmerge_adapters.kernel.devicemapper.{name}", lambda *_, value=value: value)
    with pytest.raises(Unavailable, match="/dev/sdz has blocks of 4096 bytes; others than 512 are not modelled"):
        DeviceMapper("/dev/sdz")
