"""A kernel for the tests that want one: booted once, reset before each test."""

from collections.abc import Callable, Iterator

import pytest

from snapmerge import Implementation, Reset, Step, parse_trace, print_trace
from snapmerge_adapters import Guest, Unavailable

Replay = Callable[[Implementation, str], None]


@pytest.fixture(scope="session")
def booted() -> Iterator[Guest]:
    try:
        guest = Guest()
    except Unavailable as error:
        pytest.skip(str(error))
    yield guest
    guest.close()


@pytest.fixture
def guest(booted: Guest) -> Guest:
    booted.apply(Reset())
    return booted


def _replay(implementation: Implementation, trace: str) -> None:
    """Does what the trace says, and wants to see what it says."""
    steps = parse_trace(trace)
    seen = [Step(step.operation, implementation.apply(step.operation)) for step in steps]
    assert print_trace(seen) == print_trace(steps)


@pytest.fixture
def replay() -> Replay:
    return _replay
