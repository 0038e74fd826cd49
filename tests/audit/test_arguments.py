"""Engine arguments in all their spellings, and the ones that can't be told."""

from __future__ import annotations

import json
from typing import Any

import pytest

from routegen.audit.engine import Engine
from routegen.audit.engines import NAMES, kinds, parse_version
from routegen.audit.facts import Fact
from routegen.audit.reading import parse_manifests
from routegen.audit.workloads import find_engines

VLLM = "vllm/vllm-openai:v0.11.0"
SGLANG = "lmsysorg/sglang:v0.5.3"


def _engine(container: dict[str, Any], *others: dict[str, Any]) -> Engine:
    pod = {"kind": "Pod", "metadata": {"name": "e"}, "spec": {"containers": [{"name": "e", **container}]}}
    text = json.dumps({"kind": "List", "items": [pod, *others]})
    manifests, problems = parse_manifests(text, "e.json")
    assert not problems
    [engine] = find_engines(manifests)
    return engine


def _option(name: str, **container: Any) -> Fact:
    return _engine({"image": VLLM, **container}).option(name)


@pytest.mark.parametrize(
    "container",
    [
        {"args": ["--max-model-len=8192"]},
        {"args": ["--max-model-len", "8192"]},
        {"args": ["--max_model_len=8192"]},
        {"args": ["--max-model-len", "8K"]},
        {"args": ["--max-model-len", "4096", "--max-model-len", "8192"]},
        {"command": ["vllm", "serve", "org/model", "--max-model-len=8192"]},
        {"command": ["vllm", "serve"], "args": ["org/model", "--max-model-len=8192"]},
        {"command": ["/opt/venv/bin/vllm", "serve", "m"], "args": ["--max-model-len=8192"]},
        {"command": ["python3", "-m", "vllm.entrypoints.openai.api_server"], "args": ["--max-model-len=8192"]},
        {"command": ["sh", "-c", "vllm serve m --max-model-len=8192"]},
        {"command": ["bash", "-ec"], "args": ["cd /tmp && exec vllm serve m \\\n  --max-model-len 8192"]},
        {"command": ["sh", "-c"], "args": ["LEN=8192; vllm serve m --max-model-len $LEN"]},
        {"command": ["sh", "-c"], "args": ['export LEN=8192\nvllm serve m --max-model-len "${LEN}"']},
        {"command": ["sh", "-c"], "args": ["vllm serve m --max-model-len ${LEN:-8192}"]},
        {"command": ["sh", "-c"], "args": ["A='--max-model-len 8192'; vllm serve m $A"]},
        {
            "command": ["sh", "-c", 'eval "vllm serve m ${A}"'],
            "env": [{"name": "A", "value": "--max-model-len 8192"}],
        },
        {"command": ["sh", "-c", 'exec vllm serve "$@"', "--"], "args": ["m", "--max-model-len=8192"]},
        {"command": ["sh", "-c"], "args": ["# it's a comment\nvllm serve m --max-model-len 8192 2>&1 | tee /log"]},
        {"args": ["--max-model-len=$(LEN)"], "env": [{"name": "LEN", "value": "8192"}]},
        {"args": ["--max-model-len=$(B)"], "env": [{"name": "A", "value": "8192"}, {"name": "B", "value": "$(A)"}]},
    ],
)  # fmt: skip
def test_one_value_in_many_spellings(container: dict[str, Any]) -> None:
    fact = _option("context_length", **container)
    assert (fact.state, fact.value) == ("set", 8192)


@pytest.mark.parametrize(
    ("container", "reason"),
    [
        ({"args": ["--max-model-len=$(LEN)"], "env": [{"name": "LEN", "valueFrom": {"secretKeyRef": {}}}]}, "Secret"),
        ({"args": ["--max-model-len=$(LEN)"], "env": [{"name": "LEN", "valueFrom": {"fieldRef": {}}}]}, "running pod"),
        ({"command": ["sh", "-c", "vllm serve m --max-model-len $(cat /len)"]}, "output"),
        ({"command": ["sh", "-c", "vllm serve m --max-model-len `cat /len`"]}, "output"),
        ({"command": ["sh", "-c", "vllm serve m --max-model-len $LEN"]}, "$LEN is not set"),
        ({"command": ["sh", "-c", "vllm serve m $EXTRA"]}, "$EXTRA is not set"),
        ({"command": ["sh", "-c", "if test -f /x; then vllm serve m; else vllm serve n; fi"]}, "decides"),
        ({"command": ["sh", "-c", "vllm serve m || vllm serve n --max-model-len 1"]}, "decides"),
        ({"command": ["/start.sh"]}, "can't be read"),
        ({"args": ["--config=/etc/vllm.yaml"]}, "/etc/vllm.yaml"),
        ({"args": ["--max-model=8192"]}, "short for --max-model-len"),
        ({"args": ["--max-model-len=many"]}, "not a number"),
        ({"args": ["--max-model-len"]}, "no value"),
        ({"args": []}, "config.json"),
    ],
)
def test_what_cannot_be_resolved_is_unknown_and_says_why(container: dict[str, Any], reason: str) -> None:
    fact = _option("context_length", **container)
    assert fact.state == "unknown"
    assert reason in fact.note
    assert fact.shown.startswith("cannot tell")


def test_an_unquoted_variable_behind_an_unknown_flag_may_hold_more_options() -> None:
    unset = _engine({"command": ["sh", "-c", "vllm serve m --disable-uvicorn-access-log $EXTRA"]})
    assert "$EXTRA is not set" in unset.option("dtype").note
    rank = {"name": "RANK", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    one_word = _engine({"command": ["sh", "-c", "vllm serve m --node-rank $RANK"], "env": [rank]})
    assert not one_word.line.told.rest_unknown


def test_a_given_option_is_known_even_where_others_are_not() -> None:
    engine = _engine({"command": ["sh", "-c", "vllm serve m --dtype=half $EXTRA"]})
    assert engine.option("dtype").value == "float16"
    assert engine.option("kv_cache_dtype").whole


def test_a_config_map_in_the_input_gives_its_values() -> None:
    reference = {"configMapKeyRef": {"name": "settings", "key": "len"}}
    container = {"image": VLLM, "args": ["--max-model-len=$(LEN)"], "env": [{"name": "LEN", "valueFrom": reference}]}
    settings = {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"len": "8192"}}
    assert _engine(container, settings).option("context_length").value == 8192
    assert "not in the input" in _engine(container).option("context_length").note


def test_variables_from_a_whole_config_map_count_and_an_unknown_one_leaves_all_open() -> None:
    container = {"image": VLLM, "envFrom": [{"configMapRef": {"name": "settings"}, "prefix": "X_"}]}
    settings = {"kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"A": "1"}}
    assert _engine(container, settings).variable("X_A").value == "1"
    assert _engine(container, settings).variable("NVIDIA_VISIBLE_DEVICES").state == "default"
    assert _engine(container).variable("NVIDIA_VISIBLE_DEVICES").state == "unknown"


@pytest.mark.parametrize(
    ("args", "expected"),
    [
        (["--enable-prefix-caching"], True),
        (["--no-enable-prefix-caching"], False),
        (["--enable-prefix-caching", "--no-enable-prefix-caching"], False),
        (["--enable_prefix_caching"], True),
        (["--enable-prefix-caching=False"], False),
        (["--enable-prefix-caching", "false"], False),
        (["--enable-prefix-caching", "--dtype", "auto"], True),
        ([], True),
    ],
)
def test_switches_and_their_opposites(args: list[str], expected: bool) -> None:
    assert _option("prefix_caching", args=args).value is expected


def test_sglangs_spellings() -> None:
    command = ["python3", "-m", "sglang.launch_server", "--model", "m", "--tp", "2", "--disable-radix-cache"]
    engine = _engine({"image": SGLANG, "command": command, "args": ["--chunked-prefill-size", "-1"]})
    values = [engine.option(name).value for name in ("model", "tensor_parallel", "prefix_caching", "prefill_chunk")]
    assert values == ["m", 2, False, -1]
    assert engine.option("port").value == 30000


TODAY = {"vllm": "vllm/vllm-openai:v0.33.0", "sglang": "lmsysorg/sglang:v0.5.23"}
START = {"vllm": ["vllm", "serve", "m"], "sglang": ["python3", "-m", "sglang.launch_server", "--model-path", "m"]}


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        ("vllm", ["--enforce-eager"]),
        ("vllm", ["-O0"]),
        ("vllm", ["-O=0"]),
        ("vllm", ["-O", "0"]),
        ("vllm", ["--optimization-level=0"]),
        ("vllm", ["--optimization_level", "0"]),
        ("vllm", ["-cc.cudagraph_mode=NONE"]),
        ("vllm", ["-cc.cudagraph_mode", "none"]),
        ("vllm", ["--compilation-config.cudagraph_mode", "NONE"]),
        ("vllm", ["--compilation-config", '{"cudagraph_mode": "NONE", "mode": 3}']),
        ("vllm", ['-cc={"cudagraph_mode": "NONE"}']),
        ("sglang", ["--disable-cuda-graph"]),
        ("sglang", ["--disable-decode-cuda-graph"]),
        ("sglang", ["--cuda-graph-backend-decode=disabled"]),
        ("sglang", ["--cuda-graph-backend-decode", "disabled"]),
        ("sglang", ["--cuda-graph-config", '{"decode": {"backend": "disabled"}}']),
    ],
)
def test_cuda_graphs_are_switched_off_in_many_words(kind: str, args: list[str]) -> None:
    assert _engine({"image": TODAY[kind], "command": START[kind], "args": args}).option("cuda_graphs").value is False
    assert _engine({"image": TODAY[kind], "command": START[kind]}).option("cuda_graphs").value is True


@pytest.mark.parametrize(
    ("kind", "args", "left"),
    [
        ("vllm", ["-O2"], {"--optimization-level": "2"}),
        ("vllm", ["-O3"], {"--optimization-level": "3"}),
        ("vllm", ["-cc.cudagraph_mode=PIECEWISE"], {"--compilation-config.cudagraph_mode": "PIECEWISE"}),
        ("sglang", ["--disable-prefill-cuda-graph"], {"--disable-prefill-cuda-graph": True}),
        ("sglang", ["--cuda-graph-backend-decode=full"], {"--cuda-graph-backend-decode": "full"}),
    ],
)
def test_what_only_shapes_cuda_graphs_is_kept_and_switches_nothing_off(
    kind: str, args: list[str], left: dict[str, Any]
) -> None:
    engine = _engine({"image": TODAY[kind], "command": START[kind], "args": args})
    assert engine.option("cuda_graphs").value is True
    assert {name: given.value for name, given in engine.line.told.other.items()} == left


@pytest.mark.parametrize(
    ("kind", "args"),
    [
        ("vllm", ["--spec-method", "ngram"]),
        ("vllm", ["--spec-model=org/draft"]),
        ("vllm", ["--spec-tokens", "5"]),
        ("vllm", ["-sc", '{"method": "ngram"}']),
        ("vllm", ["-sc.method=ngram"]),
        ("vllm", ["--speculative-config.method", "ngram"]),
        ("vllm", ["--speculative_config", '{"method": "ngram", "num_speculative_tokens": 3}']),
        ("sglang", ["--speculative-algorithm", "EAGLE3"]),
        ("sglang", ["--speculative-algo=EAGLE3"]),
    ],
)
def test_speculation_is_switched_on_in_many_words(kind: str, args: list[str]) -> None:
    assert _engine({"image": TODAY[kind], "command": START[kind], "args": args}).option("speculative").value is True
    assert _engine({"image": TODAY[kind], "command": START[kind]}).option("speculative").value is False


def test_a_default_that_is_written_out_is_still_a_default() -> None:
    command = [*START["sglang"], "--disaggregation-mode", "null"]
    assert _engine({"image": TODAY["sglang"], "command": command}).option("kv_offloading").value is False


def _sglang(version: str, *args: str) -> Engine:
    return _engine({"image": f"lmsysorg/sglang:{version}", "command": START["sglang"], "args": [*args]})


def test_an_abbreviation_is_what_the_versions_own_parser_makes_of_it() -> None:
    assert [_sglang("v0.5.23", "--tp", "2").option("tensor_parallel").value] == [2]
    assert _sglang("v0.4.10.post2", "--pp", "2").option("pipeline_parallel").value == 2  # it had one --pp… only
    refused = _sglang("v0.5.23", "--pp", "2")
    [fact] = refused.refused()
    assert fact.value == "--pp"
    assert "short for several options (--pp-async-batch-depth, --pp-max-micro-batch-size, --pp-size)" in fact.note
    assert not refused.option("pipeline_parallel").known
    unsure = _sglang("v0.5.3", "--pp", "2")
    assert not list(unsure.refused())
    assert "write it out" in unsure.option("pipeline_parallel").note


def test_a_flag_with_several_values_doesnt_lose_the_model_and_a_switch_doesnt_take_it() -> None:
    command = ["vllm", "serve", "--enable-expert-parallel", "m", "--lora-modules", "a=x", "b=y", "--port", "1"]
    engine = _engine({"image": TODAY["vllm"], "command": command})
    assert (engine.option("model").value, engine.option("port").value) == ("m", 1)
    assert {name: given.value for name, given in engine.line.told.other.items()} == {
        "--enable-expert-parallel": True,
        "--lora-modules": "a=x b=y",
    }


def test_two_spellings_of_one_option_are_one_option() -> None:
    first = _engine({"image": TODAY["vllm"], "args": ["--no-async-scheduling"]}).line.told.other
    second = _engine({"image": TODAY["vllm"], "args": ["--async_scheduling=false"]}).line.told.other
    assert {name: given.value for name, given in first.items()} == {"--async-scheduling": False}
    assert {name: given.value for name, given in second.items()} == {"--async-scheduling": False}


@pytest.mark.parametrize(
    ("image", "caches"),
    [
        ("vllm/vllm-openai:v0.7.3", False),
        ("vllm/vllm-openai:v0.8.0", True),
        ("vllm/vllm-openai:v0.10.1.post1", True),
        ("vllm/vllm-openai:latest", None),
        ("vllm/vllm-openai", None),
    ],
)
def test_a_default_is_that_of_the_images_version(image: str, caches: bool | None) -> None:
    fact = _option("prefix_caching", image=image)
    assert fact.value is caches
    assert fact.state == ("unknown" if caches is None else "default")


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("v0.11.0", (0, 11, 0)),
        ("0.5.3.post1-cu129", (0, 5, 3)),
        ("v0.9", (0, 9, 0)),
        ("latest", None),
        ("nightly-0.9", None),
        ("", None),
    ],
)
def test_versions_are_read_from_tags(tag: str, version: tuple[int, ...] | None) -> None:
    assert parse_version(tag) == version


def test_an_images_name_that_only_begins_like_an_engine_tells_no_version() -> None:
    engine = _engine({"image": "ghcr.io/llm-d/llm-d-cuda:v0.3.0", "command": ["vllm", "serve", "m"]})
    assert engine.version is None


def test_kserves_preset_adds_what_an_llm_inference_service_leaves_out() -> None:
    service = {
        "kind": "LLMInferenceService",
        "metadata": {"name": "qwen"},
        "spec": {
            "model": {"uri": "hf://Qwen/Qwen2.5-7B-Instruct", "name": "qwen"},
            "parallelism": {"tensor": 2},
            "template": {
                "containers": [
                    {
                        "name": "main",
                        "env": [
                            {"name": "VLLM_ADDITIONAL_ARGS", "value": "--dtype=half --kv-events-config '{\"a\": 1}'"}
                        ],
                    }
                ]
            },
        },
    }
    manifests, _ = parse_manifests(json.dumps(service), "qwen.json")
    [engine] = find_engines(manifests)
    values = [engine.option(name).value for name in ("tensor_parallel", "dtype", "port", "served_model_name")]
    assert values == [2, "float16", 8000, "qwen"]


@pytest.mark.parametrize("name", NAMES)
def test_the_data_of_an_engine_is_consistent(name: str) -> None:
    kind = kinds()[name]
    for option in kind.options.values():
        assert option.flags or option.on or option.off or name == "trtllm"  # it takes most from a file
        assert option.defaults
        for default in option.defaults:
            assert (default.value is None) == bool(default.depends), option.name
            assert default.since < default.before or not default.before
    assert kind.options["port"].defaults[0].value == kind.port


def test_both_engines_know_the_same_options_but_for_their_own_ways_of_sizing_the_cache() -> None:
    only_one = set(kinds()["vllm"].options) ^ set(kinds()["sglang"].options)
    assert only_one == {
        "block_size",
        "data_parallel_here",
        "deterministic",
        "dp_attention",
        "kv_cache_blocks",
        "kv_cache_bytes",
        "kv_cache_tokens",
    }
