import pytest

from snapmerge import OperationError
from snapmerge_adapters.kernel.libdm import Target
from snapmerge_adapters.kernel.table_text import parse_table, print_targets


def number(name: str) -> str:
    return {"base": "254:0", "cow": "254:1"}.get(name, f"/dev/mapper/p-{name}")


NAMES = {"254:0": "base", "254:1": "cow"}


@pytest.mark.parametrize(
    ("text", "arguments"),
    [
        ("0 8 linear base 0", "254:0 0"),
        ("0 8 linear", ""),
        ("0 8 snapshot base cow P 8", "254:0 254:1 P 8"),
        ("0 8 snapshot-merge base other P base", "254:0 /dev/mapper/p-other P base"),
        ("0 8 snapshot-origin  base", "254:0"),
        ("0 8 linear 8:0 0", "/dev/mapper/p-8:0 0"),  # no device but ours
        ("0 8 crypt x 8:0 /dev/sda base", "x /dev/mapper/p-8:0 /dev/mapper/p-/dev/sda base"),
        ("0 8 error", ""),
        ("0 8 error /dev/sda 0", "/dev/mapper/p-/dev/sda 0"),
    ],
)
def test_names_become_numbers_where_a_device_stands(text: str, arguments: str) -> None:
    (target,) = parse_table(text, number)
    assert target == Target(0, 8, text.split()[2], arguments)


def test_several_lines_are_joined_by_semicolons() -> None:
    targets = parse_table(" 0 8 linear base 0 ;8 8 error", number)
    assert [target.start for target in targets] == [0, 8]
    assert print_targets(targets, NAMES.get) == "0 8 linear base 0; 8 8 error"


@pytest.mark.parametrize("text", ["", "0 8", "a b linear", "-1 8 linear base 0", "0 8 error;", f"0 {2**64} error"])
def test_what_is_no_table_is_refused(text: str) -> None:
    with pytest.raises(OperationError):
        parse_table(text, number)


def test_numbers_become_names_and_blanks_at_the_end_go() -> None:
    lines = [
        Target(0, 8, "snapshot", "254:0 254:1 P 8"),
        Target(8, 8, "snapshot-origin", "254:7"),
        Target(16, 8, "x", " "),
    ]
    assert print_targets(lines, NAMES.get) == "0 8 snapshot base cow P 8; 8 8 snapshot-origin 254:7; 16 8 x"
