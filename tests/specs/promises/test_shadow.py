"""The promises raise no false alarm: the model keeps them whatever is done, and so do kernels in recorded traces."""

from collections import Counter
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapmerge import (
    MAINLINE,
    Disk,
    Operation,
    OperationError,
    Outcome,
    Read,
    Reset,
    Rules,
    Sector,
    Sectors,
    Step,
    parse_trace,
    print_trace,
)
from snapmerge_adapters import Memory
from snapmerge_specs.promises.checker import BrokenPromise, Promises, broken_promise
from snapmerge_specs.promises.words import NOT_COMPARED
from snapmerge_specs.scenarios.anything import Anything

SPECS = Path(__file__).parents[3] / "specs"

DEVICE = 'disk base 16\nwrite base 0 16 #1\ncreate dev "0 16 linear base 0"\n'
WINDOW = 'disk base 16\ndisk cow 64\nwrite base 0 16 #1\ncreate window "0 64 linear cow 0"\n'
TWO = 'disk base 16\ndisk other 16\ndisk cow 64\nwrite base 0 16 #1\ncreate same "0 16 linear base 0"\n'
SNAP = f'{TWO}create snap "0 16 snapshot base cow P 1"\nwrite snap 0 2 #50\n'

RIGHT = {
    "a load that was started": f'{DEVICE}start 1 load dev "0 16 zero"\nfinish 1\nresume dev\nread dev 8 2\n',
    "a create of a taken name": f'{DEVICE}start 1 create dev "0 16 zero"\nfinish 1\nresume dev\nread dev 8 2\n',
    "a load beside a load": f'{DEVICE}start 1 load dev "0 16 zero"\nload dev "0 16 error"\nresume dev\nread dev 8 2\n',
    "a clear that was started": f'{DEVICE}load dev "0 16 zero"\nstart 1 clear dev\nresume dev\nread dev 8 2\n',
    "a store below a window": f'{WINDOW}create snap "0 16 snapshot base window P 1"\nread cow 0 4\n',
    "exceptions below a window": f"""{WINDOW}create snap "0 16 snapshot base window P 1"
create origin "0 16 snapshot-origin base"\nwrite origin 0 3 #50\nread cow 0 10\nread snap 0 16\n""",
    "another disk below a window": f"""disk next 64\n{WINDOW}create snap "0 16 snapshot base window P 1"
suspend window\nload window "0 64 linear next 0"\nresume window\nwrite snap 0 1 #50\nread next 0 4\n""",
    "another origin": f"""{SNAP}create merge\nload merge "0 16 snapshot-merge other cow P 1"\nremove snap\nresume merge
read merge 0 4\nsettle merge\nread other 0 4\n""",
    "the same origin below a window": f"""{SNAP}create merge\nload merge "0 16 snapshot-merge same cow P 1"
remove snap\nresume merge\nread merge 0 4\nsettle merge\nread base 0 4\n""",
    "two servers": f"""{SNAP}create next "0 16 snapshot same cow P 1"\nwrite snap 8 2 #70\nread next 0 16
write next 9 1 #90\nread snap 0 16\nread next 0 16\n""",
}
"""What once was called a broken promise, and its kind: the outcomes are the model's."""


@pytest.mark.spec("PROMISE-8")
@pytest.mark.parametrize("text", [pytest.param(text, id=name) for name, text in RIGHT.items()])
@pytest.mark.parametrize("recorded", [True, False])
def test_what_the_model_does_breaks_no_promise(text: str, *, recorded: bool) -> None:
    memory, started = Memory(), False
    steps = []
    for step in parse_trace(text):
        outcome = memory.apply(step.operation)
        started = started or recorded
        steps.append(Step(step.operation, outcome if started or isinstance(step.operation, Read) else None))
    assert broken_promise(steps) is None


class Drawn:
    """Whatever may be done, on the model in memory, with looks at everything in between."""

    def __init__(self, random: Random, rules: Rules = MAINLINE) -> None:
        self._random = random
        self._anything = Anything(random, started=random.choice((0, 0.05, 0.6)))
        self._unrecorded = random.choice((0, 0, 0.02, 0.2))
        self._memory, self.promises = (
            Memory(seed=random.choice((None, random.randrange(1 << 30))), rules=rules),
            Promises(),
        )
        self.steps: list[Step] = []
        self.broken: BrokenPromise | None = None
        self._memory.apply(Reset())

    def run(self, moves: int) -> None:
        """Up to the first broken promise."""
        for operation in self._anything.operations(moves):
            self._do(operation)
            if self._random.random() < 0.3:
                self._look()

    def _do(self, operation: Operation) -> None:
        if self.broken is not None:
            return
        try:
            outcome: Outcome | None = self._memory.apply(operation)
        except OperationError:
            return
        if self._random.random() < self._unrecorded:
            outcome = None
        self.steps.append(Step(operation, outcome))
        self.broken = self.promises.observe(operation, outcome)

    def _look(self) -> None:
        sizes = {step.operation.name: step.operation.size for step in self.steps if isinstance(step.operation, Disk)}
        for name in (*sizes, *self._anything.devices):
            self._do(Read(name, Sector(0), Sectors(sizes.get(name, self._anything.size))))


@pytest.mark.spec("PROMISE-8")
@given(st.integers(0, 1 << 32))
def test_the_model_keeps_every_promise_whatever_is_done(seed: int) -> None:
    drawn = Drawn(Random(seed))
    drawn.run(40)
    assert drawn.broken is None, f"{drawn.broken}\n{print_trace(drawn.steps)}"


def test_what_is_drawn_is_compared_with_what_is_promised() -> None:
    compared: Counter[str] = Counter()
    for seed in range(60):
        drawn = Drawn(Random(seed))
        drawn.run(40)
        compared += drawn.promises.compared
    assert compared.total() - compared[NOT_COMPARED] > compared[NOT_COMPARED] / 2
    assert {"disk", "origin", "snapshot", "merge", "disk after a power cut", "origin after a power cut"} <= {*compared}


@pytest.mark.parametrize("path", sorted((SPECS / "traces").glob("*.trace")), ids=lambda path: path.stem)
def test_what_kernels_were_seen_to_do_breaks_no_promise(path: Path) -> None:
    assert broken_promise(parse_trace(path.read_text())) is None
