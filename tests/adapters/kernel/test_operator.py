from collections.abc import Callable

import pytest

from snapmerge import Implementation, OperationError, parse_operation, print_outcome
from snapmerge_adapters import Guest

pytestmark = pytest.mark.kernel

Replay = Callable[[Implementation, str], None]

# The conformance vectors: a base of 16 chunks of 8 sectors, and what one kernel showed.
BASE = """
disk base 128 -> ok
write base 0 128 #1000 -> ok
create origin "0 128 snapshot-origin base" -> ok
"""


def test_vector_1_a_fresh_store(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        BASE
        + """
        disk cow 104 -> ok
        create snap "0 128 snapshot base cow P 8" -> ok
        status snap -> "0 128 snapshot 16/104 16"
        table snap -> "0 128 snapshot base cow P 8"
        metadata cow -> store valid=1 version=1 chunk_size=8
        read cow 1 15 -> #0x15
        """,
    )


def test_vector_2_exceptions_of_both_kinds(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        BASE
        + """
        disk cow 104 -> ok
        create snap "0 128 snapshot base cow P 8" -> ok
        write origin 40 8 #5000 -> ok
        status snap -> "0 128 snapshot 24/104 16"
        write origin 25 1 #5100 -> ok
        status snap -> "0 128 snapshot 32/104 16"
        write snap 0 8 #6000 -> ok
        status snap -> "0 128 snapshot 40/104 16"
        write snap 8 1 #6100 -> ok
        status snap -> "0 128 snapshot 48/104 16"
        metadata cow -> store valid=1 version=1 chunk_size=8 5>2 3>3 0>4 1>5
        read snap 0 128 -> #6000+8 #6100 #1009+119
        read origin 0 128 -> #1000+25 #5100 #1026+14 #5000+8 #1048+80
        """,
    )


def test_vector_3_overflow_invalidates(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        BASE
        + """
        disk cow 104 -> ok
        create snap "0 128 snapshot base cow P 8" -> ok
        write snap 0 88 #2000 -> ok
        status snap -> "0 128 snapshot 104/104 16"
        events snap -> 0
        write snap 88 8 #3000 -> error EIO
        status snap -> "0 128 snapshot Invalid"
        events snap -> 1
        metadata cow -> store valid=0 version=1 chunk_size=8 0>2 1>3 2>4 3>5 4>6 5>7 6>8 7>9 8>10 9>11 10>12
        read snap 0 1 -> error EIO
        read origin 0 1 -> #1000
        """,
    )


def test_merge_by_handover(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        BASE
        + """
        disk cow 256 -> ok
        create snap "0 128 snapshot base cow P 8" -> ok
        write snap 16 24 #2000 -> ok
        load origin "0 128 snapshot-merge base cow P 8" -> ok
        resume origin -> error EINVAL "snapshots: Unable to perform snapshot handover until source is suspended."
        start 1 read origin 16 8 -> ok
        finish 1 -> blocked
        suspend snap -> ok
        resume origin -> ok
        finish 1 -> #2000+8
        settle origin -> ok
        status origin -> "0 128 snapshot-merge 16/256 16"
        status snap -> "0 128 snapshot Invalid"
        events origin -> 0
        remove snap -> ok
        remove origin -> ok
        read base 0 128 -> #1000+16 #2000+24 #1040+88
        metadata cow -> store valid=1 version=1 chunk_size=8
        """,
    )


def test_what_was_started_keeps_a_device_open_until_it_is_finished(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        """
        disk base 64 -> ok
        create x "0 64 linear base 0" -> ok
        start 1 write x 0 8 #1 -> ok
        start 2 flush x -> ok
        remove x -> error EBUSY
        finish 1 -> ok
        remove x -> error EBUSY
        finish 2 -> ok
        remove x -> ok
        create x "0 64 linear base 0" -> ok
        suspend x -> ok
        start 1 read x 0 8 -> ok
        finish 1 -> blocked
        remove x -> error EBUSY
        resume x -> ok
        remove x -> error EBUSY
        finish 1 -> #1+8
        remove x -> ok
        """,
    )


def test_what_has_ended_keeps_no_device_open(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        """
        disk base 64 -> ok
        create x "0 64 linear base 0" -> ok
        read x 0 8 -> #0x8
        start 1 remove x -> ok
        finish 1 -> ok
        status x -> error ENXIO
        """,
    )


CONSTRUCTOR_ERRORS = (
    ("base cow P", "EINVAL", "requires 4 or more arguments"),
    ("base cow P 8 3 a b c", "EINVAL", "Invalid number of feature arguments"),
    ("base cow P 8 2 discard_zeroes_cow", "EINVAL", "Invalid number of feature arguments"),
    ("base cow P 8 1 nonsense", "EINVAL", "Unrecognised feature requested"),
    (
        "base cow P 8 1 discard_passdown_origin",
        "EINVAL",
        "discard_passdown_origin feature depends on discard_zeroes_cow",
    ),
    ("base base P 8", "EINVAL", "COW device cannot be the same as origin device"),
    ("base cow X 8", "EINVAL", "Couldn't create exception store"),
    ("base cow PX 8", "EINVAL", "Couldn't create exception store"),
    ("base cow P 7", "EINVAL", "Couldn't create exception store"),
    ("base cow P 8k", "EINVAL", "Couldn't create exception store"),
    ("base cow P 4194304", "EINVAL", "Couldn't create exception store"),
    ("base cow N 0", "EINVAL", "Chunk size not set"),
    ("base junk P 8", "ENXIO", "Failed to read snapshot metadata"),
)


@pytest.mark.parametrize(("arguments", "errno", "text"), CONSTRUCTOR_ERRORS)
@pytest.mark.parametrize("target", ["snapshot", "snapshot-merge"])
def test_constructor_errors(guest: Guest, replay: Replay, target: str, arguments: str, errno: str, text: str) -> None:
    replay(
        guest,
        f"""
        disk base 128 -> ok
        disk cow 128 -> ok
        disk junk 128 -> ok
        write junk 0 1 #1 -> ok
        create dev "0 128 {target} {arguments}" -> error {errno} "{target}: {text}"
        status dev -> error ENXIO
        create dev -> ok
        load dev "0 128 {target} {arguments}" -> error {errno} "{target}: {text}"
        """,
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ("snapshot nosuch cow P 8", "snapshot: Cannot get origin device"),
        ("snapshot base nosuch P 8", "snapshot: Cannot get COW device"),
        ("snapshot-origin nosuch", "snapshot-origin: Cannot get target device"),
    ],
)
def test_missing_devices(guest: Guest, arguments: str, text: str) -> None:
    for line in ("disk base 128", "disk cow 128"):
        guest.apply(parse_operation(line))
    seen = print_outcome(guest.apply(parse_operation(f'create dev "0 128 {arguments}"')))
    assert seen in (f'error ENODEV "{text}"', f'error ENOENT "{text}"')  # the one up to 6.1, the other since


def test_several_targets(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        """
        disk base 16 -> ok
        write base 0 16 #1 -> ok
        create dev "0 8 linear base 8; 8 8 error; 16 8 linear base 0" -> ok
        table dev -> "0 8 linear base 8; 8 8 error; 16 8 linear base 0"
        status dev -> "0 8 linear; 8 8 error; 16 8 linear"
        read dev 0 8 -> #9+8
        read dev 8 1 -> error EIO
        read dev 16 8 -> #1+8
        """,
    )


@pytest.mark.parametrize(
    "line", ["read base 120 9", "read nosuch 0 1", "disk base 8", "remove base", "disk big 999999"]
)
def test_what_makes_no_sense_is_refused(guest: Guest, line: str) -> None:
    guest.apply(parse_operation("disk base 128"))
    with pytest.raises(OperationError):
        guest.apply(parse_operation(line))


def test_discards(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        BASE
        + """
        discard base 3 2 -> ok
        read base 0 8 -> #1000+3 #0x2 #1005+3
        discard origin 0 8 -> error EOPNOTSUPP
        """,
    )


@pytest.mark.parametrize(
    "line", ["read nobody 0 1", "write base 8 1 #1", 'create x "0 8"', "settle base", "resume base", "read dev 8 1"]
)
def test_what_makes_no_sense_is_refused_when_it_is_started(line: str, guest: Guest, replay: Replay) -> None:
    replay(guest, 'disk base 8 -> ok\ncreate dev "0 8 linear base 0" -> ok')
    with pytest.raises(OperationError):
        guest.apply(parse_operation(f"start 1 {line}"))
    replay(guest, "start 1 read dev 0 8 -> ok\nfinish 1 -> #0x8\nremove dev -> ok")


def test_a_device_that_got_the_name_of_one_whose_removal_waits_is_still_there_when_that_ends(
    guest: Guest, replay: Replay
) -> None:
    replay(
        guest,
        """
        disk base 16 -> ok
        disk cow 64 -> ok
        create lower "0 16 linear base 0" -> ok
        create origin "0 16 snapshot-origin lower" -> ok
        create snap "0 16 snapshot lower cow P 4" -> ok
        suspend lower -> ok
        start 1 write origin 0 1 #1 -> ok
        start 2 remove snap -> ok
        create snap "0 16 linear lower 0" -> ok
        resume lower -> ok
        finish 1 -> ok
        finish 2 -> ok
        read snap 0 16 -> #1 #0x15
        remove snap -> ok
        """,
    )


def test_a_reset_ends_a_create_whose_table_waits_for_a_device(guest: Guest, replay: Replay) -> None:
    replay(
        guest,
        """
        disk base 16 -> ok
        create below "0 16 linear base 0" -> ok
        suspend below -> ok
        start 1 create snap "0 16 snapshot base below P 4" -> ok
        finish 1 -> blocked
        reset -> ok
        """,
    )
