from pathlib import Path

import pytest

from snapmerge_adapters import Guest, Unavailable, kernels
from snapmerge_adapters.cli.main import main
from snapmerge_adapters.guest.guest import find_modules


@pytest.mark.kernel
def test_the_guests_kernel_is_among_them(guest: Guest) -> None:
    found = kernels(["no-such-kernel"])
    assert all(dict(kernel.versions).keys() >= {"snapshot", "snapshot-origin", "snapshot-merge"} for kernel in found)
    assert any(guest.capabilities.about.startswith(f"Linux {kernel.release},") for kernel in found)
    assert all(kernel.path is None or Path(kernel.path).is_file() for kernel in found)


def test_without_any_kernel_there_are_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("snapmerge_adapters.guest.kernels.os.geteuid", lambda: 1000)
    assert all(kernel.path is not None for kernel in kernels())


@pytest.mark.parametrize("answers", [True, False], ids=["it says its version", "it does not"])
def test_a_kernel_that_cannot_start_shows_what_it_said(answers: bool, tmp_path: Path) -> None:
    said = "libc.so.6: version 'GLIBC_2.38' not found"
    kernel, modules = tmp_path / "linux.fake", tmp_path / "modules"
    version = '[ "$1" = --version ] && { echo 6.1.0; exit 0; }' if answers else ""
    kernel.write_text(f'#!/bin/sh\n{version}\necho "$0: {said}" >&2\nexit 1\n')
    kernel.chmod(0o755)
    modules.mkdir()
    (modules / "modules.dep").touch()
    with pytest.raises(Unavailable) as caught:
        Guest(kernel=kernel, modules=modules)
    assert str(caught.value).startswith(str(kernel))
    assert said in str(caught.value)
    for command in ("kernels", "check --adapter guest"):
        assert main([*command.split(), "--kernel", str(kernel), "--modules", str(modules)]) == 2


def test_a_kernel_with_its_targets_built_in_needs_no_modules(tmp_path: Path) -> None:
    kernel = tmp_path / "bin" / "linux.fake"
    kernel.parent.mkdir()
    kernel.write_text('#!/bin/sh\n[ "$1" = --version ] && echo 0.0.1-fake\nexit\n')
    kernel.chmod(0o755)
    with pytest.raises(Unavailable, match=r"no modules of Linux 0\.0\.1-fake"):
        find_modules(kernel)
    with kernel.open("ab") as file:
        file.write(b"\0snapshot-merge\0")
    assert find_modules(kernel) is None
