"""Files that a person might write, at the edges of what may stand in them: Hypothesis strategies for routes.yaml."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from support.cluster.gateways import TARGET

NAMESPACES = ("search", "elsewhere")
LONG = "x" * 63

labels = st.sampled_from(["a", "a-b", "7b", "9", LONG, "x" * 50, "a--b", "vllm"]) | st.from_regex(
    r"[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?", fullmatch=True
)
dotted = labels | st.sampled_from(["a.b", "a.b.c", "x" * 60 + ".ab", "0.1"])
hosts = st.sampled_from(
    [
        *("10.0.0.1", "a.example.com", "A.Example.Com", "a.example.com.", "xn--bcher-kva.example", "0.example"),
        *("a-b.c-d.example", "[fd00::7]", "[::ffff:10.0.0.9]", "x" * 63 + ".example", "1.2.3.4.example", "a.b"),
        *("engine", "localhost", "127.0.0.1", "[::1]", "under_score.example", "a..b", "-a.example", "a-.example"),
    ]
)
ports = st.sampled_from([1, 80, 443, 1023, 1024, 8000, 9000, 10080, 10443, 11023, 19000, 19001, 19003, 50051, 65535])
quantities = st.sampled_from(
    ["1", "0", "250m", "0.5", "1.5", "1Gi", "0.1Gi", "100k", "1e3", "64Mi", "3Ti", "1m", "0.001", "2.0000001", "8Gi"]
)
resources = st.dictionaries(
    st.sampled_from(
        [
            "cpu",
            "memory",
            "ephemeral-storage",
            "example.com/device",
            "gpu",
            "hugepages-2Mi",
            "storage",
            "nvidia.com/gpu",
        ]
    ),
    quantities,
    max_size=3,
)
texts = st.sampled_from(
    ["m", "org/model", "a b", "*", "llama-*", "ünïcode", "x" * 200, "a:b", "{}", "'", '"', "#", "%2F"]
)
path_text = st.text("abcXYZ019-._~!$&'()*+,;=:@", min_size=1, max_size=12).map(lambda text: f"/{text}")
paths = (
    st.sampled_from(["/v1/chat/completions", "/", "/a/b/c", "/%41", "/a%20b", "/" + "p" * 1023, "/v1/models"])
    | path_text
)
headers = st.sampled_from(
    ["x-engine", "X-Engine", "x.engine", "x!engine", "x" * 256, "host", "content-type", "a", "x-envoy-a", "x'y", "x|y"]
)
sizes = st.sampled_from(["1", "1k", "1Mi", "32Mi", "100Mi", "1Gi", "2Gi", "4Gi", "999", "1025", "33333333"])
names = st.sampled_from(NAMESPACES)


def some(required: dict[str, Any], **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
    """A mapping with these keys, each optional one there or not."""
    return st.fixed_dictionaries(required, optional=optional)


tls = st.just(True) | some(
    {},
    serverName=st.sampled_from(["a.example.com", "a", "a.b", "x" * 63 + ".example"]),
    caConfigMap=dotted,
    insecureSkipVerify=st.booleans(),
)
durations = st.sampled_from(["1ms", "999ms", "1s", "90s", "1h", "24h", "99999h", "1h1m1s1ms", "0s", "60000ms"])
api_key = some(
    {"secretName": dotted}, secretKey=st.sampled_from(["api-key", "..", ".a", "a_b.c", "K" * 253]), send=st.booleans()
)
common: dict[str, Any] = {
    "ownedBy": st.sampled_from(["vllm", "a/b", "A.b_c"]),
    "models": st.lists(texts, max_size=3) | st.dictionaries(texts, texts, min_size=1, max_size=3),
    "stripRoutingFields": st.booleans(),
    "apiKey": api_key,
    "poll": st.just({"enabled": False}),
    **({} if TARGET == "envoy-gateway" else {"timeouts": some({}, firstByte=durations)}),
}
picker = some(
    {"endpoints": st.just(["picker.example.com:9002"])},
    tls=tls,
    healthPort=ports,
    failureMode=st.sampled_from(["FailOpen", "FailClose"]),
    timeout=durations,
    maxBodyBytes=sizes,
)
pools = some(
    {
        "inferencePool": some({"name": dotted}, namespace=names, picker=picker, endpoints=st.just(["a.b:8000"])),
        "models": st.just(["m"]),
    },
    ownedBy=st.just("vllm"),
    stripRoutingFields=st.booleans(),
)
backends = st.one_of(
    *([pools] if TARGET == "istio" else []),
    some({"service": some({"name": labels, "port": ports}, namespace=names)}, tls=tls, **common),
    some({"llmInferenceService": labels | some({"name": labels}, namespace=names)}, tls=tls, **common),
    some(
        {
            "endpoints": st.lists(
                st.tuples(hosts, ports).map(lambda pair: f"{pair[0]}:{pair[1]}"), min_size=1, max_size=20, unique=True
            )
        },
        tls=tls,
        **common,
    ),
)
listeners = st.lists(
    some({"name": labels, "port": ports}, tls=st.fixed_dictionaries({"secretName": dotted})), min_size=1, max_size=3
)
passthrough = st.fixed_dictionaries(
    {
        "path": paths | path_text.map(lambda path: f"{path}/*") | st.just("/*"),
        "method": st.sampled_from(["GET", "POST", "DELETE"]),
        "backend": st.just("b0"),
    }
)
by_headers = st.fixed_dictionaries(
    {
        "path": paths | path_text.map(lambda path: f"{path}/*") | st.sampled_from(["/*", "/v1/realtime"]),
        "method": st.sampled_from(["GET", "POST", "DELETE", "HEAD", "OPTIONS", "PATCH", "PUT"]),
    }
)
label_keys = st.sampled_from(
    ["app", "app.kubernetes.io/name", "a_b.C", "9", "-a", "a/b/c", "/a", "a/", "ünï", "K" * 64, "Big.Example/a", "a b"]
)
label_values = st.sampled_from(["v", "", "A_b.c", "-v", "v-", "V" * 64, "a b", "ü", "1", "x" * 63])
peers = some({"namespace": labels}, labels=st.dictionaries(label_keys, label_values, max_size=3))
rules = st.lists(
    st.sampled_from(
        [
            {"body": "inference_server"},
            {"body": "/a~1b", "values": {"ünï*": "b0"}},
            {"header": "x-engine"},
            {"query": "engine"},
            {"split": {"b0": 1}, "name": "a: #'\""},
            {"prefer": ["b0"], "when": {"query": {"a": "*"}, "path": "/v1/*"}},
            {"reject": "no: {{ $x }}"},
        ]
    ),
    min_size=1,
    max_size=4,
)
spec = some(
    {
        "backends": st.lists(backends, min_size=1, max_size=4).map(
            lambda made: {f"b{n}": one for n, one in enumerate(made)}
        ),
        "gateway": some(
            {"target": st.just(TARGET)},
            name=dotted,
            namespace=names,
            className=dotted,
            create=st.booleans(),
            listeners=listeners,
            hostnames=st.lists(
                st.sampled_from(["a.example.com", "*.example.com", "a", "1.2.3.4", "x" * 63 + ".example", "*.a"]),
                max_size=3,
                unique=True,
            ),
        ),
    },
    router=some(
        {},
        image=st.sampled_from(["r", "r:1", "localhost:5000/r@sha256:1", "R", "a/b:c!", "-", "~"]),
        replicas=st.sampled_from([1, 2, 1000]),
        resources=some({}, requests=resources, limits=resources),
        maxInflightBytes=sizes,
        workers=st.sampled_from([1, 2, 16]),
        networkPolicy=some({"gateway": peers}, metrics=st.lists(peers, max_size=3)),
        failure=st.just("closed") | st.just({"backend": "b0"}),
    ),
    routingHeader=headers,
    paths=st.lists(paths, min_size=1, max_size=64, unique=True),
    passthrough=st.lists(passthrough, max_size=3),
    maxBodyBytes=sizes,
    byHeaders=st.lists(by_headers, max_size=4),
    timeouts=some({}, firstByte=durations),
    models=some({}, unknown=st.sampled_from(["allow", "reject"])),
    rules=rules,
)
files = st.fixed_dictionaries(
    {
        "apiVersion": st.just("routegen/v1alpha1"),
        "kind": st.just("InferenceRoutes"),
        "metadata": st.fixed_dictionaries(
            {"name": st.sampled_from(["a", "a-b", "x" * 50]) | labels, "namespace": names}
        ),
        "spec": spec,
    }
)
