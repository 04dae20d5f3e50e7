import errno
from collections.abc import Callable

import pytest
from tests.adapters.kernel.test_faulty_disk import Store

from snapmerge import RequestKind, data_bytes
from snapmerge_adapters.kernel.faulty_disk import FaultyDisk
from snapmerge_adapters.kernel.gate import Gate, Held


class Kernel:
    """Sends requests to a disk behind a gate, and notes the answers."""

    def __init__(self) -> None:
        self.gate = Gate()
        self.store = Store()
        self.disk = FaultyDisk(self.store.storage(), volatile=True)
        self.answers: list[tuple[str, int, bytes]] = []

    def send(self, name: str, kind: RequestKind, sector: int = 0, count: int = 0, payload: bytes = b"") -> None:
        self.gate.enter(Held(self.disk, kind, sector, count, payload, self._noting(name), self.disk.mark))

    def _noting(self, name: str) -> Callable[[int, bytes], None]:
        return lambda error, data: self.answers.append((name, error, data))

    def answer(self, at: int, *, error: bool = False) -> None:
        self.gate.answer(self.gate.held()[at], error=error)

    def names(self) -> list[str]:
        return [name for name, _, _ in self.answers]


def test_an_open_gate_lets_requests_pass() -> None:
    kernel = Kernel()
    kernel.send("write", "write", 2, 1, data_bytes([7]))
    kernel.send("read", "read", 2, 1)
    assert kernel.answers == [("write", 0, b""), ("read", 0, data_bytes([7]))]


@pytest.mark.spec("CONTROL-2")
def test_a_closed_gate_answers_what_it_is_told_to() -> None:
    kernel = Kernel()
    kernel.gate.hold()
    kernel.send("first", "write", 0, 1, data_bytes([1]))
    kernel.send("second", "write", 0, 1, data_bytes([2]))
    kernel.send("third", "read", 0, 1)
    assert kernel.names() == []
    assert [held.kind for held in kernel.gate.held()] == ["write", "write", "read"]
    kernel.answer(1)
    kernel.answer(1)
    assert kernel.answers == [("second", 0, b""), ("third", 0, data_bytes([2]))]
    assert len(kernel.gate.held()) == 1


@pytest.mark.spec("CONTROL-2")
def test_a_request_that_fails_changes_nothing() -> None:
    kernel = Kernel()
    kernel.gate.hold()
    kernel.send("write", "fua", 0, 1, data_bytes([1]))
    kernel.answer(0, error=True)
    assert kernel.answers == [("write", errno.EIO, b"")]
    assert kernel.store.tags[0] == 0


def test_a_fault_of_the_disk_is_told() -> None:
    kernel = Kernel()
    kernel.disk.fault("read", 0, 1)
    kernel.send("read", "read", 0, 1)
    assert kernel.answers == [("read", errno.EIO, b"")]


def test_all_that_was_held_is_carried_out_in_its_order_in_the_end() -> None:
    kernel = Kernel()
    kernel.gate.hold()
    for name, tag in (("first", 1), ("second", 2)):
        kernel.send(name, "fua", 0, 1, data_bytes([tag]))
    kernel.send("third", "discard", 1, 1, data_bytes([0]))
    kernel.gate.release()
    assert kernel.names() == ["first", "second", "third"]
    assert kernel.store.tags[0] == 2
    assert not kernel.gate.held()
    assert not kernel.gate.closed


@pytest.mark.spec("CONTROL-7")
def test_a_flush_makes_durable_what_was_written_before_it_came() -> None:
    kernel = Kernel()
    kernel.gate.hold()
    kernel.send("before", "write", 0, 1, data_bytes([1]))
    kernel.answer(0)
    kernel.send("flush", "flush")
    kernel.send("after", "write", 0, 2, data_bytes([2, 3]))
    kernel.answer(1)
    kernel.answer(0)
    assert kernel.names() == ["before", "after", "flush"]
    assert kernel.store.tags[:2] == [1, 0]
    kernel.send("all", "flush")
    kernel.answer(0)
    assert kernel.store.tags[:2] == [2, 3]
