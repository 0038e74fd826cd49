"""What several processes have counted is one router's."""

from __future__ import annotations

from routegen_router import tallies
from routegen_router.messages import Routed
from routegen_router.metrics import Decided, Metrics
from routegen_router.tallies import Family


def process(rule: str, times: int, in_flight: int) -> list[Family]:
    metrics = Metrics()
    metrics.count_in_flight(lambda: in_flight)
    metrics.decided(Decided(0.0, Routed("one", rule), 0.002, 300, "") for _ in range(times))
    return metrics.read()


def values(families: list[Family]) -> dict[str, float]:
    lines = [line for line in tallies.render(families).decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_counters_histograms_and_amounts_are_summed() -> None:
    found = values(tallies.together([process("a", 2, 100), process("a", 3, 20), process("b", 1, 3)]))
    assert found['routegen_decisions_total{backend="one",outcome="routed",rule="a"}'] == 5
    assert found['routegen_decisions_total{backend="one",outcome="routed",rule="b"}'] == 1
    assert found['routegen_decision_seconds_bucket{le="0.001"}'] == 0
    assert found['routegen_decision_seconds_bucket{le="0.0025"}'] == 6
    assert found["routegen_body_bytes_sum"] == 1800
    assert found["routegen_bytes_in_flight"] == 123
    assert found['routegen_config_reloads_total{result="loaded"}'] == 0


def test_what_a_process_began_with_is_not_summed() -> None:
    one, other = (
        [Family("process_start_time_seconds", "gauge", "", ((("process_start_time_seconds", ()), began),))]
        for began in (100.0, 90.0)
    )
    assert values(tallies.together([one, other])) == {"process_start_time_seconds": 90.0}


def test_of_a_process_that_has_ended_counters_stay_and_amounts_go() -> None:
    past = tallies.lasting(process("a", 2, 100))
    found = values(tallies.together([past, process("a", 1, 7)]))
    assert found['routegen_decisions_total{backend="one",outcome="routed",rule="a"}'] == 3
    assert found["routegen_bytes_in_flight"] == 7


def test_one_process_alone_is_told_as_the_library_tells_it() -> None:
    from prometheus_client import generate_latest  # noqa: PLC0415 - only to compare

    metrics = Metrics()
    metrics.decided([Decided(0.0, Routed("one", 'r"\\\n'), 0.002, 300, "")])
    theirs = generate_latest(metrics._registry).decode().splitlines()
    ours = metrics.render().decode().splitlines()
    moving = ("process_",)
    assert [line for line in ours if not line.startswith(moving)] == [
        line for line in theirs if not line.startswith(moving)
    ]
