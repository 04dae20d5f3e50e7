from pathlib import Path

import pytest

from snapmerge_adapters import Guest, kernels


@pytest.mark.kernel
def test_the_guests_kernel_is_among_them(guest: Guest) -> None:
    found = kernels(["no-such-kernel"])
    assert all(dict(kernel.versions).keys() >= {"snapshot", "snapshot-origin", "snapshot-merge"} for kernel in found)
    assert any(guest.capabilities.about.startswith(f"Linux {kernel.release},") for kernel in found)
    assert all(kernel.path is None or Path(kernel.path).is_file() for kernel in found)


def test_without_any_kernel_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("snapmerge_adapters._kernels.os.geteuid", lambda: 1000)
    assert all(kernel.path is not None for kernel in kernels())
