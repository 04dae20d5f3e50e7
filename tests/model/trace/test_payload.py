import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapmerge import Digest, as_seen, content_of, contents, data_bytes, sector_bytes, tags_from

tags = st.integers(0, 2**32 - 1)
sectors = st.binary(min_size=512, max_size=512)


@pytest.mark.spec("TRACE-11")
def test_the_bytes_of_a_tag() -> None:
    assert sector_bytes(0) == bytes(512)
    assert sector_bytes(0x01020304) == bytes.fromhex("04030201") * 128


@given(tags)
def test_a_tag_is_recognised(tag: int) -> None:
    data = sector_bytes(tag)
    assert len(data) == 512
    assert content_of(data) == tag
    assert as_seen(content_of(data)) == tag


@given(sectors)
def test_a_sector_keeps_its_bytes(data: bytes) -> None:
    assert sector_bytes(content_of(data)) == data


@pytest.mark.spec("TRACE-12")
@given(tags, st.integers(0, 511), st.integers(1, 255))
def test_one_flipped_byte_is_no_tag(tag: int, at: int, flip: int) -> None:
    data = bytearray(sector_bytes(tag))
    data[at] ^= flip
    seen = as_seen(content_of(bytes(data)))
    assert isinstance(seen, Digest)
    assert seen == hashlib.sha256(data).hexdigest()[:16]


@given(st.lists(tags | sectors.filter(lambda data: isinstance(content_of(data), bytes)), max_size=8))
def test_consecutive_sectors_come_back(expected: list[int | bytes]) -> None:
    assert list(contents(data_bytes(expected))) == expected


@pytest.mark.spec("TRACE-7")
def test_sector_k_of_a_write_carries_tag_plus_k() -> None:
    assert list(tags_from(7, 3)) == [7, 8, 9]
