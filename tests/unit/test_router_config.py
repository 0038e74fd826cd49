"""The plan and the router's configuration say the same, field by field."""

from __future__ import annotations

import pytest

from routegen.compile import compile_text
from routegen.emit.router_config import router_config
from routegen_router import config
from routegen_router.config import Backend, Config, Models, Poll
from routegen_router.request import Source
from routegen_router.rules import Lookup, NoRoute, Prefer, Split
from routegen_router.when import Condition

ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: everything, namespace: team}
spec:
  gateway: {target: envoy}
  router: {maxInflightBytes: 64Mi}
  routingHeader: X-Engine
  paths: [/v1/completions]
  maxBodyBytes: 1Mi
  models: {poll: {interval: 20s, timeout: 3s}, unknown: allow}
  backends:
    a: {endpoints: [10.0.0.1:8000], ownedBy: vllm, models: ["llama-*"]}
    b: {endpoints: [engine.test:443], ownedBy: sglang, tls: {serverName: e.test, caFile: /ca.pem}}
    c: {endpoints: [10.0.0.3:443], tls: {insecureSkipVerify: true}, models: [m], poll: {enabled: false}}
    d: {endpoints: [10.0.0.4:8000], tls: {insecureSkipVerify: true}}
  rules:
    - {name: gold, prefer: [sglang], when: {header: {x-tenant: gold}, model: "llama-*", path: "/v1/*"}}
    - {body: metadata.engine, values: {fast: a, "v*": vllm}, onUnknown: next, onMismatch: next}
    - {header: X-Wanted, when: {body: {user: "7"}}}
    - {split: {a: 3, sglang: 1}, stickyBy: {header: x-session-id}, when: {model: m}}
    - {reject: "Nobody is left."}
"""


def test_everything_that_routes_yaml_says_about_choosing_reaches_the_router() -> None:
    made = router_config(compile_text(ROUTES, "routes.yaml"))
    expected = Config(
        name="team/everything",
        routing_header="x-engine",
        paths=("/v1/completions",),
        max_body_bytes=1 << 20,
        max_inflight_bytes=64 << 20,
        workers=1,
        models=Models(interval=20.0, timeout=3.0, unknown="allow"),
        backends=(
            Backend(
                name="a",
                owner="vllm",
                models=("llama-*",),
                poll=Poll(urls=("http://10.0.0.1:8000/v1/models",)),
                seconds=("b", "c", "d"),
            ),
            Backend(
                name="b",
                owner="sglang",
                poll=Poll(urls=("https://engine.test:443/v1/models",), server_name="e.test", ca_file="/ca.pem"),
                seconds=("a", "c", "d"),
            ),
            Backend(name="c", models=("m",), seconds=("d", "a", "b")),
            Backend(
                name="d",
                poll=Poll(urls=("https://10.0.0.4:8000/v1/models",), verify=False),
                seconds=("a", "b", "c"),
            ),
        ),
        rules=(
            Prefer(
                name="gold",
                names=("sglang",),
                when=(
                    Condition(pattern="gold", source=Source(header="x-tenant")),
                    Condition(pattern="llama-*", attribute="model"),
                    Condition(pattern="/v1/*", attribute="path"),
                ),
            ),
            Lookup(
                name="body:metadata.engine",
                source=Source(body=("metadata", "engine")),
                values=(("fast", "a"), ("v*", "vllm")),
                on_unknown="next",
                on_mismatch="next",
            ),
            Lookup(
                name="header:x-wanted",
                source=Source(header="x-wanted"),
                when=(Condition(pattern="7", source=Source(body=("user",))),),
            ),
            Split(
                name="split",
                weights=(("a", 3.0), ("sglang", 1.0)),
                sticky_by=Source(header="x-session-id"),
                when=(Condition(pattern="m", attribute="model"),),
            ),
            NoRoute(name="reject", message="Nobody is left."),
        ),
    )
    assert made == expected
    assert config.load(config.dump(made)) == made


@pytest.mark.parametrize(
    ("router", "memory"),
    [
        ("{}", "1Gi"),
        ("{workers: 2}", "1280Mi"),
        ("{workers: 3, maxInflightBytes: 512Mi}", "2304Mi"),
        ("{workers: 2, resources: {limits: {memory: 3Gi}}}", "3Gi"),
    ],
)
def test_the_default_limit_on_memory_is_enough_for_the_workers_and_their_bodies(router: str, memory: str) -> None:
    backends = "backends: {a: {service: {name: a, port: 80}}, b: {service: {name: b, port: 80}}}"
    head = "apiVersion: routegen/v1alpha1\nkind: InferenceRoutes\nmetadata: {name: q}\n"
    plan = compile_text(f"{head}spec:\n  router: {router}\n  {backends}\n", "routes.yaml")
    assert dict(dict(plan.router.resources)["limits"])["memory"] == memory
