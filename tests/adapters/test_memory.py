import pytest

from snapmerge import OperationError, parse_operation
from snapmerge_adapters import Memory


def test_disks_have_no_more_sectors_than_is_said() -> None:
    memory = Memory()
    assert memory.capabilities.sectors_max == 1 << 20
    memory.apply(parse_operation("disk base 1048000"))
    with pytest.raises(OperationError, match="cow would make it 1048577 sectors of disks; at most 1048576"):
        memory.apply(parse_operation("disk cow 577"))
    memory.apply(parse_operation("disk cow 576"))
    memory.apply(parse_operation("reset"))
    memory.apply(parse_operation("disk base 1048576"))
