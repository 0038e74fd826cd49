"""From routes.yaml to the plan: defaults, addresses, names and rules."""

from __future__ import annotations

from pathlib import Path

import pytest

from routegen import __version__
from routegen.common.addresses import authority, host_port
from routegen.common.problems import InputError
from routegen.compile import compile_text
from routegen.compile.units import child_name, field_path, seconds, size
from routegen.plan import (
    Addresses,
    Backend,
    Gateway,
    Listener,
    ListenerTLS,
    Passthrough,
    Picker,
    Plan,
    PoolRef,
    ServiceRef,
    UpstreamTLS,
)
from routegen.plan.router import Router
from routegen_router.config import Models
from routegen_router.request import Opened, Source
from routegen_router.rules import Lookup, Split
from support.written import plan

EXAMPLES = Path(__file__).parents[2] / "examples"
ENGINES = ("vllm", "sglang")


def backend(text: str, spec: str = "") -> Backend:
    return plan(spec, backends=f"a: {text}", deployed=False).backends[0]


def test_the_guides_two_engines_become_this_plan() -> None:
    text = (EXAMPLES / "two-engines" / "routes.yaml").read_text()
    services = [ServiceRef(f"{engine}-qwen2-5-0-5b-kserve-workload-svc", "inference", 8000) for engine in ENGINES]
    assert compile_text(text, "routes.yaml") == Plan(
        name="qwen-compare",
        namespace="inference",
        gateway=Gateway(
            target="envoy-gateway",
            name="inference-gateway",
            namespace="inference",
            class_name="eg",
            create=True,
            listeners=(Listener("http", 80),),
            hostnames=(),
            memory=2 << 30,
        ),
        router=Router(
            image=f"unpublished.invalid/routegen-router:{__version__}",
            replicas=2,
            resources=(("requests", (("cpu", "250m"), ("memory", "256Mi"))), ("limits", (("memory", "1Gi"),))),
            addresses=("127.0.0.1:50051",),
            max_inflight_bytes=268_435_456,
            failure_backend=None,
        ),
        routing_header="x-inference-server",
        paths=(
            "/v1/chat/completions",
            "/v1/completions",
            "/v1/embeddings",
            "/v1/responses",
            "/v1/messages",
            "/v1/messages/count_tokens",
            "/v1/rerank",
            "/v1/score",
            "/tokenize",
            "/detokenize",
        ),
        passthrough=(),
        by_headers=tuple(Opened("/v1/responses/*", method) for method in ("GET", "POST", "DELETE")),
        max_body_bytes=33_554_432,
        models=Models(interval=15.0, timeout=2.0, unknown="reject"),
        backends=tuple(
            Backend(engine, service, engine, poll_urls=(f"http://{service.host}:8000/v1/models",))
            for engine, service in zip(ENGINES, services, strict=True)
        ),
        rules=(
            Lookup(name="body:inference_server", source=Source(body=("inference_server",))),
            Lookup(name="body:owned_by", source=Source(body=("owned_by",))),
            Split(name="split", weights=(("vllm", 50.0), ("sglang", 50.0))),
        ),
    )


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*/routes.yaml")), ids=lambda path: path.parent.name)
def test_every_example_compiles(path: Path) -> None:
    assert compile_text(path.read_text(), str(path)).backends


def test_a_file_without_rules_has_the_default_chain() -> None:
    assert plan("").rules == (
        Lookup(name="body:inference_server", source=Source(body=("inference_server",))),
        Lookup(name="body:owned_by", source=Source(body=("owned_by",))),
        Split(name="split", weights=(("a", 1.0), ("b", 1.0))),
    )


@pytest.mark.parametrize(
    ("text", "reach", "poll_urls"),
    [
        (
            "{service: {name: s, port: 81}}",
            ServiceRef("s", "ns", 81),
            ("http://s.ns.svc.cluster.local:81/v1/models",),
        ),
        (
            "{service: {name: s, namespace: other, port: 81}, tls: {caConfigMap: ca}}",
            ServiceRef("s", "other", 81),
            ("https://s.other.svc.cluster.local:81/v1/models",),
        ),
        (
            "{llmInferenceService: {name: m, namespace: other}}",
            ServiceRef("m-kserve-workload-svc", "other", 8000),
            ("http://m-kserve-workload-svc.other.svc.cluster.local:8000/v1/models",),
        ),
        ("{inferencePool: {name: p}, models: [m]}", PoolRef("p", "ns"), ()),
        (
            "{inferencePool: {name: p, namespace: other}, poll: {url: 'http://engine:8000/v1/models'}}",
            PoolRef("p", "other"),
            ("http://engine:8000/v1/models",),
        ),
        (
            "{inferencePool: {name: p, endpoints: ['p.ns:8000', 'p.ns:8001'], picker: {endpoints: ['e.ns:9002']}}}",
            PoolRef("p", "ns", (("p.ns", 8000), ("p.ns", 8001)), Picker((("e.ns", 9002),))),
            ("http://p.ns:8000/v1/models", "http://p.ns:8001/v1/models"),
        ),
        (
            "{endpoints: [engine.example.com:8000, 10.0.0.1:80]}",
            Addresses((("engine.example.com", 8000), ("10.0.0.1", 80))),
            ("http://engine.example.com:8000/v1/models", "http://10.0.0.1:80/v1/models"),
        ),
        ("{endpoints: ['[fd00::7]:80']}", Addresses((("fd00::7", 80),)), ("http://[fd00::7]:80/v1/models",)),
        ("{endpoints: [10.0.0.1:80], models: [m], poll: {enabled: false}}", Addresses((("10.0.0.1", 80),)), ()),
    ],
)
def test_a_backend_is_reached_and_polled_there(
    text: str, reach: ServiceRef | PoolRef | Addresses, poll_urls: tuple[str, ...]
) -> None:
    found = backend(text)
    assert (found.reach, found.poll_urls) == (reach, poll_urls)


@pytest.mark.parametrize(
    ("text", "tls"),
    [
        ("true", UpstreamTLS()),
        ("{}", UpstreamTLS()),
        ("{serverName: x.example}", UpstreamTLS(server_name="x.example")),
        ("{caConfigMap: ca, caFile: /ca.pem}", UpstreamTLS(ca_file="/ca.pem", ca_config_map="ca")),
        ("{insecureSkipVerify: true}", UpstreamTLS(verify=False)),
    ],
)
def test_tls_to_an_engine_is_said_like_this(text: str, tls: UpstreamTLS) -> None:
    assert backend(f"{{endpoints: [engine.example.com:443], tls: {text}}}").tls == tls


def test_polling_can_be_switched_off_for_all_backends() -> None:
    assert backend("{endpoints: [10.0.0.1:80], models: [m]}", "  models: {poll: {enabled: false}}\n").poll_urls == ()


def test_where_unknown_models_are_allowed_a_backend_needs_no_models() -> None:
    assert backend("{inferencePool: {name: p}}", "  models: {unknown: allow}\n").models == ()


def test_rules_without_a_name_get_one_that_nobody_else_has() -> None:
    rules = ["body: x", "body: x", "{name: 'body:x#3', header: h}", "body: x", "prefer: [a]", "{name: split, body: y}"]
    text = "".join(f"    - {rule}\n" for rule in [*rules, "split: {a: 1}"])
    assert [rule.name for rule in plan(f"  rules:\n{text}").rules] == [
        "body:x",
        "body:x#2",
        "body:x#3",
        "body:x#4",
        "prefer:a",
        "split",
        "split#2",
    ]


def test_a_split_over_some_backends_or_with_a_condition_lets_later_rules_be_reached() -> None:
    spec = "  rules: [{split: {a: 1, b: 0}}, {when: {model: m}, split: {a: 1, b: 1}}, {split: {b: 1}}]\n"
    assert len(plan(spec).rules) == 3


def test_every_other_setting_arrives_in_the_plan() -> None:
    found = plan(
        "  gateway:\n"
        "    {name: g, namespace: gw, className: c, create: false, hostnames: ['*.example.com'],\n"
        "     listeners: [{name: https, port: 443, tls: {secretName: cert}}]}\n"
        "  router:\n"
        "    {image: r:1, replicas: 3, maxInflightBytes: 1G, failure: {backend: b},\n"
        "     addresses: ['unix:/run/r'], resources: {requests: {cpu: 2}, limits: {}}}\n"
        "  routingHeader: X-Engine\n"
        "  paths: [/v1/completions]\n"
        "  passthrough: [{path: /tokenize/*, method: POST, backend: a}]\n"
        "  maxBodyBytes: 1048576\n"
        "  models: {poll: {interval: 1m30s, timeout: 500ms}, unknown: allow}\n"
    )
    assert found.gateway == Gateway(
        "envoy-gateway",
        "g",
        "gw",
        "c",
        False,
        (Listener("https", 443, tls=ListenerTLS("cert")),),
        ("*.example.com",),
        2 << 30,
    )
    assert found.router == Router(
        "r:1", 3, (("requests", (("cpu", "2"),)), ("limits", ())), ("unix:/run/r", "unix:/run/r.1"), 10**9, "b", 2
    )
    assert (found.routing_header, found.paths) == ("x-engine", ("/v1/completions",))
    assert found.passthrough == (Passthrough("/tokenize/*", "POST", "a"),)
    assert found.max_body_bytes == 1_048_576
    assert found.models == Models(interval=90.0, timeout=0.5, unknown="allow")


def test_a_listener_outside_kubernetes_has_an_address_and_files() -> None:
    found = plan(
        "  gateway: {target: envoy, listeners: [{name: https, port: 443, address: '::1',"
        " tls: {certFile: c.pem, keyFile: k.pem}}]}\n"
    )
    assert found.gateway.listeners == (Listener("https", 443, "::1", ListenerTLS(None, "c.pem", "k.pem")),)


def test_failure_is_closed_also_where_the_file_says_so() -> None:
    assert plan("  router: {failure: closed}\n").router.failure_backend is None


def test_another_target_than_the_files_own_is_what_is_checked() -> None:
    text = (EXAMPLES / "two-engines" / "routes.yaml").read_text()
    assert compile_text(text, "routes.yaml", target="envoy").gateway.target == "envoy"
    addressed = "inferencePool: {name: p, endpoints: ['p:8000'], picker: {endpoints: ['e:9002']}}"
    pool = text.replace("llmInferenceService: vllm-qwen2-5-0-5b", addressed)
    compile_text(pool, "routes.yaml", target="envoy")
    with pytest.raises(InputError, match="the target envoy-gateway can't follow a pool"):
        compile_text(pool, "routes.yaml")
    compile_text(pool, "routes.yaml", deployed=False)


@pytest.mark.parametrize(
    ("parent", "expected"),
    [
        ("vllm-qwen2-5-0-5b", "vllm-qwen2-5-0-5b-kserve-workload-svc"),
        ("a" * 43, "a" * 43 + "-kserve-workload-svc"),
        ("a" * 44, "a" * 11 + "4c3c7c067634daec9716a80ea886d123" + "-kserve-workload-svc"),
    ],
    ids=["short", "63 characters", "64 characters"],
)
def test_kserves_names_are_shortened_as_kserve_does(parent: str, expected: str) -> None:
    found = child_name(parent, "-kserve-workload-svc")
    assert found == expected
    assert len(found) <= 63


def test_durations_sizes_fields_and_addresses_mean_what_they_say() -> None:
    assert [seconds(text) for text in ("15s", "500ms", "1m30s", "2h", "0s")] == [15.0, 0.5, 90.0, 7200.0, 0.0]
    assert [size(text) for text in ("7", "1k", "2M", "1G", "1Ki", "32Mi", "1Gi")] == [
        7,
        1_000,
        2_000_000,
        1_000_000_000,
        1_024,
        33_554_432,
        1_073_741_824,
    ]
    assert [field_path(text) for text in ("a", "a.b", "/a/b", "/a.b", "/a~1b", "/m~0n", "/")] == [
        ("a",),
        ("a", "b"),
        ("a", "b"),
        ("a.b",),
        ("a/b",),
        ("m~n",),
        ("",),
    ]
    assert [host_port(text) for text in ("h:1", "[::1]:2")] == [("h", 1), ("::1", 2)]
    assert [authority("h", 1), authority("::1", 2)] == ["h:1", "[::1]:2"]


def test_what_a_target_refuses_is_no_matter_on_this_machine() -> None:
    text = (
        "apiVersion: routegen/v1alpha1\nkind: InferenceRoutes\nmetadata: {name: here}\n"
        "spec: {backends: {a: {endpoints: ['127.0.0.1:8000']}}}\n"
    )
    assert compile_text(text, "routes.yaml", deployed=False).gateway.target == "envoy-gateway"
    with pytest.raises(InputError, match=r"127\.0\.0\.1 is the proxy's own pod"):
        compile_text(text, "routes.yaml")
