import pytest

import snapmerge as sm
from snapmerge_adapters import Memory
from snapmerge_specs import Lockstep
from snapmerge_specs.scenarios.driver import Sketched

SHRINKS = """
disk base 16
create dev "0 16 linear base 0"
suspend dev
load dev "0 8 linear base 0"
start 1 discard dev 0 {count}
resume dev
"""


@pytest.mark.parametrize(("count", "resumed"), [(8, True), (9, False)])
def test_a_discard_that_the_block_layer_cuts_is_not_let_in_where_a_part_would_fit(count: int, resumed: bool) -> None:
    driver = Sketched(Lockstep(Memory()))
    for step in sm.parse_trace(SHRINKS.format(count=count)):
        if isinstance(step.operation, sm.Start):
            driver.start(step.operation.operation)
        elif not isinstance(step.operation, sm.Finish):
            driver.do(step.operation)
    assert (driver.suspended == []) == resumed
