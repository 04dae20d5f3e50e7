"""Inactive tables: dropped by a clear, and taken by a resume when that begins."""

import pytest
from tests.model._play import Bench, play, setup

import snapmerge as sm

LINEAR = 'disk base 32\ncreate dev "0 32 linear base 0"\n'
MERGE = '"0 32 snapshot-merge base cow P 8"'


@pytest.mark.spec("DEV-12")
@pytest.mark.spec("DEV-24")
def test_a_clear_drops_the_inactive_table_and_nothing_else() -> None:
    session = play(
        LINEAR
        + """
clear nothing -> error ENXIO
clear dev -> ok
load dev "0 8 linear base 8" -> ok
suspend dev -> ok
clear dev -> ok
start 1 read dev 0 1
finish 1 -> blocked
resume dev -> ok
finish 1 -> #0
table dev -> "0 32 linear base 0"
create bare
load bare "0 8 linear base 8"
clear bare -> ok
suspend bare
resume bare -> error EINVAL
"""
    )
    assert len(session.world.stack.targets) == 1


@pytest.mark.spec("DEV-24")
def test_a_clear_waits_for_nothing_and_leaves_a_table_under_construction_alone() -> None:
    bench = Bench(setup() + 'disk other 104\nload snap "0 32 linear base 0"')
    load, clear = bench.start('load snap "0 32 snapshot base other P 8"'), bench.start("clear snap")
    assert bench.flights == ["read other 0 8"]
    assert [bench.ended(load), bench.ended(clear)] == [None, "ok"]
    bench.settle()
    assert bench.ended(load) == "ok"
    bench.play('resume snap -> ok\ntable snap -> "0 32 snapshot base other P 8"')


@pytest.mark.spec("DEV-25")
@pytest.mark.parametrize("drop", ["clear origin", 'load origin "0 32 linear base 0"'])
def test_with_the_table_its_snapshots_handovers_and_uses_of_devices_are_gone(drop: str) -> None:
    session = play(
        setup()
        + f"""
create lower "0 32 linear base 0"
load origin "0 32 linear lower 0"
remove lower -> error EBUSY
{drop} -> ok
remove lower -> ok
suspend snap
load origin {MERGE} -> ok
resume snap -> error EINVAL "snapshots: Unable to resume snapshot source until handover completes."
{drop} -> ok
resume snap -> ok
suspend snap
load origin {MERGE} -> ok
remove snap -> ok
{drop} -> ok
load origin {MERGE} -> ok
{drop} -> ok
"""
    )
    assert not session.world.stack.shared


@pytest.mark.spec("DEV-26")
@pytest.mark.parametrize("meanwhile", ["clear dev", 'load dev "0 32 linear base 8"', "resume dev"])
def test_a_resume_takes_the_table_that_is_inactive_when_it_begins(meanwhile: str) -> None:
    bench = Bench(LINEAR + 'disk more 64\nload dev "0 32 linear more 0"')
    bench.start("write dev 0 1 #1")
    resume, other = bench.start("resume dev"), bench.start(meanwhile)
    assert [bench.ended(resume), bench.ended(other)] == [None, "ok"]
    bench.settle()
    assert bench.ended(resume) == "ok"
    bench.play('table dev -> "0 32 linear more 0"')
    assert len(bench.world.stack.devices["dev"].inactive) == meanwhile.startswith("load")


@pytest.mark.spec("DEV-27")
def test_a_resume_that_finds_the_device_suspended_by_another_gives_its_table_back() -> None:
    bench = Bench(LINEAR + 'load dev "0 32 linear base 0"')
    bench.start("write dev 0 1 #1")
    suspend, resume = bench.start("suspend dev"), bench.start("resume dev")
    bench.settle()
    assert [bench.ended(suspend), bench.ended(resume)] == ["ok", "error EINVAL"]
    assert bench.world.stack.devices["dev"].inactive
    bench.play("resume dev -> ok\nread dev 0 1 -> #1")
    assert len(bench.world.stack.targets) == 1


@pytest.mark.spec("DEV-27")
def test_unless_another_table_has_been_loaded_meanwhile() -> None:
    bench = Bench(LINEAR + 'load dev "0 32 linear base 0"')
    bench.start("write dev 0 1 #1")
    suspend, resume = bench.start("suspend dev"), bench.start("resume dev")
    assert bench.ended(bench.start('load dev "0 16 linear base 16"')) == "ok"
    bench.settle()
    assert [bench.ended(suspend), bench.ended(resume)] == ["ok", "error ENXIO"]
    bench.play('resume dev -> ok\ntable dev -> "0 16 linear base 16"')
    assert len(bench.world.stack.targets) == 1


@pytest.mark.spec("DEV-27")
@pytest.mark.parametrize("load", ["", f"load snap {MERGE}"])
def test_a_resume_that_finds_the_device_resumed_by_another_fails(load: str) -> None:
    bench = Bench(setup() + "suspend snap")
    bench.start("write origin 0 8 #1")
    first = bench.start("resume snap")
    if load:
        bench.start(load)
    second = bench.start("resume snap")
    assert [bench.ended(first), bench.ended(second)] == [None, None]
    bench.settle()
    assert [bench.ended(first), bench.ended(second)] == ["ok", "error EINVAL"]
    assert not bench.world.stack.devices["snap"].inactive


@pytest.mark.spec("DEV-25")
def test_a_removal_drops_the_inactive_table_before_it_waits() -> None:
    bench = Bench(setup() + f"load snap {MERGE}\ncreate third\n")
    bench.start("write origin 0 8 #1")
    remove = bench.start("remove snap")
    assert [target.line.target for target in bench.world.stack.targets.values()] == ["snapshot", "snapshot-origin"]
    assert bench.ended(remove) is None
    bench.settle()
    assert bench.ended(remove) == "ok"


def test_clear_is_written_like_the_others() -> None:
    assert sm.parse_operation("clear dev") == sm.Clear("dev")
    assert sm.print_operation(sm.Clear("dev")) == "clear dev"
