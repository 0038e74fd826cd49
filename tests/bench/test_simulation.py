"""What the design must show: 200 simulated comparisons on a drifting machine (``Machine`` writes the drift down)."""

from collections import Counter

import pytest

from routegen.bench.simulate import COMPARISONS, Machine, interleaved, sequential

DRIFTING = Machine(memory=0.97, step=0.02, noise=0.15)


def share_called_different(outcomes: list[str]) -> float:
    counted = Counter(outcomes)
    return (counted["base better"] + counted["other better"]) / len(outcomes)


def test_equal_engines_are_called_different_in_at_most_one_of_twenty_comparisons() -> None:
    outcomes = [interleaved(DRIFTING, 0.0, seed) for seed in range(COMPARISONS)]
    assert share_called_different(outcomes) <= 0.05
    assert outcomes.count("equivalent") > 0.2 * COMPARISONS, "and the design can also say that they are equal"


def test_one_engine_after_the_other_calls_equal_engines_different_more_often_than_not() -> None:
    outcomes = [sequential(DRIFTING, 0.0, seed) for seed in range(COMPARISONS)]
    assert share_called_different(outcomes) > 0.5


def test_a_true_difference_of_five_percent_is_found_at_the_default_size() -> None:
    outcomes = [interleaved(DRIFTING, 0.05, seed) for seed in range(COMPARISONS)]
    assert outcomes.count("base better") >= 0.8 * COMPARISONS
    assert outcomes.count("other better") == 0


@pytest.mark.parametrize("machine", [Machine(step=0.04), Machine(hiccups=0.05)], ids=["twice the drift", "disturbed"])
def test_worse_machines_cost_power_but_not_truth(machine: Machine) -> None:
    outcomes = [interleaved(machine, 0.0, seed) for seed in range(COMPARISONS // 2)]
    assert share_called_different(outcomes) <= 0.05
