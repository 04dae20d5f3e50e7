from collections.abc import Callable, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.model._play import disk_with, play

import snapmerge as sm
from snapmerge.format import codec

HEAD = codec.Header(codec.MAGIC, valid=1, version=1, chunk_size=1)
SMALL = 70  # sectors: the header, area 0 with 32 chunks of data, area 1 in chunk 34, and room for 32 more


def reader(image: bytes) -> Callable[[int, int], bytes]:
    return lambda sector, count: image[sector * 512 : (sector + count) * 512]


def problems(image: bytes, size: int | None = None) -> list[sm.StoreProblem]:
    return list(sm.store_problems(reader(image), len(image) // 512 if size is None else size))


def store(*areas: Iterable[tuple[int, int]], size: int = SMALL, **fields: int) -> bytes:
    """A store with chunks of one sector, whose header has these fields."""
    head = codec.Header(**({"magic": codec.MAGIC, "valid": 1, "version": 1, "chunk_size": 1} | fields))
    image = bytearray(codec.encode_header(head, 1).ljust(size * 512, b"\0"))
    for at, records in zip((1, 34), areas, strict=False):
        image[at * 512 : (at + 1) * 512] = codec.encode_records(tuple(records), 1)
    return bytes(image)


FULL = [(old, old + 2) for old in range(32)]
CASES = {
    "a good store": (store([(5, 2), (4, 3)]), [], False),
    "a full area and the next": (store(FULL, [(40, 35)]), [], False),
    "a new one": (bytes(4) + b"x" * 1020, [], False),
    "none of ours": (b"LABELONE".ljust(1024), ["header, magic (byte 0): the magic is 0x4542414c; a store"], True),
    "no header": (b"SnAp\1", ["header (byte 0): the disk ends after 5 of the header's 16 bytes; a store has"], True),
    "nothing": (b"", ["header (byte 0): the disk ends after 0 of the header's 16 bytes; a store has"], True),
    "valid": (store(valid=7), ["header, valid (byte 4): valid is 7; it is 1 or 0"], False),
    "version": (store(version=2), ["header, version (byte 8): the version is 2; it is 1"], True),
    "chunk size": (store(chunk_size=3), ["header, chunk size (byte 12): the chunk size is 3 sectors; it is"], True),
    "two at once": (
        store(version=0, chunk_size=0),
        ["header, version (byte 8): the version is 0", "header, chunk size (byte 12): the chunk size is 0 sectors"],
        True,
    ),
    "into the header's area": (
        store([(0, 1)]), ["area 0, record 0 (byte 520): new chunk 1 is area 0's; data are in no metadata chunk"], False
    ),
    "into another area": (store([(0, 34)]), ["area 0, record 0 (byte 520): new chunk 34 is area 1's; data"], False),
    "beyond the end": (
        store([(0, 2), (1, 70)]),
        ["area 0, record 1 (byte 536): new chunk 70 is beyond the end of the disk; its last chunk is 69"],
        False,
    ),
    "old twice": (
        store([(0, 2), (0, 3)]),
        ["area 0, record 1 (byte 528): old chunk 0 has an exception already, area 0, record 0; a chunk of the origin"],
        False,
    ),
    "new twice, in two areas": (
        store(FULL, [(40, 2)]),
        ["area 1, record 0 (byte 17416): new chunk 2 is taken already, area 0, record 0; each exception has a chunk"],
        False,
    ),
    "no first area": (
        store(size=1), ["area 0 (byte 512): it would be chunk 1, and the disk ends after chunk 0; the first"], True
    ),
    "no area after a full one": (
        store(FULL, size=34),
        ["area 1 (byte 17408): it would be chunk 34, and the disk ends after chunk 33; the first area is there"],
        True,
    ),
    "invalid, and no area": (
        store(FULL, size=34, valid=0), ["area 1 (byte 17408): it would be chunk 34"], False
    ),
}  # fmt: skip


@pytest.mark.spec("LAYOUT-8")
@pytest.mark.parametrize(("image", "said", "refused"), CASES.values(), ids=CASES)
def test_each_mistake_is_named_with_its_place(image: bytes, said: list[str], refused: bool) -> None:
    found = problems(image)
    assert [str(one)[: len(text)] for one, text in zip(found, said, strict=True)] == said
    assert any(one.refused for one in found) == refused


@pytest.mark.spec("LAYOUT-8")
def test_an_area_that_is_cut_off_ends_there() -> None:
    image = store([(5, 2)])[:1000]
    assert sm.read_store(reader(image), 8) == sm.Records("store", 1, 1, 1, ((5, 2),))
    (found,) = problems(image, 8)
    assert str(found) == "area 0 (byte 1000): it ends after 488 of 512 bytes; an area is a whole chunk"


headers = st.one_of(
    st.binary(max_size=40),
    st.tuples(
        st.sampled_from([0, codec.MAGIC, codec.MAGIC, codec.MAGIC, 7]),
        st.integers(0, 2),
        st.sampled_from([1, 1, 1, 0, 2, 2**32 - 1]),
        st.sampled_from([1, 1, 1, 2, 4, 0, 3, 32, 2**21, 2**22, 2**32 - 1]),
    ).map(lambda fields: codec.encode_header(codec.Header(*fields), 1)),
)
numbers = st.integers(0, 80) | st.integers(0, 2**64 - 1)
records = st.lists(st.tuples(numbers, numbers.map(lambda new: new or 1)), max_size=32).map(
    lambda some: codec.encode_records(tuple(some), 1)
)
images = st.builds(lambda head, *areas: head + b"".join(areas), headers, records, st.binary(max_size=520), records)


@pytest.mark.spec("LAYOUT-9")
@given(images, st.integers(-1, 100))
def test_any_bytes_have_a_view_and_their_mistakes(image: bytes, size: int) -> None:
    seen = sm.read_store(reader(image), size)
    assert sm.parse_outcome(sm.print_outcome(seen)) == seen
    found = problems(image, size)
    assert all(str(one) for one in found)
    assert [one.byte for one in found] == sorted(one.byte for one in found)
    assert (seen.kind == "foreign") <= bool(found)


@pytest.mark.spec("LAYOUT-8")
@given(headers, records, st.binary(max_size=16), st.integers(2, 9) | st.integers(2, SMALL))
def test_what_is_refused_is_what_the_constructor_refuses(head: bytes, area: bytes, more: bytes, size: int) -> None:
    image = (head.ljust(512, b"\0") + area + bytes(32 * 512) + more).ljust(SMALL * 512, b"\0")[: size * 512]
    session = play("create new", disk_with(size, 0, image))
    result, _ = sm.operate(session, sm.Load("new", "0 64 snapshot base cow P 1"))
    assert (result != sm.Done()) == any(one.refused for one in problems(image))


@pytest.mark.spec("LAYOUT-8")
@given(st.integers(0, 60))
def test_a_store_that_was_made_by_the_rules_has_no_mistake(count: int) -> None:
    per_area = 32
    made = [(7 * k, 2 + k + k // per_area) for k in range(count)]
    assert problems(store(made[:per_area], made[per_area:])) == []
