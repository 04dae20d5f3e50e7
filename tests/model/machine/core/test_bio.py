from snapmerge import Bio, Buffer, Op


def test_a_bio_is_cut_with_its_payload() -> None:
    bio = Bio(Op.WRITE, "d", 8, 5, Buffer(7, 2))
    assert bio.first(2) == Bio(Op.WRITE, "d", 8, 2, Buffer(7, 2))
    assert bio.without(2) == Bio(Op.WRITE, "d", 10, 3, Buffer(7, 4))
    metadata = Bio(Op.WRITE, "d", 0, 2, bytes(512) + b"x" * 512)
    assert metadata.first(1).payload == bytes(512)
    assert metadata.without(1).payload == b"x" * 512


def test_discards_are_writes_and_flushes_are_not() -> None:
    assert [op for op in Op if Bio(op, "d").is_write] == [Op.WRITE, Op.DISCARD, Op.ZERO]


def test_a_remapped_bio_keeps_all_else() -> None:
    bio = Bio(Op.WRITE, "d", 8, 1, Buffer(7), preflush=True, fua=True)
    assert bio.to("e", 3) == Bio(Op.WRITE, "e", 3, 1, Buffer(7), preflush=True, fua=True)
