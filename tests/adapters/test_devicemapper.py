import os

import pytest

from snapmerge_adapters import DeviceMapper, Unavailable


def test_it_wants_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("snapmerge_adapters._devicemapper.os.geteuid", lambda: 1000)
    with pytest.raises(Unavailable, match="root"):
        DeviceMapper("/dev/null")


@pytest.mark.skipif(os.geteuid() != 0, reason="asks for a missing device as root")
@pytest.mark.parametrize("path", ["/dev/no-such-device", "/dev/null"])
def test_a_backing_device_that_is_none_is_said_in_a_line(path: str) -> None:
    with pytest.raises(Unavailable, match="can't be used"):
        DeviceMapper(path)
