from argparse import Namespace

import pytest

from snapmerge import MAINLINE
from snapmerge_adapters.cli.generation import choice_of, choices, rules_of
from snapmerge_adapters.cli.main import main


def test_without_the_option_it_is_that_of_real_kernels() -> None:
    assert rules_of(Namespace(generation=None)) is MAINLINE
    assert choice_of(Namespace(generation=None)).name == "mainline"


def test_no_two_have_one_name() -> None:
    names = [choice.name for choice in choices()]
    assert sorted(names) == sorted(set(names))


def test_a_kernel_has_one_generation_only(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--adapter", "guest", "--generation", "mainline"]) == 2
    assert capsys.readouterr().err == (
        "snapmerge: --generation is not for --adapter guest; it is for --adapter memory or --adapter file\n"
    )
