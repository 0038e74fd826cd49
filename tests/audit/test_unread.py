"""What differs and isn't understood: listed as not compared, with its line, in every format, and never clean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from routegen.audit.formats import FORMATS
from routegen.audit.settings import irrelevant, public, understood
from routegen.cli import cli

DIGEST = "@sha256:" + "0" * 64
LABELS = {"app": "vllm", "comparison": "x"}


def _deployment(
    name: str, *, args: list[str], env: Sequence[Any] = (), pod: dict[str, Any] | None = None
) -> dict[str, Any]:
    container = {
        "name": "vllm",
        "image": f"vllm/vllm-openai:v0.26.0{DIGEST}",
        "args": ["--model=/models/qwen", "--served-model-name=qwen", "--num-gpu-blocks-override=2048", *args],
        "env": list(env),
        "resources": {"limits": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": 1}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": 8000}},
        "volumeMounts": [{"name": "models", "mountPath": "/models", "readOnly": True}],
    }
    spec = {
        "nodeName": "gpu-node",
        "containers": [container],
        "volumes": [{"name": "models", "persistentVolumeClaim": {"claimName": "models"}}],
        **(pod or {}),
    }
    template = {"metadata": {"labels": {"app": name}}, "spec": spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "inference"},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template},
    }


def _audit(tmp_path: Path, *objects: dict[str, Any], format_: str = "json") -> Result:
    file = tmp_path / "pair.json"
    file.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=1), encoding="utf-8")
    return CliRunner().invoke(cli, ["audit", str(file), "-o", format_])


def _messages(result: Result) -> list[str]:
    return [one["message"] for one in json.loads(result.stdout)["findings"] if one["rule"] == "FAIR076"]


def test_the_pair_without_a_difference_is_clean(tmp_path: Path) -> None:
    result = _audit(tmp_path, _deployment("a", args=[]), _deployment("b", args=[]))
    assert (result.exit_code, json.loads(result.stdout)["findings"]) == (0, [])


@pytest.mark.parametrize(
    ("args", "name"),
    [
        (["--attention-backend", "FLASHINFER"], "--attention-backend"),
        (["--attention_backend=FLASHINFER"], "--attention-backend"),
        (["--performance-mode=throughput"], "--performance-mode"),
        (["--enable-expert-parallel"], "--enable-expert-parallel"),
        (["--some-new-flag=1"], "--some-new-flag"),
        (["--some-new-flag", "1"], "--some-new-flag"),
        (["--some-new-flag"], "--some-new-flag"),
        (["--pass-config.fuse_norm_quant=true"], "--pass-config.fuse_norm_quant"),
        (["--model=m", "astray"], "astray"),
    ],
)
def test_an_option_that_is_not_understood_is_not_compared(args: list[str], name: str, tmp_path: Path) -> None:
    result = _audit(tmp_path, _deployment("a", args=[]), _deployment("b", args=args))
    assert result.exit_code == 1
    assert any(message.startswith(f"not compared: {name} (a: not set; b: ") for message in _messages(result))


@pytest.mark.parametrize("name", ["VLLM_USE_V1", "LMCACHE_CHUNK_SIZE", "CUDA_LAUNCH_BLOCKING", "NCCL_P2P_DISABLE", "X"])
def test_a_variable_that_is_not_understood_is_not_compared(name: str, tmp_path: Path) -> None:
    variable = [{"name": name, "value": "1"}]
    result = _audit(tmp_path, _deployment("a", args=[]), _deployment("b", args=[], env=variable))
    assert (result.exit_code, _messages(result)) == (1, [f"not compared: {name} (a: not set; b: 1)"])


@pytest.mark.parametrize(
    ("args", "variables"),
    [
        (["--optimization-level=2"], {}),
        (["--no-enable-expert-parallel"], {}),
        (["--scheduling-policy", "fcfs", "--enable-chunked-prefill"], {}),
        (["--disable-chunked-mm-input=false"], {}),
        ([], {"VLLM_DISABLE_PYNCCL": "0", "VLLM_MAX_N_SEQUENCES": "16384"}),
    ],
)
def test_a_default_that_is_written_out_is_no_difference(
    args: list[str], variables: dict[str, str], tmp_path: Path
) -> None:
    env = [{"name": name, "value": value} for name, value in variables.items()]
    result = _audit(tmp_path, _deployment("a", args=[]), _deployment("b", args=args, env=env))
    assert (result.exit_code, _messages(result)) == (0, [])


def test_details_of_what_only_one_engine_does_are_said_with_it(tmp_path: Path) -> None:
    one = ["--spec-method=ngram", "--spec-tokens=3", "-sc.prompt_lookup_max=4"]
    result = _audit(tmp_path, _deployment("a", args=[]), _deployment("b", args=one))
    assert [finding["rule"] for finding in json.loads(result.stdout)["findings"]] == ["FAIR067"]
    both = _audit(
        tmp_path, _deployment("a", args=["--spec-method=ngram", "--spec-tokens=5"]), _deployment("b", args=one)
    )
    assert {message.split(" (")[0] for message in _messages(both)} == {
        "not compared: --spec-tokens",
        "not compared: --speculative-config.prompt_lookup_max",
    }


def test_a_version_whose_options_are_known_says_that_it_has_no_such_one(tmp_path: Path) -> None:
    [message] = _messages(_audit(tmp_path, _deployment("a", args=[]), _deployment("b", args=["--new=1"])))
    assert message.endswith("b: 1 (vLLM 0.26.0 has no such option))")


@pytest.mark.parametrize("pod", [{"overhead": {"cpu": "1"}}, {"securityContext": {"sysctls": [{"name": "a"}]}}])
def test_a_field_of_the_pod_that_is_not_understood_is_not_compared(pod: dict[str, Any], tmp_path: Path) -> None:
    result = _audit(tmp_path, _deployment("a", args=[]), _deployment("b", args=[], pod=pod))
    assert result.exit_code == 1
    [message] = _messages(result)
    assert "of the pod (a: not set; b: " in message


@pytest.mark.parametrize("format_", sorted(FORMATS))
def test_every_format_lists_it_with_file_and_line_and_is_not_clean(format_: str, tmp_path: Path) -> None:
    result = _audit(tmp_path, _deployment("a", args=[]), _deployment("b", args=["--new=1"]), format_=format_)
    assert result.exit_code == 1
    assert "not compared: --new" in result.stdout
    lines = (tmp_path / "pair.json").read_text(encoding="utf-8").splitlines()
    [line] = [number for number, text in enumerate(lines, 1) if "--new=1" in text]
    assert "pair.json" in result.stdout
    assert str(line) in result.stdout


def test_a_value_that_cannot_be_told_is_not_taken_to_be_the_same(tmp_path: Path) -> None:
    secret = [{"name": "VLLM_X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]
    result = _audit(tmp_path, _deployment("a", args=[], env=secret), _deployment("b", args=[], env=secret))
    assert (result.exit_code, len(_messages(result))) == (1, 1)


def test_no_credential_is_printed(tmp_path: Path) -> None:
    args = ["--new-api-key=hUsH", "--new-url=https://me:hUsH@host/x", "--lmcache-auth", "hUsH"]
    variables = [{"name": name, "value": "hUsH"} for name in ("MY_SECRET_NAME", "DB_PASSWORD", "AUTH_HEADER")]
    for format_ in FORMATS:
        result = _audit(
            tmp_path, _deployment("a", args=[]), _deployment("b", args=args, env=variables), format_=format_
        )
        assert "hUsH" not in result.stdout
        assert "--new-url" in result.stdout


@pytest.mark.parametrize("kind", ["variables", "container", "security", "pod", "left", "llminferenceservice"])
def test_what_may_differ_has_a_reason_in_words(kind: Any) -> None:
    for reason, names in irrelevant(kind).items():
        assert len(reason.split()) > 1
        assert names
        assert all(understood(kind, name.replace("*", "X")) for name in names)


def test_no_credential_inside_a_field_is_printed(tmp_path: Path) -> None:
    hidden = {
        "overhead": {"x": {"env": [{"name": "HF_TOKEN", "value": "hUsH"}], "password": "hUsH", "u": "s3://k:hUsH@b"}}
    }
    for format_ in FORMATS:
        result = _audit(tmp_path, _deployment("a", args=[]), _deployment("b", args=[], pod=hidden), format_=format_)
        assert "overhead of the pod" in result.stdout
        assert "hUsH" not in result.stdout


def test_a_value_is_shown_unless_its_name_says_secret() -> None:
    assert public("attention-backend", "FLASHINFER") == "FLASHINFER"
    assert public("max-total-tokens", "7") == "7"
    assert public("hf-token", "7") == "(not shown)"
