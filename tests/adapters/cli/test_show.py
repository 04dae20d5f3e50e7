import io

import pytest

from snapmerge_adapters.cli.show import Bar, coloured, one_line, table


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def colourful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_colours_are_for_terminals_that_want_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert coloured("ok", "green", Terminal()) == "\x1b[32mok\x1b[0m"
    assert coloured("ok", "green", io.StringIO()) == "ok"
    monkeypatch.setenv("NO_COLOR", "1")
    assert coloured("ok", "green", Terminal()) == "ok"


def test_a_dumb_terminal_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    assert coloured("ok", "green", Terminal()) == "ok"


def test_the_bar_is_drawn_on_a_terminal_and_taken_away() -> None:
    stream = Terminal()
    bar = Bar("checking", stream)
    for done in (0, 1, 1, 2):
        bar(done, 2)
    bar.clear()
    bar.clear()
    assert stream.getvalue() == (
        f"\rchecking [{'.' * 30}] 0/2\x1b[K"
        f"\rchecking [{'#' * 15}{'.' * 15}] 1/2\x1b[K"
        f"\rchecking [{'#' * 30}] 2/2\x1b[K"
        "\r\x1b[K"
    )


def test_the_bar_is_silent_elsewhere() -> None:
    stream = io.StringIO()
    bar = Bar("checking", stream)
    bar(1, 2)
    bar.clear()
    assert stream.getvalue() == ""


def test_a_table_wraps_its_second_column() -> None:
    text = table([("a", "one two three four five six seven"), ("name", ""), ("x", "y")], width=27)
    assert text == "a      one two three four\n       five six seven\nname\nx      y\n"


def test_a_table_does_not_wrap_at_a_no_break_space() -> None:
    assert table([("a", "12345678901234567 one\xa02")], width=24) == "a   12345678901234567\n    one 2\n"


def test_one_line_has_no_control_characters() -> None:
    assert one_line("a\n  b\x1b[31m\tc") == "a b [31m c"
