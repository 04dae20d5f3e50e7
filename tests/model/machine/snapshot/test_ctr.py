import pytest
from tests.model._play import Bench, disk_with, play, setup

import snapmerge as sm
from snapmerge.format.codec import MAGIC, Header, encode_header, encode_records

PREFIX = "snapshot: "
NO_MERGE = "snapshot-merge: Snapshot exception store does not support snapshot-merge."


def refusal(text: str, table: str, session: sm.Session | None = None) -> sm.Result:
    """What loading a table on a new device ``new`` gives."""
    session = play(f"{text}\ncreate new", session)
    return sm.operate(session, sm.Load("new", table))[0]


DISKS = "disk base 64\ndisk cow 64"


@pytest.mark.spec("CTOR-1")
@pytest.mark.parametrize(
    ("args", "message"),
    [
        ("nobody nobody X", "requires 4 or more arguments"),
        ("nobody nobody X 3 3", "Invalid number of feature arguments"),
        ("nobody nobody X 3 2 discard_zeroes_cow", "Invalid number of feature arguments"),
        ("nobody nobody X 3 1 discard", "Unrecognised feature requested"),
        (
            "nobody nobody X 3 1 discard_passdown_origin",
            "discard_passdown_origin feature depends on discard_zeroes_cow",
        ),
        ("nobody nobody X 3", "Cannot get origin device"),
        ("base nobody X 3", "Cannot get COW device"),
        ("base base X 3", "COW device cannot be the same as origin device"),
        ("base cow X 8", "Couldn't create exception store"),
        ("base cow PX 8", "Couldn't create exception store"),
        ("base cow P 3", "Couldn't create exception store"),
        ("base cow N 0", "Chunk size not set"),
    ],
)
def test_the_first_thing_that_is_wrong_is_what_the_constructor_says(args: str, message: str) -> None:
    errno = "ENODEV" if "Cannot get" in message else "EINVAL"
    assert refusal(DISKS, f"0 64 snapshot {args}") == sm.Failed(errno, PREFIX + message)


@pytest.mark.spec("CTOR-1")
@pytest.mark.parametrize(("args", "message"), [("new cow", "origin"), ("base new", "COW")])
def test_a_device_is_not_its_own_origin_or_cow_device(args: str, message: str) -> None:
    found = refusal(DISKS, f"0 64 snapshot {args} P 8")
    assert found == sm.Failed("EINVAL", f"{PREFIX}Cannot get {message} device")


@pytest.mark.spec("CTOR-1")
def test_a_transient_store_can_not_be_merged_with_a_source_or_without() -> None:
    assert refusal(DISKS, "0 64 snapshot-merge base cow N 8") == sm.Failed("EINVAL", NO_MERGE)
    active = DISKS + '\ncreate snap "0 64 snapshot base cow N 8"'
    assert refusal(active, "0 64 snapshot-merge base cow N 8") == sm.Failed("EINVAL", NO_MERGE)
    assert refusal(active, "0 64 snapshot-merge base cow P 8") == sm.Failed("EINVAL", NO_MERGE)


@pytest.mark.spec("CTOR-1")
def test_an_origin_and_cow_device_have_two_snapshots_at_most_and_one_that_is_not_active() -> None:
    pairing = f"{PREFIX}Snapshot cow pairing for exception table handover failed"
    loaded = DISKS + '\ncreate a\nload a "0 64 snapshot base cow P 8" -> ok'
    assert refusal(loaded, "0 64 snapshot base cow P 8") == sm.Failed("EINVAL", pairing)
    both = DISKS + '\ncreate a "0 64 snapshot base cow P 8"\ncreate b\nload b "0 64 snapshot base cow P 8" -> ok'
    assert refusal(both, "0 64 snapshot base cow P 8") == sm.Failed("EINVAL", pairing)


@pytest.mark.spec("CTOR-1")
@pytest.mark.spec("MERGE-29")
def test_a_merge_takes_nothing_over_while_the_origin_has_another() -> None:
    merging = (
        DISKS
        + """
disk cow2 64
create a "0 64 snapshot base cow P 8"
create b "0 64 snapshot base cow2 P 8"
create merge
load merge "0 64 snapshot-merge base cow P 8" -> ok
"""
    )
    found = refusal(merging, "0 64 snapshot-merge base cow2 P 8")
    assert found == sm.Failed("EINVAL", "snapshot-merge: A snapshot is already merging.")


@pytest.mark.spec("MERGE-29")
def test_merges_that_are_loaded_from_disk_run_side_by_side() -> None:
    play(
        DISKS
        + """
disk cow2 64
create a "0 64 snapshot-merge base cow P 8" -> ok
create b "0 64 snapshot-merge base cow2 P 8" -> ok
"""
    )


@pytest.mark.spec("CTOR-2")
def test_a_target_that_takes_over_reads_nothing_before() -> None:
    bench = Bench(setup() + "suspend origin\nsuspend snap")
    load = bench.start('load origin "0 32 snapshot-merge base cow P 8"')
    assert bench.flights == []
    assert bench.ended(load) == "ok"

    bench.play('fault cow read 0 8\nresume origin\ntable origin -> "0 32 snapshot-merge base cow P 8"')


@pytest.mark.spec("CTOR-3")
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("0 0 nonsense", "zero-length target"),
        ("8 8 nonsense", "nonsense: unknown target type"),
        ("8 8 snapshot", "snapshot: Gap in table"),
        ("0 8 linear base 0; 9 8 linear base 0", "linear: Gap in table"),
    ],
)
def test_a_table_is_checked_before_its_targets(table: str, message: str) -> None:
    assert refusal(DISKS, table) == sm.Failed("EINVAL", message)


@pytest.mark.spec("CTOR-4")
@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("snapshot-origin", "snapshot-origin: origin: incorrect number of arguments"),
        ("snapshot-origin base cow", "snapshot-origin: origin: incorrect number of arguments"),
        ("linear base", "linear: Invalid argument count"),
        ("linear base x", "linear: Invalid device sector"),
    ],
)
def test_the_other_targets_take_what_they_take(table: str, message: str) -> None:
    assert refusal(DISKS, f"0 8 {table}") == sm.Failed("EINVAL", message)


@pytest.mark.spec("DEV-1")
@pytest.mark.parametrize(
    "table",
    [
        "0 64 snapshot base cow N 0",
        "0 64 snapshot base cow X 8",
        "0 64 snapshot base foreign P 8",
        "0 32 snapshot base cow P 8; 32 32 snapshot base foreign P 8",
        "0 64 snapshot base cow P 8; 64 8 nonsense",
    ],
)
def test_a_table_that_is_refused_leaves_nothing_behind(table: str) -> None:
    before = play(DISKS + '\ndisk foreign 64\nwrite foreign 0 1 #7\ncreate new\nload new "0 8 linear base 0" -> ok')
    result, after = sm.operate(before, sm.Load("new", table))
    assert isinstance(result, sm.Failed)
    assert after.world.stack == before.world.stack
    assert after.world.disks["foreign"] == before.world.disks["foreign"]


@pytest.mark.spec("DEV-13")
def test_a_first_table_that_is_too_long_is_refused_at_once_a_later_one_when_it_is_resumed() -> None:
    text = "base too small for target: start=0, len=65, dev_size=64"
    found = refusal(DISKS, "0 65 snapshot-origin base")
    assert found == sm.Failed("EINVAL", text)
    play(
        DISKS
        + f"""
create dev "0 64 snapshot-origin base"
load dev "0 65 snapshot-origin base" -> ok
resume dev -> error EINVAL "{text}"
table dev -> "0 64 snapshot-origin base"
resume dev -> ok
read dev 63 1 -> #0
"""
    )


@pytest.mark.spec("DEV-13")
@pytest.mark.spec("DEV-21")
def test_a_device_without_a_live_table_has_no_size_to_be_too_small() -> None:
    play(
        """
disk base 4
create lower
load lower "0 4 linear base 0"
create dev "0 8 linear lower 0" -> ok
read dev 0 1 -> error EIO
resume lower
read dev 3 1 -> #0
read dev 4 1 -> error EIO
"""
    )


@pytest.mark.spec("DEV-13")
def test_a_table_is_the_first_until_one_is_accepted() -> None:
    text = "base too small for target: start=0, len=65, dev_size=64"
    session = play(f'{DISKS}\ncreate new\nload new "0 65 linear base 0" -> error EINVAL "{text}"')
    play(f'load new "0 65 linear base 0" -> error EINVAL "{text}"\nload new "0 64 linear base 0" -> ok', session)


@pytest.mark.spec("CTOR-1")
@pytest.mark.spec("DEV-21")
@pytest.mark.parametrize(
    ("table", "text"),
    [
        ("linear bare 0", "linear: Device lookup failed"),
        ("snapshot-origin bare", "snapshot-origin: Cannot get target device"),
        ("snapshot bare cow P 8", "snapshot: Cannot get origin device"),
        ("snapshot base bare P 8", "snapshot: Cannot get COW device"),
        ("snapshot-merge bare cow P 8", "snapshot-merge: Cannot get origin device"),
        ("snapshot-merge base bare P 8", "snapshot-merge: Cannot get COW device"),
    ],
)
@pytest.mark.parametrize(
    "before",
    [
        "create bare",
        "create bare\nsuspend bare\nresume bare",
        'create bare\nload bare "0 65 linear base 0"',
        'create bare "0 8 linear base 0"\nremove bare\ncreate bare',
    ],
)
def test_a_device_that_never_had_a_table_can_not_be_opened(before: str, table: str, text: str) -> None:
    assert refusal(f"{DISKS}\n{before}", f"0 64 {table}") == sm.Failed("ENXIO", text)


@pytest.mark.spec("DEV-21")
def test_a_cow_device_without_a_live_table_has_no_sectors() -> None:
    play(
        DISKS
        + """
create lower
load lower "0 64 linear cow 0"
create snap "0 64 snapshot base lower N 8" -> ok
status snap -> "0 64 snapshot 0/0 0"
write snap 0 1 #1 -> error EIO
status snap -> "0 64 snapshot Invalid"
"""
    )


# --- loading a store ---


def store(records: tuple[tuple[int, int], ...] = (), **fields: int) -> bytes:
    """A header and area 0 of a store of 1-sector chunks."""
    header = Header(**{"magic": MAGIC, "valid": 1, "version": 1, "chunk_size": 1, **fields})
    return encode_header(header, 1) + encode_records(records, 1)


SNAPSHOT = "0 64 snapshot base cow P 1"


@pytest.mark.spec("STORE-10")
def test_a_store_whose_magic_is_zero_is_new_whatever_else_is_there() -> None:
    session = disk_with(64, 0, bytes(4) + b"x" * 1020)
    bench = Bench("")
    bench.session = session
    create = bench.start(f'create snap "{SNAPSHOT}"')
    bench.finish("read cow 0 1", "fetch")
    assert bench.flights == ["write cow 0 1"]
    bench.finish("write cow 0 1")
    assert bench.flights == ["write cow 1 1"]
    bench.finish("write cow 1 1")
    assert bench.ended(create) == "ok"
    bench.play('metadata cow -> store valid=1 version=1 chunk_size=1\nstatus snap -> "0 64 snapshot 2/64 2"')


@pytest.mark.spec("STORE-11")
@pytest.mark.parametrize(("asked", "used"), [(0, 32), (8, 8)])
def test_a_chunk_size_of_0_is_32_for_a_new_store_and_the_headers_for_an_old_one(asked: int, used: int) -> None:
    create = 'create snap "0 64 snapshot base cow P {}"'
    play(
        f"""
disk base 64
disk cow 256
{create.format(asked)}
table snap -> "0 64 snapshot base cow P {used}"
remove snap
{create.format(0)}
table snap -> "0 64 snapshot base cow P {used}"
remove snap
{create.format(4)}
table snap -> "0 64 snapshot base cow P {used}"
"""
    )


@pytest.mark.spec("STORE-12")
@pytest.mark.parametrize(
    ("image", "errno"),
    [
        (b"LABELONE".ljust(512, b"\0"), "ENXIO"),
        (store(version=2), "EINVAL"),
        (store(version=2, valid=0), "EINVAL"),
        (store(chunk_size=3), "EINVAL"),
        (store(chunk_size=0), "EINVAL"),
        (store(chunk_size=1 << 22), "EINVAL"),
    ],
)
def test_a_store_that_is_none_of_ours_is_refused(image: bytes, errno: str) -> None:
    session = disk_with(64, 0, image)
    found = refusal("", SNAPSHOT, session)
    assert found == sm.Failed(errno, f"{PREFIX}Failed to read snapshot metadata")


@pytest.mark.spec("STORE-13")
@pytest.mark.spec("STORE-5")
def test_a_store_that_is_invalid_gives_an_invalid_snapshot_again_and_again() -> None:
    session = disk_with(64, 0, store(((3, 2),), valid=0))
    for _ in range(2):
        session = play(
            f"""
create snap "{SNAPSHOT}" -> ok
status snap -> "0 64 snapshot Invalid"
read snap 0 1 -> error EIO
remove snap
metadata cow -> store valid=0 version=1 chunk_size=1 3>2
""",
            session,
        )


@pytest.mark.spec("STORE-14")
def test_a_full_area_at_the_end_of_the_device_can_not_be_loaded() -> None:
    records = tuple((k, k + 2) for k in range(32))
    assert refusal("", SNAPSHOT, disk_with(34, 0, store(records))) == sm.Failed(
        "EIO", f"{PREFIX}Failed to read snapshot metadata"
    )
    assert refusal("", SNAPSHOT, disk_with(35, 0, store(records))) == sm.Done()


@pytest.mark.spec("STORE-14")
@pytest.mark.parametrize("sector", [0, 1, 34])
def test_a_store_that_can_not_be_read_is_refused(sector: int) -> None:
    session = play(f"fault cow read {sector} 1", disk_with(64, 0, store(tuple((k, k + 2) for k in range(32)))))
    found = refusal("", SNAPSHOT, session)
    assert found == sm.Failed("EIO", f"{PREFIX}Failed to read snapshot metadata")


@pytest.mark.spec("STORE-15")
@pytest.mark.parametrize("count", [31, 32, 33, 64])
def test_what_is_added_after_a_load_is_never_put_over_an_area(count: int) -> None:
    create = 'create snap "0 128 snapshot base cow P 1"'
    session = play(f"disk base 128\ndisk cow 128\n{create}")
    session = play(f"write snap 0 {count} #500 -> ok\nremove snap\n{create}\nwrite snap 100 1 #9 -> ok", session)
    play(f"remove snap\n{create}\nread snap 0 {count} -> #500+{count}\nread snap 100 1 -> #9", session)


@pytest.mark.spec("STORE-15")
def test_chunks_below_the_highest_that_was_seen_are_not_used_again() -> None:
    session = disk_with(64, 0, store(((3, 9), (4, 5))))
    play(
        f"""
create snap "{SNAPSHOT}"
write snap 8 1 #1
metadata cow -> store valid=1 version=1 chunk_size=1 3>9 4>5 8>10
""",
        session,
    )


@pytest.mark.spec("STORE-16")
def test_the_first_commit_after_a_load_writes_the_old_records_again() -> None:
    session = disk_with(64, 0, store(((3, 2), (7, 3))))
    play(
        f"""
create snap "{SNAPSHOT}"
write snap 8 1 #1
metadata cow -> store valid=1 version=1 chunk_size=1 3>2 7>3 8>4
""",
        session,
    )


@pytest.mark.spec("MERGE-31")
@pytest.mark.parametrize("before", ["", 'create snap "0 32 snapshot base cow P 8"\nsuspend snap'])
def test_a_merge_of_a_store_without_merge_operations_is_refused(before: str) -> None:
    session = play(f"disk base 32\ndisk cow 64\n{before}")
    result, _ = sm.operate(session, sm.parse_operation('create merge "0 32 snapshot-merge base cow N 8"'))
    text = "snapshot-merge: Snapshot exception store does not support snapshot-merge."
    assert result == sm.Failed("EINVAL", text)
