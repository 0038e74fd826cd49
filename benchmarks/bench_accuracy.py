"""Whether `routegen bench` measures what engines really do: ``python benchmarks/bench_accuracy.py``.

Two mock engines are told their latencies and put behind the real Envoy and router; the bench measures them through the
gateway and directly at 1 to 64 requests at once. Every metric is held against what was told, and the program ends with
1 if one is off by more than 3 %. Then the client alone is pushed to its limit. Takes about four minutes; an otherwise
idle machine with two CPUs or more is needed.
"""

from __future__ import annotations

import contextlib
import resource
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from routegen.bench import analysis, arms, conduct, preflight, records
from routegen.bench.design import Design, Load, Slo
from routegen.bench.layout import Layout, lay_out
from routegen.common.problems import UserError
from routegen.pipeline import read_plan

HERE = Path(__file__).resolve().parent
ROUTES = HERE.parent / "examples" / "two-engines" / "routes.yaml"
MODEL = "Qwen/Qwen2.5-0.5B-Instruct"
TOKENS = 16
TOLERANCE = 0.03
CONCURRENCIES = (1, 4, 16, 64)


@dataclass(frozen=True)
class Told:
    """What an engine was told, in seconds."""

    ttft: float
    tpot: float

    @property
    def e2e(self) -> float:
        """The whole answer."""
        return self.ttft + (TOKENS - 1) * self.tpot

    def expected(self, concurrency: int, requests: int, ramp: float) -> dict[str, float]:
        """Every metric, from the formulas' text; the last worker starts late by most of the ramp.

        Not M08, the longest gap: nobody tells an engine how late its worst timer is.
        """
        e2e = self.e2e
        window = ramp * (concurrency - 1) / concurrency + e2e * requests / concurrency
        return {
            "ttft": self.ttft,
            "ttft_content": self.ttft,
            "tpot": self.tpot,
            "chunk_gap": self.tpot,
            "e2e": e2e,
            "e2e_scheduled": e2e,
            "request_rate": requests / window,
            "token_rate": requests * TOKENS / window,
            "steady_token_rate": concurrency * TOKENS / e2e,
            "goodput": requests / window,
        }


ENGINES = {"vllm": Told(ttft=0.50, tpot=0.10), "sglang": Told(ttft=0.55, tpot=0.11)}
RAMP = 2.0
"""Seconds: about an answer, so that the workers are spread evenly, as on an engine in steady use."""


def design(concurrency: int, requests: int, *, tokens: int, ramp: float) -> Design:
    """A small cold run."""
    return Design(
        seed=1,
        blocks=1,
        requests=requests,
        load=Load(kind="closed", concurrency=concurrency, ramp=ramp),
        warmup=concurrency,
        path="/v1/chat/completions",
        input_tokens=128,
        output_tokens=tokens,
        cache="cold",
        ignore_eos=True,
        sampling={"temperature": 0},
        timeout=60.0,
        primary="e2e",
        margin=0.03,
        confidence=0.95,
        slo=Slo(e2e=5.0),
    )


def measured(folder: Path, plan: Design, parts: Layout) -> analysis.Analysis:
    """Run it and read it."""
    records.create(folder, conduct.new_run(plan, parts))
    conduct.conduct(folder, lambda _: None)
    return analysis.analyse(records.read(folder))


@contextlib.contextmanager
def process(*command: str, output: int = subprocess.PIPE) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with the block."""
    running = subprocess.Popen(command, stdout=output, text=True)
    try:
        yield running
    finally:
        running.terminate()
        running.wait(20)
        if running.stdout is not None:
            running.stdout.close()


@contextlib.contextmanager
def engine(name: str, told: Told) -> Iterator[str]:
    """A mock engine's address."""
    options = [
        "--personality",
        name,
        "--port",
        "0",
        "--model",
        MODEL,
        "--ttft",
        str(told.ttft),
        "--tpot",
        str(told.tpot),
    ]
    with process(sys.executable, "-m", "routegen.mock_engine", *options) as running:
        assert running.stdout is not None
        yield running.stdout.readline().split()[-1]


@contextlib.contextmanager
def gateway(urls: Mapping[str, str]) -> Iterator[str]:
    """The address of a real Envoy with the router, in front of the engines."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    places = [part for name, url in urls.items() for part in ("--engine", f"{name}={url}")]
    routegen = str(Path(sys.executable).with_name("routegen"))
    with process(routegen, "up", "-f", str(ROUTES), *places, "--port", str(port), output=subprocess.DEVNULL):
        url = f"http://127.0.0.1:{port}"
        for attempt in range(200):
            try:
                preflight.find_models(arms.from_urls({"gateway": url}, MODEL), None)
                break
            except UserError:
                if attempt == 199:  # noqa: PLR2004 - the last of them
                    raise
                time.sleep(0.1)
        yield url


def accuracy(folder: Path) -> bool:
    """Print told, measured and deviation of every metric; whether all of them hold."""
    fine, late = True, list[float]()
    with contextlib.ExitStack() as stack:
        urls = {name: stack.enter_context(engine(name, told)) for name, told in ENGINES.items()}
        envoy = stack.enter_context(gateway(urls))
        found = arms.from_plan(read_plan(ROUTES), (), MODEL, way="both", gateway=envoy, urls=urls)
        layout = lay_out(found, mode="solo", control=False, cache="cold")
        print(f"{'at once':>7}  {'arm':<15}{'metric':<20}{'told':>10}{'measured':>10}{'off':>9}")
        for concurrency in CONCURRENCIES:
            requests = max(3 * concurrency, 8)
            plan = design(concurrency, requests, tokens=TOKENS, ramp=RAMP)
            result = measured(folder / str(concurrency), plan, layout)
            for arm in result.arms:
                for key, told in ENGINES[arm.arm.engine].expected(concurrency, requests, RAMP).items():
                    figure = arm.figure(key)
                    value = None if figure is None else figure.median
                    off = float("inf") if value is None else value / told - 1
                    bad = abs(off) > TOLERANCE
                    if key == "ttft" and arm.arm.via == "direct":
                        late.append((value or 0) - told)
                    fine = fine and not bad
                    print(
                        f"{concurrency:>7}  {arm.arm.name:<15}{key:<20}{told:>10.4f}{value or 0:>10.4f}{off:>+9.2%}"
                        f"{'  more than ' + format(TOLERANCE, '.0%') if bad else ''}"
                    )
                fine = fine and not arm.errors
    print(
        f"\nstraight to an engine the first token was seen {median(late) * 1000:.1f} ms after it was due "
        f"(at most {max(late) * 1000:.1f} ms), the engine's own timer included"
    )
    return fine


def limits(folder: Path) -> None:
    """Print the most that the client does on this machine, and its CPU time for it."""
    print("\nthe client alone, against canned answers, 64 at once")
    for what, tokens, requests in (("requests of one token", 1, 4000), ("answers of 500 tokens", 500, 200)):
        with process(sys.executable, str(HERE / "canned_engine.py"), str(tokens)) as running:
            assert running.stdout is not None
            url = f"http://127.0.0.1:{running.stdout.readline().strip()}"
            pair = arms.from_urls({"canned": url}, "mock-model")
            layout = lay_out(pair, mode="solo", control=True, cache="cold")
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            result = measured(folder / what, design(64, requests, tokens=tokens, ramp=0.0), layout)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        rate = result.arms[0].figure("request_rate")
        assert rate is not None
        assert rate.median is not None
        count = sum(arm.requests for arm in result.arms)
        print(
            f"  {what}: {rate.median:.0f} requests/s, {rate.median * tokens:.0f} chunks/s; "
            f"{cpu / count * 1e6:.0f} µs of CPU a request, start-up included"
        )


def main() -> int:
    """Everything; 1 if a metric is off."""
    with tempfile.TemporaryDirectory() as folder:
        fine = accuracy(Path(folder))
        limits(Path(folder))
    print(f"\nevery metric within {TOLERANCE:.0%}" if fine else f"\nNOT every metric within {TOLERANCE:.0%}")
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
