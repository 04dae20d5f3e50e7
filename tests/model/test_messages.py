from hypothesis import given
from hypothesis import strategies as st

from snapmerge import shortened, shown


@given(st.text(max_size=300), st.integers(0, 250))
def test_a_text_is_shown_to_a_bound(text: str, most: int) -> None:
    short = shortened(text, most)
    assert short == text or (len(short) == most + 3 and text.startswith(short[:-3]))
    assert (short == text) == (len(text) <= most)


@given(st.text(max_size=100))
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    assert shown(text).isprintable()
    assert len(shown(text)) <= 10 * 63 + 2
