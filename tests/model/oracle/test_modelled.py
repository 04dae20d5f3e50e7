import pytest
from tests.model._play import verdict

import snapmerge as sm

DISK = "disk base 64 -> ok\n"


@pytest.mark.spec("ORACLE-20")
@pytest.mark.parametrize(
    ("line", "target"),
    [
        ('create x "0 64 striped 1 8 base 0" -> ok', "striped"),
        ('create x "0 32 linear base 0; 32 32 dust" -> ok', "dust"),
        ('create x "0 64 raid" -> error ENOMEM', "raid"),
        ('create x "0 64 raid 1 2 3" -> error EINVAL "raid: Cannot understand number of RAID parameters"', "raid"),
        ('create x\nload x "0 64 thin-pool base base 128 0" -> error EIO', "thin-pool"),
        ('start 1 create x "0 64 raid" -> ok\nfinish 1 -> ok', "raid"),
        ('create x "0 64 somebodys base" -> ok', "somebodys"),
    ],
)
def test_what_is_not_modelled_is_no_divergence(line: str, target: str) -> None:
    with pytest.raises(sm.NotModelled, match=f"the target {target} is not modelled") as caught:
        verdict(DISK + line)
    assert caught.value.target == target


@pytest.mark.spec("ORACLE-20")
def test_blocks_of_other_sizes_are_known_by_the_kernels_message() -> None:
    text = "len=60 not aligned to h/w logical block size 4096 of base"
    with pytest.raises(sm.NotModelled, match="blocks of other sizes"):
        verdict(DISK + f'create x "0 60 linear base 0" -> error EINVAL "{text}"')


@pytest.mark.spec("ORACLE-20")
@pytest.mark.parametrize(
    "line",
    [
        'create x "0 64 striped 1 8 base 0" -> error EINVAL "striped: unknown target type"',
        'create x "0 64 raid" -> error EINVAL',
        'create x "0 64 somebodys base" -> error EINVAL "somebodys: unknown target type"',
        'start 1 create x "0 64 raid" -> ok\nfinish 1 -> error EINVAL\nstatus x -> error ENXIO',
    ],
)
def test_a_target_that_a_kernel_lacks_is_refused(line: str) -> None:
    assert verdict(DISK + line) is None


@pytest.mark.spec("ORACLE-20")
@pytest.mark.parametrize(
    "line",
    [
        'create x "0 64 somebodys base" -> error ENOMEM',
        'create x "0 64 linear base 0" -> error EINVAL "linear: Invalid argument count"',
        'create x "0 64 striped 1 8 base 0" -> died "panic"',
        'create x "0 64 striped 1 8 base 0" -> error EINVAL\nstatus x -> "0 64 striped"',
    ],
)
def test_what_is_modelled_still_diverges(line: str) -> None:
    assert isinstance(verdict(DISK + line), sm.Divergence)


def test_nothing_is_noted_of_what_is_not_modelled() -> None:
    oracle = sm.Oracle()
    create = sm.parse_operation('create x "0 64 raid"')
    with pytest.raises(sm.NotModelled):
        oracle.observe(create, sm.Done())
    assert oracle.history == []
    assert oracle.observe(create, sm.Failed("EINVAL")) is None
