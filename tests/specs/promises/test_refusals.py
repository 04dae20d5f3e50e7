"""Requests that nothing stands against, and what may stand against one."""

import pytest

from snapmerge import parse_trace
from snapmerge_specs.promises.checker import broken_promise

STORE = """\
disk base 8 -> ok
disk cow 64 -> ok
create snap "0 8 snapshot base cow P 1" -> ok
write snap 2 1 #50 -> ok
"""
MERGE = '"0 8 snapshot-merge base cow P 1" -> error EINVAL'


@pytest.mark.spec("PROMISE-11")
@pytest.mark.parametrize(
    "lines",
    [
        f"remove snap -> ok\ncreate merge {MERGE}",
        f"create merge -> ok\nremove snap -> ok\nload merge {MERGE}",
        'create top "0 8 linear base 0" -> error EINVAL',
        'create origin "0 8 snapshot-origin base" -> error EINVAL',
        'disk other 8 -> ok\ncreate next "0 8 snapshot base other N 1" -> error EINVAL',
        "create more -> error EINVAL",
        "suspend snap -> error EINVAL",
        "remove snap -> error EBUSY",
        "clear snap -> error EINVAL",
        "status snap -> error ENXIO",
        "settle snap -> error ENXIO",
    ],
)
def test_what_nothing_stands_against_is_carried_out(lines: str) -> None:
    broken = broken_promise(parse_trace(f"{STORE}{lines}\n"))
    assert broken is not None
    assert broken.statement == "PROMISE-11"


@pytest.mark.spec("PROMISE-11")
@pytest.mark.parametrize(
    "lines",
    [
        f"create merge {MERGE}",
        f"remove snap -> ok\nfault cow read 0 1 -> ok\ncreate merge {MERGE}",
        f"remove snap -> ok\nwrite cow 0 1 #9 -> ok\ncreate merge {MERGE}",
        f"remove snap -> ok\ncreate merge {MERGE.replace('0 8', '0 9')}",
        f"remove snap -> ok\ncreate merge {MERGE.replace('P 1', 'P 2')}",
        'create top "0 9 linear base 0" -> error EINVAL',
        'create snap "0 8 linear base 0" -> error EBUSY',
        'create top "0 8 linear snap 0" -> ok\nremove snap -> error EBUSY',
        "start 1 flush snap -> ok\nsuspend snap -> error EINVAL",
        'create twin "0 8 snapshot base cow P 1" -> error EINVAL',
        "suspend other -> error ENXIO",
        'suspend snap -> ok\ncreate top "0 8 linear base 0" -> error EINVAL',
    ],
)
def test_what_something_stands_against_may_be_refused(lines: str) -> None:
    assert broken_promise(parse_trace(f"{STORE}{lines}\n")) is None


@pytest.mark.spec("PROMISE-5")
@pytest.mark.parametrize(
    ("lines", "statement"),
    [
        ("flush base -> error EIO", "PROMISE-5"),
        ("flush snap -> error EIO", "PROMISE-5"),
        ("fault cow flush 0 1 -> ok\nflush snap -> error EIO", None),
        ("create empty -> ok\nflush empty -> error EIO", None),
        ('create none "0 8 error" -> ok\nflush none -> error EIO', None),
    ],
)
def test_a_flush_fails_only_when_a_disk_does(lines: str, statement: str | None) -> None:
    broken = broken_promise(parse_trace(f"{STORE}{lines}\n"))
    assert (broken and broken.statement) == statement


@pytest.mark.spec("PROMISE-10")
@pytest.mark.parametrize(
    "lines", ["read snap 0 2 -> #0", "read snap 0 1 -> #0 #0", "start 1 read snap 0 2 -> ok\nfinish 1 -> #0"]
)
def test_a_read_gives_as_many_sectors_as_were_asked_for(lines: str) -> None:
    broken = broken_promise(parse_trace(f"{STORE}{lines}\n"))
    assert broken is not None
    assert broken.statement == "PROMISE-10"
