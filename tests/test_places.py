"""The index of places says what the sources say."""

from tests.places import HEADING, indexed, reasons

EXPLAINED, NEW = (f"MERGE-{number}" for number in (998, 999))  # in pieces, as no source cites what no page states


def test_a_statement_has_its_places_its_reason_or_an_empty_row() -> None:
    prose = f"**MERGE-5** Said.\n\n**{EXPLAINED}** Not done.\n\n**{NEW}** Not done yet.\n\n"
    index = indexed(f"{prose}{HEADING}\n\n| {EXPLAINED} | a reason |\n").partition(HEADING)[2]
    assert "| MERGE-5 | `machine/snapshot/merge.py`: `MergeTrigger`, `protect` |\n" in index
    assert index.endswith(f"| {EXPLAINED} | a reason |\n| {NEW} |  |\n")


def test_places_are_no_reasons() -> None:
    assert reasons(f"{HEADING}\n| MERGE-5 | `merge.py`: `protect` |\n| {NEW} |  |\n") == {}


def test_an_index_that_is_right_stays() -> None:
    page = indexed("# A page\n\n**MERGE-5** Said.\n")
    assert indexed(page) == page
