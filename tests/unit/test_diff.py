"""``routegen diff``: what a change of routes.yaml leads elsewhere, counted, with an example that tells no prompt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from routegen.checks.diff import diff
from routegen.checks.requests import MOST_MADE_UP, made_up
from routegen.cli import cli
from routegen.compile import compile_text
from support.plans import plans

ROOT = Path(__file__).parents[2]
OLD = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: demo}
spec:
  backends:
    vllm: {endpoints: [10.0.0.1:8000], ownedBy: vllm, models: [m, "l-*"], poll: {enabled: false}}
    sglang: {endpoints: [10.0.0.2:8000], ownedBy: sglang, models: [m], poll: {enabled: false}}
  rules:
    - body: inference_server
    - {name: tenants, header: x-tenant, values: {"gold-*": sglang}, onUnknown: next}
    - split: {vllm: 50, sglang: 50}
"""


def run(folder: Path, new: str, *options: str, requests: list[object] | None = None, old: str = OLD) -> Result:
    (folder / "old.yaml").write_text(old)
    (folder / "new.yaml").write_text(new)
    arguments = ["diff", str(folder / "old.yaml"), str(folder / "new.yaml"), *options]
    if requests is not None:
        lines = [line if isinstance(line, str) else json.dumps(line) for line in requests]
        (folder / "requests.jsonl").write_text("\n".join(lines) + "\n")
        arguments += ["--requests", str(folder / "requests.jsonl")]
    return CliRunner().invoke(cli, arguments, catch_exceptions=False)


def changes(done: Result) -> list[tuple[int, dict[str, float], dict[str, float]]]:
    told = json.loads(done.stdout)
    return [(one["count"], one["old"]["shares"], one["new"]["shares"]) for one in told["changes"]]


def test_the_same_file_differs_in_nothing(tmp_path: Path) -> None:
    done = run(tmp_path, OLD)
    assert done.exit_code == 0
    assert done.stdout.startswith("requests (made up from both files)\n  0 of ")


@pytest.mark.parametrize("path", sorted(ROOT.glob("examples/*/routes.yaml")), ids=lambda path: path.parent.name)
def test_no_example_differs_from_itself(path: Path) -> None:
    plan = compile_text(path.read_text(), str(path), deployed=False)
    found = diff(plan, plan, made_up([plan, plan]))
    assert found.empty
    assert found.requests > 5


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("vllm: 50", "vllm: 75", "  ~ split: shares"),
        ("onUnknown: next", "onUnknown: reject", "  ~ tenants: onUnknown"),
        ("    - body: inference_server\n", "", "  - body:inference_server"),
        ("    - split", "    - {name: first, prefer: [vllm]}\n    - split", "  + first"),
        ("10.0.0.2:8000", "10.0.0.9:8000", "  ~ sglang: where it is reached"),
        ("models: [m]", "models: [m, n]", "  ~ sglang: models"),
    ],
)
def test_what_came_went_and_changed_is_named(tmp_path: Path, old: str, new: str, line: str) -> None:
    done = run(tmp_path, OLD.replace(old, new))
    assert done.exit_code == 1
    assert line in done.stdout.splitlines()


def test_requests_that_go_elsewhere_are_counted_with_an_example(tmp_path: Path) -> None:
    new = OLD.replace('"gold-*": sglang', '"gold-*": vllm').replace("vllm: 50", "vllm: 150")
    requests: list[object] = [
        {"headers": {"x-tenant": "gold-1"}, "body": {"model": "m", "messages": [{"content": "a secret"}]}},
        {"headers": {"x-tenant": "gold-2", "authorization": "Bearer secret"}, "fields": {"model": "m"}},
        {"fields": {"model": "m"}},
        {"fields": {"model": "m", "inference_server": "vllm"}},
        {"method": "GET", "path": "/v1/models"},
        {"path": "/nowhere"},
    ]
    told = run(tmp_path, new, requests=requests)
    assert told.exit_code == 1
    assert "  3 of 6 are handled otherwise\n" in told.stdout
    assert "      2  sglang, by tenants  ->  vllm, by tenants\n" in told.stdout
    assert 'such as line 1: {"method": "POST", "path": "/v1/chat/completions", "headers": {"x-tenant": "gold-1"}' in (
        told.stdout
    )
    assert "secret" not in told.stdout
    assert changes(run(tmp_path, new, "-o", "json", requests=requests)) == [
        (2, {"sglang": 1.0}, {"vllm": 1.0}),
        (1, {"vllm": 0.5, "sglang": 0.5}, {"vllm": 0.75, "sglang": 0.25}),
    ]


def test_a_query_is_not_shown(tmp_path: Path) -> None:
    requests: list[object] = [{"path": "/v1/completions?api_key=secret", "fields": {"model": "m"}}]
    told = run(tmp_path, OLD.replace("vllm: 50", "vllm: 150"), requests=requests)
    assert '"path": "/v1/completions"' in told.stdout
    assert "secret" not in told.stdout


def test_a_rule_of_another_name_is_told_and_counts_as_the_same(tmp_path: Path) -> None:
    done = run(tmp_path, OLD.replace("- split", "- name: evenly\n      split"), requests=[{"fields": {"model": "m"}}])
    assert done.exit_code == 1
    assert "  0 of 1 are handled otherwise\n" in done.stdout
    assert "by split  ->  " in done.stdout


def test_requests_are_made_up_for_conditions_models_and_values_of_both_files(tmp_path: Path) -> None:
    new = OLD.replace(
        "    - split", "    - {when: {header: {x-team: 'search-*'}, model: 'l-*'}, reject: No.}\n    - split"
    )
    done = run(tmp_path, new)
    assert "vllm, by split  ->  refused: no_route, by reject" in done.stdout
    assert '"x-team": "search-x"' in done.stdout


def test_engines_that_are_asked_are_taken_to_serve_what_requests_name(tmp_path: Path) -> None:
    asked = OLD.replace(', models: [m, "l-*"], poll: {enabled: false}', "")
    done = run(tmp_path, asked.replace("vllm: 50", "vllm: 0"), requests=[{"fields": {"model": "x"}}], old=asked)
    assert "  0 of 1 are handled otherwise\n" in done.stdout, "only vllm may serve it"


SETTINGS = [
    ("passthrough: [{path: /pooling, method: POST, backend: vllm}]", "+ spec.passthrough: POST /pooling to vllm"),
    ("models: {unknown: allow}", "~ spec.models.unknown: reject -> allow"),
    ("models: {poll: {interval: 1m}}", "~ spec.models.poll.interval: 15s -> 60s"),
    ("router: {failure: {backend: vllm}}", "~ spec.router.failure: closed -> vllm"),
    ("router: {resources: {requests: {cpu: 1}}}", "~ spec.router.resources.requests.cpu: 250m -> 1"),
    ("failover: {enabled: false}", "~ spec.failover.enabled: true -> false"),
    ("failover: {statuses: [503]}", "+ spec.failover.statuses: 503"),
    ("maxBodyBytes: 1Mi", "~ spec.maxBodyBytes: 32Mi -> 1Mi"),
    ("routingHeader: x-engine", "~ spec.routingHeader: x-inference-server -> x-engine"),
    ("gateway: {hostnames: [llm.example.com]}", "+ spec.gateway.hostnames: llm.example.com"),
    ("gateway: {listeners: [{name: http, port: 8080}]}", "~ spec.gateway.listeners.http.port: 80 -> 8080"),
    ("paths: [/v1/chat/completions]", "- spec.paths: /v1/completions"),
]


@pytest.mark.parametrize(("setting", "line"), SETTINGS)
def test_every_setting_that_differs_is_told_by_its_path(tmp_path: Path, setting: str, line: str) -> None:
    done = run(tmp_path, f"{OLD}  {setting}\n")
    assert done.exit_code == 1
    assert f"  {line}" in done.stdout.splitlines()
    told = json.loads(run(tmp_path, f"{OLD}  {setting}\n", "-o", "json").stdout)
    assert line in told["settings"]


@pytest.mark.parametrize(
    ("setting", "change", "example"),
    [
        (SETTINGS[0][0], "refused: not_found  ->  vllm, by passthrough", '{"method": "POST", "path": "/pooling"}'),
        (
            "passthrough: [{path: /v1/audio/*, method: GET, backend: sglang}]",
            "refused: not_found  ->  sglang, by passthrough",
            '{"method": "GET", "path": "/v1/audio/x"}',
        ),
        (
            "models: {unknown: allow}",
            "refused: model_not_found  ->  sglang 50 %, vllm 50 %, by split",
            '"fields": {"model": "a-model-that-nobody-lists"}}',
        ),
        ("maxBodyBytes: 1Mi", "->  refused: request_too_large", '"headers": {"content-length": "33554432"}'),
        ("gateway: {hostnames: [llm.example.com]}", "->  refused: not_found", '"headers": {"host": "other.example"}'),
        ("paths: [/v1/chat/completions]", "->  refused: not_found", '"path": "/v1/completions"'),
        ("paths: [/v1/chat/completions, /v2/x]", "refused: not_found  ->  sglang 50 %", '"path": "/v2/x"'),
    ],
)
def test_requests_are_made_up_for_what_the_gateway_lets_through(
    tmp_path: Path, setting: str, change: str, example: str
) -> None:
    done = run(tmp_path, f"{OLD}  {setting}\n")
    assert change in done.stdout
    assert example in done.stdout


def test_an_engine_that_is_asked_serves_no_model_that_nobody_lists(tmp_path: Path) -> None:
    asked = OLD.replace(", poll: {enabled: false}", "").replace('models: [m, "l-*"]', "models: []")
    done = run(tmp_path, f"{asked}  models: {{unknown: allow}}\n", old=asked)
    assert "refused: model_not_found  ->  " in done.stdout


def test_all_that_the_gateway_tells_apart_is_made_up_although_rules_have_thousands_of_values() -> None:
    many = OLD.replace('"gold-*": sglang', ", ".join(f"v{number}: vllm" for number in range(3000)))
    opened = (
        f"{many}  paths: [/v1/chat/completions, /v2/x]\n  passthrough: [{{path: /v3/*, method: GET, backend: vllm}}]\n"
    )
    samples = list(made_up([compile_text(text, "routes.yaml", deployed=False) for text in (many, opened)]))
    assert len(samples) == MOST_MADE_UP
    assert {("POST", "/v2/x"), ("GET", "/v3/x"), ("GET", "/v3")} <= {
        (sample.request.method, sample.request.path) for sample in samples
    }


DEFAULT = OLD[: OLD.index("  rules:")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (
            DEFAULT,
            f"{DEFAULT}  rules: [{{body: inference_server}}, {{body: owned_by}}, {{split: {{vllm: 1, sglang: 1}}}}]\n",
        ),
        (OLD, OLD.replace("{vllm: 50, sglang: 50}", "{sglang: 1, vllm: 1}")),
        (
            OLD.replace("{vllm: 50, sglang: 50}", "{vllm: 0.1, sglang: 0.2}"),
            OLD.replace("vllm: 50, sglang: 50", "vllm: 1, sglang: 2"),
        ),
        (OLD, OLD.replace('models: [m, "l-*"]', 'models: ["l-*", m]')),
        (
            OLD.replace(
                "- body: inf", "- {when: {model: m, header: {x-a: b, x-b: c}}, prefer: [vllm]}\n    - body: inf"
            ),
            OLD.replace(
                "- body: inf", "- {when: {header: {x-b: c, x-a: b}, model: m}, prefer: [vllm]}\n    - body: inf"
            ),
        ),
    ],
)
def test_what_means_the_same_differs_in_nothing(tmp_path: Path, old: str, new: str) -> None:
    done = run(tmp_path, new, old=old)
    assert (done.exit_code, done.stdout.startswith("requests (")) == (0, True), done.stdout


def test_backends_are_told_in_the_order_of_the_file(tmp_path: Path) -> None:
    names = [f"engine-{number}" for number in range(12, 0, -1)]
    entries = [f"    {name}: {{endpoints: [10.0.1.{at}:80]}}\n" for at, name in enumerate(names)]
    old = DEFAULT[: DEFAULT.index("    vllm:")] + "".join(entries)
    done = run(tmp_path, old.replace(":80]", ":81]"), "-o", "json", old=old)
    assert json.loads(done.stdout)["backends"] == [
        f"~ {name}: where it is reached, where it is asked" for name in names
    ]


def test_second_choices_are_called_so(tmp_path: Path) -> None:
    old = OLD.replace("spec:\n", "spec:\n  gateway: {target: envoy}\n")
    done = run(tmp_path, f"{old}  failover: {{enabled: false}}\n", old=old)
    assert "  ~ vllm: second choices\n  ~ sglang: second choices\n" in done.stdout


def test_a_file_without_requests_compares_nothing_and_says_so(tmp_path: Path) -> None:
    done = run(tmp_path, OLD.replace("vllm: 50", "vllm: 1"), requests=[""])
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.endswith("requests.jsonl: has no request, so nothing could be compared by it\n")


def test_only_one_file_can_be_standard_input() -> None:
    done = CliRunner().invoke(cli, ["diff", "-", "-"], input=OLD)
    assert done.exit_code == 2
    assert "only one of OLD and NEW can be - (standard input)" in done.stderr


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("nonsense", "requests.jsonl:2: is no request: JSON is malformed"),
        ({"bdy": {}}, "requests.jsonl:2: is no request: Object contains unknown field `bdy`"),
        ({"body": {}, "fields": {}}, "requests.jsonl:2: has body and fields; one of them is enough"),
    ],
)
def test_a_line_that_is_no_request_is_told(tmp_path: Path, line: object, problem: str) -> None:
    done = run(tmp_path, OLD, requests=[{}, line])
    assert (done.exit_code, done.stdout) == (2, "")
    assert problem in done.stderr


def test_what_cannot_be_read_is_exit_2(tmp_path: Path) -> None:
    assert run(tmp_path, OLD.replace("vllm: 50", "gold: 50")).exit_code == 2
    missing = run(tmp_path, OLD, "--requests", str(tmp_path / "none.jsonl"))
    assert missing.exit_code == 2
    assert missing.stderr.startswith(f"routegen: {tmp_path}/none.jsonl: no such file; it holds requests as JSON lines")


@settings(max_examples=15, deadline=None)
@given(st.data())
def test_no_file_differs_from_itself_and_not_too_much_is_made_up(data: st.DataObject) -> None:
    plan = data.draw(plans())
    samples = list(made_up([plan, plan]))
    assert len(samples) <= MOST_MADE_UP
    assert diff(plan, plan, samples[:50]).empty
