"""The Hypothesis machine, run on the model."""

from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from snapmerge_adapters import Memory
from snapmerge_specs import LockstepMachine

FEW = settings(max_examples=20, stateful_step_count=15, deadline=None, suppress_health_check=list(HealthCheck))


def test_the_model_agrees_with_its_oracle() -> None:
    class Agreeing(LockstepMachine):
        implementation = staticmethod(Memory)

    run_state_machine_as_test(Agreeing, settings=FEW)
