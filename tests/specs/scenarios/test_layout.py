"""The layouts of scenarios: everything that the grammar of tables allows, but for what is left out with a reason."""

from collections.abc import Callable
from itertools import product
from random import Random

from snapmerge_adapters import Memory
from snapmerge_specs.scenarios.layout import FEATURES, LEFT_OUT, draw_layout

KINDS = ("P", "PO", "N")


def _tables(seed: int) -> list[list[str]]:
    draw = Random(seed).randint
    layout = draw_layout(draw, Memory().capabilities)
    numbers = range(len(layout.cows))
    tables = [layout.origin_table]
    tables += [make(draw, i) for i in numbers for make in (layout.snapshot_table, layout.merge_table)]
    return [table.split() for table in tables]


LINES = [words for seed in range(1500) for words in _tables(seed)]


def test_every_target_kind_of_store_and_feature_is_drawn_together() -> None:
    drawn = {(words[2], words[5], " ".join(words[7:])) for words in LINES if len(words) > 4}
    wanted = set(product(("snapshot", "snapshot-merge"), KINDS, (words.strip() for words in FEATURES)))
    assert drawn == wanted


def test_what_is_left_out_is_not_drawn_and_nothing_else_is_left_out() -> None:
    shaped: dict[str, Callable[[list[str]], object]] = {
        "a line that does not begin at sector 0": lambda words: words[0] != "0",
        "several lines in a table": lambda words: ";" in words,
        "chunks of more than 32 sectors": lambda words: len(words) > 6 and int(words[6]) > 32,
        "features without discard_zeroes_cow": lambda words: words[7:8] == ["1"] and "discard_zeroes_cow" not in words,
        "a table that names its own device": lambda words: {"origin", "snap0", "snap1", "snap2"} & set(words[3:5]),
        "discards with zeroes or errors below": lambda words: words[7:] and words[4].startswith("blank"),
        "a COW device that is an origin, too": lambda words: words[3].startswith("cow"),
    }
    assert shaped.keys() == LEFT_OUT.keys()
    for name, has_it in shaped.items():
        assert not any(has_it(words) for words in LINES), name


def test_lengths_and_chunk_sizes_vary() -> None:
    assert {int(words[6]) for words in LINES if len(words) > 6} == {0, 1, 2, 4, 8, 16, 32}
    snapshots = [words for words in LINES if words[2] == "snapshot"]
    assert any(int(words[1]) % int(words[6] or 1) for words in snapshots if int(words[6]))
