"""What a status, the end of a merge and the records of a store say of a merge that is over."""

import pytest

from snapmerge import parse_trace
from snapmerge_specs.promises.checker import broken_promise

SETTLED = """\
disk base 8 -> ok
disk cow 64 -> ok
create snap "0 8 snapshot base cow P 1" -> ok
write snap 2 1 #50 -> ok
remove snap -> ok
create merge "0 8 snapshot-merge base cow P 1" -> ok
settle merge -> ok
"""


@pytest.mark.spec("MERGE-8")
@pytest.mark.parametrize(
    ("line", "statement"),
    [
        ('status merge -> "0 8 snapshot-merge 2/64 2"', None),
        ('status merge -> "0 8 snapshot-merge 3/64 2"', "MERGE-8"),
        ('status merge -> "0 8 snapshot-merge in its own words"', None),
        ("metadata cow -> store valid=1 version=1 chunk_size=1", None),
        ("metadata cow -> store valid=1 version=1 chunk_size=1 2>2", "MERGE-8"),
    ],
)
def test_a_settle_ends_when_the_merge_has(line: str, statement: str | None) -> None:
    broken = broken_promise(parse_trace(f"{SETTLED}{line}\n"))
    assert (broken and broken.statement) == statement


@pytest.mark.spec("MERGE-8")
def test_a_merge_that_may_have_failed_need_not_be_over() -> None:
    text = SETTLED.replace("create merge", "fault base write 2 1 -> ok\ncreate merge")
    assert broken_promise(parse_trace(f'{text}status merge -> "0 8 snapshot-merge 3/64 2"\n')) is None
