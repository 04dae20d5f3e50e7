import pytest
from hypothesis import given
from hypothesis import strategies as st

import snapmerge as sm
from snapmerge.format.store import Persistent, Transient
from snapmerge.machine.core import table_line as table
from snapmerge.machine.snapshot import args as arguments
from snapmerge.units import is_chunk_size


@pytest.mark.spec("CTOR-5")
@pytest.mark.parametrize(
    ("kind", "letters"),
    [("P", "P"), ("p", "P"), ("PO", "PO"), ("po", "PO"), ("Pox", "PO"), ("N", "N"), ("n", "N"), ("NO", "N")],
)
def test_a_store_is_named_by_its_first_letter(kind: str, letters: str) -> None:
    store = arguments.parse_store(kind, "8")
    assert store is not None
    assert store.letters == letters


@pytest.mark.spec("CTOR-5")
@pytest.mark.parametrize("kind", ["X", "PX", "8", "OP"])
def test_nothing_else_is_a_store(kind: str) -> None:
    assert arguments.parse_store(kind, "8") is None


@pytest.mark.spec("CTOR-6")
@pytest.mark.spec("UNIT-1")
@given(st.integers(0, 30))
def test_a_chunk_size_is_a_power_of_two_up_to_1_gib(shift: int) -> None:
    size = 1 << shift
    assert arguments.parse_store("P", str(size)) == (Persistent(size) if shift <= 21 else None)
    assert is_chunk_size(size + 1) == (size == 1)


@pytest.mark.spec("CTOR-6")
@pytest.mark.parametrize("word", ["8k", "abc", "-8", "", "0x8", "3", "99999999999999999999"])
def test_nothing_else_is_a_chunk_size(word: str) -> None:
    assert arguments.parse_store("P", word) is None


def test_a_chunk_size_of_0_is_not_supplied() -> None:
    assert arguments.parse_store("P", "0") == Persistent(0, supplied=False)
    assert arguments.parse_store("N", "0") == Transient(0)


@pytest.mark.spec("CTOR-7")
@pytest.mark.parametrize(
    ("args", "words"),
    [
        ("", ""),
        ("0", ""),
        ("0 trailing junk", ""),
        ("1 DISCARD_zeroes_COW", "1 discard_zeroes_cow"),
        ("1 discard_zeroes_cow junk", "1 discard_zeroes_cow"),
        ("2 discard_passdown_origin discard_zeroes_cow", "2 discard_zeroes_cow discard_passdown_origin"),
    ],
)
def test_features_are_counted_words_in_either_case(args: str, words: str) -> None:
    assert " ".join(arguments.parse_features(tuple(args.split())).words) == words


@pytest.mark.spec("CTOR-7")
@pytest.mark.parametrize("args", ["x", "-1", "3 a b c", "1", "1 junk"])
def test_features_that_are_none_are_refused(args: str) -> None:
    with pytest.raises(table.BadTable):
        arguments.parse_features(tuple(args.split()))


def test_a_table_is_lines_of_start_length_target_arguments() -> None:
    lines = table.parse_table("0 8 linear a 0;  8 8 snapshot-origin b ")
    assert [table.print_line(line) for line in lines] == ["0 8 linear a 0", "8 8 snapshot-origin b"]


@pytest.mark.parametrize(
    "text", ["", "0 8", "x 8 linear a 0", "0 -8 linear", "0 8 linear a 0;", "0 8 sixteen-letters-"]
)
def test_what_no_tool_would_send_is_the_callers_fault(text: str) -> None:
    with pytest.raises(sm.OperationError):
        table.parse_table(text)
