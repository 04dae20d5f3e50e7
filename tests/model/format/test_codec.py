from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapmerge import Records, read_store
from snapmerge.format import codec, layout

words = st.integers(0, 2**32 - 1)
headers = st.builds(codec.Header, words, words, words, words)
old_new = st.tuples(st.integers(0, 2**64 - 1), st.integers(1, 2**64 - 1))
GOLDEN = bytes.fromhex("53 6e 41 70 01 00 00 00 01 00 00 00 08 00 00 00")


def reader(image: bytes) -> Callable[[int, int], bytes]:
    def read(sector: int, count: int) -> bytes:
        data = image[sector * 512 : (sector + count) * 512]
        assert len(data) == count * 512, "read beyond the end of the disk"
        return data

    return read


def store_image(records: tuple[tuple[int, int], ...], chunk_size: int, size: int) -> bytes:
    image = bytearray(size * 512)
    image[: chunk_size * 512] = codec.encode_header(codec.Header(codec.MAGIC, 1, 1, chunk_size), chunk_size)
    per_area = layout.exceptions_per_area(chunk_size)
    for area, first in enumerate(range(0, len(records), per_area)):
        at = layout.area_location(area, per_area) * chunk_size * 512
        data = codec.encode_records(records[first : first + per_area], chunk_size)
        image[at : at + len(data)] = data
    return bytes(image)


@pytest.mark.spec("LAYOUT-4")
def test_the_header_of_a_new_store_of_8_sector_chunks() -> None:
    header = codec.Header(codec.MAGIC, valid=1, version=1, chunk_size=8)
    data = codec.encode_header(header, 8)
    assert data == GOLDEN + bytes(8 * 512 - 16)
    assert codec.decode_header(data) == header


@pytest.mark.spec("LAYOUT-5")
def test_a_record_is_old_then_new_in_64_bits_little_endian() -> None:
    data = codec.encode_records(((0x0102030405060708, 2),), 1)
    assert data[:16].hex(" ") == "08 07 06 05 04 03 02 01 02 00 00 00 00 00 00 00"
    assert data[16:] == bytes(496)


@given(headers, st.integers(1, 64))
def test_a_header_comes_back(header: codec.Header, chunk_size: int) -> None:
    data = codec.encode_header(header, chunk_size)
    assert len(data) == chunk_size * 512
    assert codec.decode_header(data) == header


@given(st.lists(old_new, max_size=64).map(tuple))
def test_records_come_back(records: tuple[tuple[int, int], ...]) -> None:
    data = codec.encode_records(records, 2)
    assert len(data) == 1024
    assert codec.decode_records(data) == records


@pytest.mark.spec("LAYOUT-5")
@given(st.binary(max_size=1024))
def test_any_area_decodes_up_to_its_terminator(data: bytes) -> None:
    records = codec.decode_records(data)
    assert all(new for _, new in records)
    assert codec.encode_records(records, 2)[: len(records) * 16] == data[: len(records) * 16]


@pytest.mark.spec("LAYOUT-6")
@given(st.integers(0, 100), st.sampled_from([1, 2]))
def test_a_store_is_read_from_area_to_area(count: int, chunk_size: int) -> None:
    per_area = layout.exceptions_per_area(chunk_size)
    records = tuple((7 * k, int(layout.new_chunk(k, per_area))) for k in range(count))
    size = (layout.area_location(count // per_area + 1, per_area) + 1) * chunk_size
    assert read_store(reader(store_image(records, chunk_size, size)), size) == Records(
        "store", 1, 1, chunk_size, records
    )


def test_a_full_area_at_the_end_of_the_disk_ends_the_list() -> None:
    records = tuple((k, k + 2) for k in range(32))
    image = store_image(records, 1, 34)  # the second area would be chunk 34, just beyond the end
    assert read_store(reader(image), 34) == Records("store", 1, 1, 1, records)


def test_an_empty_disk_is_new_and_another_magic_is_foreign() -> None:
    assert read_store(reader(bytes(512)), 1) == Records("new")
    assert read_store(reader(b"LABELONE".ljust(512, b"\0")), 1) == Records("foreign")


@pytest.mark.parametrize("chunk_size", [0, 3, 1 << 22, 2**32 - 1])
def test_a_chunk_size_that_no_store_has_gives_no_records(chunk_size: int) -> None:
    image = codec.encode_header(codec.Header(codec.MAGIC, 1, 1, chunk_size), 8)
    assert read_store(reader(image), 8) == Records("store", 1, 1, chunk_size)


@given(st.binary(min_size=512, max_size=512), st.integers(1, 64))
def test_no_first_sector_makes_reading_a_store_fail(first: bytes, size: int) -> None:
    read_store(reader(first.ljust(size * 512, b"\x01")), size)
    read_store(reader((GOLDEN[:12] + first[:500]).ljust(size * 512, b"\x01")), size)
