"""The page of diagrams is drawn from the tables as they are."""

from tests.diagrams import PAGE, TABLES, page


def test_the_page_is_in_step_with_the_tables() -> None:
    assert PAGE.read_text() == page(), "python -m tests.diagrams > docs/states.md writes it anew"


def test_it_has_every_state_and_every_row() -> None:
    text = PAGE.read_text()
    for table in TABLES.values():
        assert f"[*] --> {table.first.name}\n" in text
        assert all(f"| {state.name} | {state.value} |\n" in text for state in table.states)
        for (before, trigger), after in table.rows.items():
            lines = [line for line in text.splitlines() if f" {before.name} --> {after.name}: " in line]
            assert any(trigger.name in line for line in lines)
