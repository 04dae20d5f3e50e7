"""What every test run shares: Hypothesis profiles, what a missing kernel means, and a kernel for those who want one."""

import importlib
import os
import signal
import sysconfig
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from snapmerge import Implementation, Reset, Step, parse_trace, print_trace
from snapmerge_adapters import Guest, Unavailable

# No deadline: a test that boots a kernel, or shares two cores with another run, is not wrong for being slow once.
settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
# CI searches anew each time; print_blob makes a failure say how to replay it (@reproduce_failure).
settings.register_profile(
    "ci", settings.get_profile("default"), derandomize=False, database=None, print_blob=True, max_examples=200
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def pytest_configure() -> None:
    """Sets up what the tests rely on: signals that reach a child, and with SNAPMERGE_TEST_INSTALLED=1 the wheel."""
    # A shell ignores these for what it runs in the background, and what is ignored stays so in every child.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)
    _refuse_the_source_tree()


def _refuse_the_source_tree() -> None:
    if os.environ.get("SNAPMERGE_TEST_INSTALLED") != "1":
        return
    site = Path(sysconfig.get_path("purelib")).resolve()
    for name in ("snapmerge", "snapmerge_specs", "snapmerge_adapters"):
        found = Path(str(importlib.import_module(name).__file__)).resolve()
        if site not in found.parents:
            raise pytest.UsageError(f"{name} comes from {found}, not from {site}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With SNAPMERGE_REQUIRE_KERNEL=1, a kernel test that skips has failed: nothing was shown."""
    report = yield
    required = os.environ.get("SNAPMERGE_REQUIRE_KERNEL") == "1"
    if required and report.skipped and not hasattr(report, "wasxfail") and item.get_closest_marker("kernel"):
        report.outcome = "failed"
        report.longrepr = f"SNAPMERGE_REQUIRE_KERNEL=1, but {item.nodeid} was skipped: {report.longrepr}"
    return report


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
