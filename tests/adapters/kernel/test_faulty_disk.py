import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapmerge import contents, data_bytes
from snapmerge_adapters.kernel.faulty_disk import FaultyDisk, Storage

SECTORS = 8


class Store:
    """Eight sectors, all of tag 0."""

    def __init__(self) -> None:
        self.tags = [0] * SECTORS

    def storage(self) -> Storage:
        def read(sector: int, count: int) -> bytes:
            return data_bytes(self.tags[sector : sector + count])

        def write(sector: int, data: bytes) -> None:
            tags = [int(content) for content in contents(data) if isinstance(content, int)]
            self.tags[sector : sector + len(tags)] = tags

        return Storage(read, write)


def tags(data: bytes) -> list[object]:
    return list(contents(data))


def test_without_faults_it_is_the_storage() -> None:
    store = Store()
    disk = FaultyDisk(store.storage())
    disk.write(2, data_bytes([5, 6]))
    assert store.tags == [0, 0, 5, 6, 0, 0, 0, 0]
    assert tags(disk.read(1, 3)) == [0, 5, 6]


def test_a_read_fault_fails_what_touches_it() -> None:
    disk = FaultyDisk(Store().storage())
    disk.fault("read", 3, 2)
    assert tags(disk.read(0, 3)) == [0, 0, 0]
    for sector, count in ((0, 4), (3, 1), (4, 1), (4, 4), (0, 8)):
        with pytest.raises(OSError, match="Input/output error"):
            disk.read(sector, count)
    disk.write(3, data_bytes([1]))
    disk.flush()
    disk.heal()
    assert tags(disk.read(3, 1)) == [1]


def test_a_failing_write_still_writes_what_is_outside() -> None:
    store = Store()
    disk = FaultyDisk(store.storage())
    disk.fault("write", 2, 1)
    disk.fault("write", 5, 1)
    with pytest.raises(OSError, match="Input/output error"):
        disk.write(1, data_bytes([1, 2, 3, 4, 5, 6]))
    assert store.tags == [0, 1, 0, 3, 4, 0, 6, 0]


def test_a_flush_fault_fails_flushes_and_writes_that_want_one() -> None:
    store = Store()
    disk = FaultyDisk(store.storage(), volatile=True)
    disk.write(0, data_bytes([1]))
    disk.fault("flush", 7, 1)
    with pytest.raises(OSError, match="Input/output error"):
        disk.flush()
    with pytest.raises(OSError, match="Input/output error"):
        disk.write(1, data_bytes([2]), fua=True)
    assert store.tags == [0] * SECTORS
    disk.heal()
    disk.flush()
    assert store.tags[:2] == [1, 0]


Write = st.tuples(st.integers(0, SECTORS - 1), st.integers(1, 99), st.sampled_from(["write", "fua", "flush"]))


@given(st.lists(Write, max_size=12), st.integers(0, 99))
def test_a_power_cut_keeps_the_durable_and_any_of_the_rest(writes: list[tuple[int, int, str]], seed: int) -> None:
    store = Store()
    disk = FaultyDisk(store.storage(), volatile=True)
    newest, allowed = [0] * SECTORS, [{0} for _ in range(SECTORS)]
    for sector, tag, how in writes:
        if how == "flush":
            disk.flush()
            allowed = [{newest[at]} for at in range(SECTORS)]
            continue
        disk.write(sector, data_bytes([tag]), fua=how == "fua")
        newest[sector] = tag
        allowed[sector] = {tag} if how == "fua" else allowed[sector] | {tag}
        assert tags(disk.read(0, SECTORS)) == newest
    disk.power_off(str(seed))
    with pytest.raises(OSError, match="Input/output error"):
        disk.read(0, 1)
    with pytest.raises(OSError, match="Input/output error"):
        disk.write(0, data_bytes([1]))
    disk.power_on()
    assert all(tag in choice for tag, choice in zip(store.tags, allowed, strict=True))
    assert tags(disk.read(0, SECTORS)) == store.tags


def _after_a_cut(writes: list[tuple[int, int]], seed: str) -> list[int]:
    store = Store()
    disk = FaultyDisk(store.storage(), volatile=True)
    for sector, tag in writes:
        disk.write(sector, data_bytes([tag]))
    disk.power_off(seed)
    return store.tags


WRITES = [(sector, sector + 1) for sector in range(8)]


def test_a_power_cut_depends_on_its_seed_and_on_what_is_cached_alone() -> None:
    cuts = [_after_a_cut(WRITES, f"{seed}") for seed in range(30)]
    assert len(set(map(tuple, cuts))) > 8
    assert [_after_a_cut(WRITES[::-1], f"{seed}") for seed in range(30)] == cuts


def test_power_cuts_with_one_seed_vary_with_what_is_cached() -> None:
    cuts = [_after_a_cut([(sector, tag + first) for sector, tag in WRITES], "0") for first in range(30)]
    kept = {tuple(tag > 0 for tag in cut) for cut in cuts}
    assert len(kept) > 8
