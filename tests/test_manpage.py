"""The manual page says what ``--help`` says, and roff has nothing against it."""

import os
import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest
from tests.manpage import PAGE, page

from snapmerge_adapters.cli.parser import make_parser


def test_the_page_is_in_step_with_the_help() -> None:
    assert PAGE.read_text() == page(), "python -m tests.manpage > docs/snapmerge.1 writes it anew"


@pytest.mark.skipif(shutil.which("groff") is None, reason="groff is not there")
def test_roff_takes_it_without_a_warning() -> None:
    command = ["groff", "-man", "-Tutf8", "-ww", "-rLL=200n", str(PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    assert "An executable reference model" in done.stdout


def test_it_has_every_option_and_exit_code() -> None:
    text = PAGE.read_text().replace("\\-", "-")
    assert all(f".B {code}\n" in text for code in (0, 1, 2, 130))
    for action in make_parser()._actions:
        for command in action.choices or ():
            assert f".SS snapmerge {command}" in text
    assert all(text.count(rf"\fB{option}\fR") == 1 for option in ("--adapter", "--runs", "--rounds", "--version"))


@pytest.mark.skipif(os.environ.get("SNAPMERGE_TEST_INSTALLED") != "1", reason="only a wheel installs it")
def test_the_wheel_installs_it() -> None:
    installed = Path(sysconfig.get_path("data")) / "share" / "man" / "man1" / PAGE.name
    assert installed.read_text() == PAGE.read_text()
