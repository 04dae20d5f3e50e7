"""How a merge of 2009 comes to rest, and goes on."""

import pytest
from tests.model.machine.concept.test_worker import merging


@pytest.mark.spec("CONCEPT-7", "CONCEPT-8")
def test_a_suspension_waits_for_the_chunk_at_hand_and_no_longer() -> None:
    bench = merging()
    bench.settle_but("read cow 2 1")
    suspend = bench.start("suspend merge")
    assert bench.ended(suspend) is None
    bench.settle()
    assert bench.ended(suspend) == "ok"
    bench.play('status merge -> "0 4 snapshot-merge 2/4"\nread base 0 4 -> #1001 #21 #1003+2')


@pytest.mark.spec("CONCEPT-6", "CONCEPT-8")
def test_a_resume_goes_on_behind_it() -> None:
    bench = merging()
    bench.settle_but("read cow 2 1")
    bench.start("suspend merge")
    bench.settle()
    bench.start("resume merge")
    seen = []
    while bench.flights:
        seen += bench.flights
        bench.finish(bench.flights[0])
    assert [flight for flight in seen if flight.startswith("read")] == ["read cow 3 1"]
    bench.play("read base 0 4 -> #1001 #21 #1003 #23")
