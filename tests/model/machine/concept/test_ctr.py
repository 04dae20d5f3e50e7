"""How a merge of 2009 is constructed, reads its store, answers messages and shows itself."""

import pytest
from tests.model._play import play
from tests.model.machine.concept.test_worker import BASE, TABLE, WRITTEN

import snapmerge as sm
from snapmerge.machine.concept.state import ConceptMerge


def _play(text: str) -> sm.Session:
    return play(text, sm.Session.new(sm.CONCEPT))


@pytest.mark.spec("CONCEPT-19")
@pytest.mark.parametrize(
    ("args", "error"),
    [
        ("origin cow P", 'EINVAL "snapshot-merge: too few arguments"'),
        ("origin nothing P 1", 'ENODEV "snapshot-merge: Failed to create snapshot exception store"'),
        ("origin cow Q 1", 'EINVAL "snapshot-merge: Failed to create snapshot exception store"'),
        ("origin cow P 3", 'EINVAL "snapshot-merge: Failed to create snapshot exception store"'),
        ("origin cow P 0", 'EINVAL "snapshot-merge: Failed to create snapshot exception store"'),
        ("origin cow N 1", 'EINVAL "snapshot-merge: Failed to create snapshot exception store"'),
        ("nothing cow P 1", 'ENODEV "snapshot-merge: Cannot get usable_origin device"'),
        ("cow cow P 1", 'EINVAL "snapshot-merge: COW device cannot be the same as usable_origin device"'),
    ],
)
def test_what_the_constructor_refuses(args: str, error: str) -> None:
    _play(BASE + f'create merge "0 4 snapshot-merge {args}" -> error {error}\n')


@pytest.mark.spec("CONCEPT-12")
def test_there_is_one_merge_for_a_destination_and_what_is_below_or_above_it() -> None:
    more = 'disk other 16\ncreate beside "0 4 snapshot base other P 1"\n'
    refused = 'error EINVAL "snapshot-merge: A snapshot is already merging."'
    text = BASE + more + WRITTEN + f"create merge {TABLE}\nsuspend beside\n"
    for destination in ("origin", "base"):
        text += f'create second "0 4 snapshot-merge {destination} other P 1" -> {refused}\n'
    _play(text + f"load merge {TABLE} -> ok\n")


@pytest.mark.spec("CONCEPT-11")
def test_a_merge_takes_over_from_a_suspended_snapshot_and_from_no_other() -> None:
    refused = 'error EINVAL "snapshots: Unable to merge a snapshot that is not suspended."'
    _play(
        BASE + WRITTEN.replace("suspend snap\n", "") + f"create merge {TABLE} -> {refused}\nsuspend snap\n"
        f'create merge {TABLE} -> ok\nstatus snap -> "0 4 snapshot Invalid"\nresume snap -> ok\n'
        "read snap 0 1 -> error EIO\n"
        'create again "0 4 snapshot base cow P 1" -> error EINVAL "snapshot: The snapshot is being merged."\n'
    )


@pytest.mark.spec("CONCEPT-15")
@pytest.mark.parametrize("spoil", ["fault cow read 0 1", "write cow 0 1 #7", "fault cow read 1 1"])
def test_a_store_that_cannot_be_read_fails_all_io(spoil: str) -> None:
    _play(
        BASE + WRITTEN + f"{spoil}\ncreate merge {TABLE} -> ok\nread merge 0 1 -> error EIO\n"
        "write merge 0 1 #5 -> error EIO\n"
        'flush merge -> error EIO\nstatus merge -> "0 4 snapshot-merge Merge failed"\nevents merge -> 0\n'
        "read base 0 4 -> #1001+4\n"
    )


@pytest.mark.spec("CONCEPT-17")
def test_an_invalid_snapshot_is_not_merged() -> None:
    _play(
        BASE.replace("disk cow 16", "disk cow 4") + "write origin 0 2 #31\nwrite origin 2 1 #33\n"
        f'suspend snap\nstatus snap -> "0 4 snapshot Invalid"\ncreate merge {TABLE}\nsettle merge\n'
        'status merge -> "0 4 snapshot-merge Invalid"\n'
        "read merge 0 4 -> #31 #32 #33 #1004\nevents merge -> 0\n"
    )


@pytest.mark.spec("CONCEPT-23")
def test_status_counts_chunks_and_the_table_is_what_was_loaded() -> None:
    _play(
        BASE + WRITTEN + f"create merge {TABLE}\nsettle merge\n"
        'status merge -> "0 4 snapshot-merge 4/4"\ntable merge -> "0 4 snapshot-merge origin cow P 1"\n'
    )


@pytest.mark.spec("CONCEPT-23")
def test_the_headers_chunk_size_wins() -> None:
    table = '"0 4 snapshot-merge origin cow P 2"'
    _play(
        BASE + WRITTEN + f"create merge {table}\nsettle merge\n"
        'table merge -> "0 4 snapshot-merge origin cow P 1"\nread base 0 4 -> #1001 #21 #1003 #23\n'
    )


@pytest.mark.spec("CONCEPT-24")
@pytest.mark.parametrize(
    ("device", "text", "errno", "log"),
    [
        ("snap", "lookup 1", None, "snapshots: Exception found: 1 -> 2"),
        ("snap", "lookup 0", None, "snapshots: Exception not found: -2"),
        ("merge", "lookup 3", None, "snapshots: Exception found: 3 -> 3"),
        ("snap", "lookup 1x", None, "snapshots: Exception found: 1 -> 2"),
        ("snap", f"lookup {2**64 + 1}", None, "snapshots: Exception found: 1 -> 2"),
        ("snap", "lookup +1", "EINVAL", "snapshots: Failed to read in old chunk value"),
        ("snap", "lookup -1", "EINVAL", "snapshots: Failed to read in old chunk value"),
        ("snap", "lookup x", "EINVAL", "snapshots: Failed to read in old chunk value"),
        ("snap", "lookup", None, None),
        ("snap", "something else", None, None),
        ("origin", "lookup 1", "EINVAL", None),
    ],
)
def test_messages(device: str, text: str, errno: str | None, log: str | None) -> None:
    session = _play(BASE + WRITTEN)
    if device == "merge":
        session = _play(BASE + WRITTEN + f"create merge {TABLE}\n")
    _, effects = sm.step(session.world.stack, sm.SendMessage(9, device, text), sm.CONCEPT)
    assert sm.Reply(9, errno) in effects
    assert [effect.text for effect in effects if isinstance(effect, sm.Log)] == ([] if log is None else [log])


def test_mainline_has_another_target_of_that_name() -> None:
    text = BASE + WRITTEN + 'create merge "0 4 snapshot-merge base cow P 1"\n'
    targets = [type(target) for target in play(text.replace("create merge", "load snap")).world.stack.targets.values()]
    assert ConceptMerge not in targets


@pytest.mark.spec("CONCEPT-11")
def test_a_snapshot_is_not_resumed_while_a_merge_waits_to_take_it_over() -> None:
    _play(
        "disk base 4\ndisk cow 16\ndisk cow2 16\ndisk copy 4\nwrite base 0 4 #1001\n"
        'create cowd "0 16 linear cow 0"\ncreate snap "0 4 snapshot base cowd P 1"\n'
        'create snap2 "0 4 snapshot base cow2 P 1"\nwrite snap2 0 1 #61\nsuspend snap\nsuspend snap2\nsuspend cowd\n'
        'create m2 "0 4 snapshot-merge base cow2 P 1"\n'
        'start 2 create merge "0 4 snapshot-merge copy cowd P 1"\nfinish 2 -> blocked\n'
        'resume snap -> error EINVAL "snapshots: The snapshot is being merged."\nresume cowd\nfinish 2 -> ok\n'
        'status snap -> "0 4 snapshot Invalid"\n'
    )


@pytest.mark.spec("CONCEPT-1", "CONCEPT-16")
def test_a_cow_device_that_has_lost_its_end_is_not_taken_for_one_without_exceptions() -> None:
    _play(
        "disk base 4\ndisk cow 16\nwrite base 0 4 #1001\n"
        'create cowd "0 16 linear cow 0"\ncreate snap "0 4 snapshot base cowd P 1"\nwrite snap 1 1 #21\n'
        'write snap 3 1 #23\nsuspend snap\nsuspend cowd\nload cowd "0 3 linear cow 0"\nresume cowd\n'
        'create merge "0 4 snapshot-merge base cowd P 1"\nsettle merge\n'
        'status merge -> "0 4 snapshot-merge Merge failed"\nread merge 3 1 -> error EIO\nevents merge -> 0\n'
        "metadata cow -> store valid=1 version=1 chunk_size=1 1>2 3>3\n"
        'suspend cowd\nload cowd "0 16 linear cow 0"\nresume cowd\nsuspend merge\nresume merge\nsettle merge\n'
        'status merge -> "0 4 snapshot-merge 4/4"\nread merge 0 4 -> #1001 #21 #1003 #23\n'
    )


@pytest.mark.spec("CONCEPT-11")
@pytest.mark.parametrize("early", [True, False])
def test_a_snapshot_that_was_loaded_before_the_end_does_not_bring_its_exceptions_back(early: bool) -> None:
    load = 'create late\nload late "0 4 snapshot base cow P 1"'
    refused = ' -> error EINVAL "snapshot: The snapshot is being merged."\n'
    _play(
        BASE
        + WRITTEN
        + (f"remove snap\n{load} -> ok\n" if early else "")
        + f"suspend origin\ncreate merge {TABLE}\n"
        + ("" if early else load + refused)
        + "resume origin\nsettle merge\nread merge 0 4 -> #1001 #21 #1003 #23\nremove merge\n"
        + ("resume late\nread late 0 4 -> error EIO\nwrite late 0 1 #51 -> error EIO\n" if early else "")
        + "metadata cow -> store valid=1 version=1 chunk_size=1\n"
    )
