"""The endpoint picker of the Gateway API Inference Extension, as it is released, behind the router on target envoy.

The API server, both pickers, the router and Envoy are real; pods are mock engines that the test says are ready. One
pool fails open and its picker speaks TLS, as it does by default; the other fails closed, and its picker doesn't.
"""

from __future__ import annotations

import http.client
import json
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field

import pytest

from routegen.compile import compile_text
from routegen.emit.envoy import bootstrap
from routegen.emit.router_config import router_config
from routegen.mock_engine import Behaviour
from support.cluster import tools
from support.cluster.cluster import Cluster
from support.cluster.pools import Pods, RealPicker, install_crds, make_pool
from support.cluster.sandbox import wait_for
from support.envoy import FREE_PORT, Envoy
from support.gateway import Reply, exchange
from support.router import running as running_router

NAMESPACE = "pools"
ENGINE_TYPE = "inference.networking.k8s.io/engine-type"
ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {{name: pools, namespace: pools}}
spec:
  gateway: {{target: envoy, listeners: [{{name: http, port: 18080, address: 127.0.0.1}}]}}
  router: {{addresses: ["{router}"]}}
  models: {{poll: {{interval: 1s, timeout: 1s}}}}
  backends:
    open:
      inferencePool:
        name: open
        endpoints: ["{o1}:8000", "{o2}:8000"]
        picker:
          {{endpoints: ["127.0.0.1:9002"], tls: {{insecureSkipVerify: true}}, healthPort: 9003, failureMode: FailOpen}}
      ownedBy: vllm
    closed:
      inferencePool:
        name: closed
        endpoints: ["{c1}:8000", "{c2}:8000"]
        picker: {{endpoints: ["127.0.0.1:9012"], healthPort: 9013}}
      ownedBy: sglang
"""
PODS = {"o1": ("open", "vllm"), "o2": ("open", "vllm"), "c1": ("closed", "sglang"), "c2": ("closed", "sglang")}
HELLO = [{"role": "user", "content": "hello"}]
"""The picker refuses a request without any message."""
POOLS = ("open", "closed")


@dataclass
class Rig:
    """Everything that runs."""

    cluster: Cluster
    envoy: Envoy
    pods: Pods
    pickers: dict[str, RealPicker]
    addresses: dict[str, str]
    ids: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000_000)))

    def post(self, pool: str, **more: object) -> tuple[Reply, str | None]:
        """Send one request to a pool."""
        return self.send(json.dumps({"inference_server": pool, "model": "m", "messages": HELLO, **more}).encode())

    def send(self, data: bytes) -> tuple[Reply, str | None]:
        """Send this body; the reply, and the pod that the access log says was picked."""
        request_id = f"id-{next(self.ids)}"
        headers = [("content-type", "application/json"), ("x-request-id", request_id)]
        reply = exchange("127.0.0.1", 18080, "POST", "/v1/chat/completions", data, headers)
        picked: str | None = self.envoy.logged(request_id)["picked"]
        return reply, picked

    def reached(self) -> list[str]:
        """The pods that got a generation since they forgot; pickers ask all of them for metrics."""
        return [pod for pod in self.addresses if self.cluster.engines[pod].recorder.generations()]

    def settled(self, pool: str) -> None:
        """Wait until a request to the pool is answered by the pod that its picker named."""
        wait_for(lambda: (said := self.post(pool))[0].status == 200 and said[1] is not None, f"{pool} to be picked for")


@pytest.fixture(scope="module")
def rig(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    if not tools.picker().exists():
        pytest.skip(f"not built: {tools.picker().name}; `make test-cluster` builds it with Go")
    api, sandbox = cluster.api, cluster.sandbox
    install_crds(api)
    cluster.namespace(NAMESPACE)
    pods = Pods(cluster, NAMESPACE)
    addresses = {
        name: pods.add(name, {"app": pool, ENGINE_TYPE: engine}, engine, Behaviour(models=("m",)))
        for name, (pool, engine) in PODS.items()
    }
    make_pool(api, "open", NAMESPACE, {"app": "open"}, "FailOpen")
    make_pool(api, "closed", NAMESPACE, {"app": "closed"}, "FailClose")
    pickers = {
        "open": RealPicker(sandbox, api, "open", NAMESPACE, 9002),
        "closed": RealPicker(sandbox, api, "closed", NAMESPACE, 9012, ("--secure-serving=false",)),
    }
    for picker in pickers.values():
        picker.start()
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("router")
        plan = compile_text(ROUTES.format(router="127.0.0.1:1", **addresses), "routes.yaml")
        router = stack.enter_context(running_router(folder, router_config(plan)))
        plan = compile_text(ROUTES.format(router=router.address, **addresses), "routes.yaml")
        envoy = stack.enter_context(Envoy(bootstrap.static(plan, admin=FREE_PORT)))
        made = Rig(cluster, envoy, pods, pickers, addresses)
        for pool in POOLS:
            made.settled(pool)
        yield made
    for picker in pickers.values():
        sandbox.stop(picker.process)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("size", [1_000, 100_000, 1_000_000, 3_900_000])
def test_a_body_arrives_whole_at_the_pod_that_was_picked(rig: Rig, pool: str, size: int) -> None:
    rig.cluster.engines.forget()
    sent = {"messages": [{"role": "user", "content": "<Zürich> & " + "x" * size}], "max_tokens": 3}
    reply, picked = rig.post(pool, **sent)
    assert (reply.status, reply.header("x-inference-server")) == (200, pool)
    [pod] = rig.reached()
    assert picked == f"{rig.addresses[pod]}:8000"
    [received] = rig.cluster.engines[pod].recorder.generations()
    assert received.json["messages"] == sent["messages"]
    assert received.header("content-length") == (str(len(received.body)),)


def test_20_megabytes_go_to_any_pod_of_an_open_pool_and_nowhere_in_a_closed_one(rig: Rig) -> None:
    rig.cluster.engines.forget()
    body = b'{"inference_server": "%s",  "model": "m", "messages": [], "pad": "' + b"x" * 20_000_000 + b'"}'
    reply, picked = rig.send(body.replace(b"%s", b"open"))
    assert (reply.status, picked) == (200, None)
    [pod] = rig.reached()
    [received] = rig.cluster.engines[pod].recorder.generations()
    assert received.body == body.replace(b"%s", b"open")
    reply, picked = rig.send(body.replace(b"%s", b"closed"))
    assert (reply.status, reply.code, picked) == (413, "request_too_large", None)


def test_an_answer_is_streamed_as_it_comes(rig: Rig) -> None:
    """Its first event is here while the engine still waits to send the last ones."""
    for pod in ("c1", "c2"):
        rig.cluster.engines[pod].behaviour = Behaviour(models=("m",), tpot=0.2)
    connection = http.client.HTTPConnection("127.0.0.1", 18080, timeout=60)
    try:
        body = {"inference_server": "closed", "model": "m", "messages": HELLO, "stream": True, "max_tokens": 10}
        connection.request("POST", "/v1/chat/completions", json.dumps(body), {"content-type": "application/json"})
        response = connection.getresponse()
        assert response.readline().startswith(b"data: ")
        first = time.monotonic()
        assert response.read().endswith(b"data: [DONE]\n\n")
        assert time.monotonic() - first > 1
    finally:
        connection.close()
        for pod in ("c1", "c2"):
            rig.cluster.engines[pod].behaviour = Behaviour(models=("m",))


def test_a_pod_that_is_not_ready_gets_nothing_and_without_any_the_picker_refuses(rig: Rig) -> None:
    try:
        rig.pods.ready("c1", rig.addresses["c1"], ready=False)
        wait_for(lambda: {rig.post("closed", n=n)[1] for n in range(6)} == {f"{rig.addresses['c2']}:8000"}, "only c2")
        rig.pods.ready("c2", rig.addresses["c2"], ready=False)
        wait_for(lambda: rig.post("closed")[0].status == 503, "no pod to be left")
        assert rig.post("closed")[0].code == "picker_refused"
        assert rig.post("open")[0].status == 200
    finally:
        for pod in ("c1", "c2"):
            rig.pods.ready(pod, rig.addresses[pod])
    rig.settled("closed")


def test_the_picker_follows_the_metrics_of_the_pods(rig: Rig) -> None:
    """o1 says that requests wait; the prompts differ, so that no cached prefix decides."""
    busy = rig.cluster.engines["o1"]
    busy._figures._waiting.labels("m").set(40)
    try:
        time.sleep(1)  # it asks 20 times a second
        picked = Counter(rig.post("open", messages=[{"role": "user", "content": f"{n} is new"}])[1] for n in range(20))
        assert picked[f"{rig.addresses['o2']}:8000"] >= 18, picked
    finally:
        busy._figures._waiting.labels("m").set(0)


@dataclass
class Load:
    """Eight clients for one pool, and what they were answered, by the time since the start."""

    rig: Rig
    pool: str
    answers: list[tuple[float, int, str | None]] = field(default_factory=list)

    def run(self, seconds: float, then: tuple[float, threading.Event]) -> None:
        """Send for so long; set the event after its time."""
        began = time.monotonic()
        threads = [threading.Thread(target=self._client, args=(began, seconds)) for _ in range(8)]
        for thread in threads:
            thread.start()
        time.sleep(then[0])
        then[1].set()
        for thread in threads:
            thread.join()

    def _client(self, began: float, seconds: float) -> None:
        body = json.dumps({"inference_server": self.pool, "model": "m", "messages": HELLO}).encode()
        while (now := time.monotonic() - began) < seconds:
            reply = exchange("127.0.0.1", 18080, "POST", "/v1/chat/completions", body)
            code = None if reply.status == 200 else reply.code
            self.answers.append((now, reply.status, code))
            time.sleep(0.02)


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP], ids=lambda how: how.name)
def test_a_picker_that_goes_under_load(rig: Rig, pool: str, how: signal.Signals) -> None:
    """Gone, or hanging, after 1 s: soon an open pool goes on without it, and a closed one refuses. It comes back."""
    picker, gone = rig.pickers[pool], threading.Event()
    load = Load(rig, pool)

    def end() -> None:
        gone.wait()
        if how is signal.SIGSTOP:
            rig.cluster.sandbox.signal(picker.process, how)
        else:
            rig.cluster.sandbox.stop(picker.process, how)

    ending = threading.Thread(target=end)
    ending.start()
    load.run(8, (1.0, gone))
    ending.join()
    if how is signal.SIGSTOP:
        rig.cluster.sandbox.signal(picker.process, signal.SIGCONT)
    else:
        picker.start()
    before = Counter(status for at, status, _ in load.answers if at < 0.9)
    between = Counter(status for at, status, _ in load.answers if 0.9 <= at < 5)
    after = Counter(status for at, status, _ in load.answers if at >= 5)
    codes = {code for _, status, code in load.answers if status != 200}
    print(f"\n{pool}, {how.name}: before {dict(before)}, then {dict(between)}, from 5 s on {dict(after)}; {codes}")
    assert set(before) == {200}
    assert codes <= {"picker_unavailable"}
    assert set(after) == ({200} if pool == "open" else {503})
    rig.settled(pool)
    other = next(one for one in POOLS if one != pool)
    assert rig.post(other)[0].status == 200
