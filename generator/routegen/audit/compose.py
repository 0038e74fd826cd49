"""Objects that say what a pod is in their own way, as one pod template each.

The audit reads pods: ``spec.template`` of a Deployment and its like. Other kinds hold several templates, or take them
from other objects, or say what an engine does in words of their own. Each of these becomes composed objects with one
``spec.template``, whose pieces know where they really stand.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from routegen.audit.engine import KSERVE_PRESET, split_image
from routegen.audit.reading import Manifest, Part, dig, items, mapping
from routegen.common.positions import Path, read_documents

_POD: Final[Path] = ("spec", "template", "spec")
_CONTAINER: Final[Path] = (*_POD, "containers", 0)
_DEEPEST: Final = 12
LEFT: Final = "left"
"""Below ``spec`` of a composed object: what its kind says beside the pod, for which a pod has no field."""


def pod_templates(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """Every pod template below ``spec``, wherever the kind has it: the name of its role, and the composed object.

    Not of a Pod, whose ``spec`` is the pod itself.
    """
    found = [(role, pod) for role, pod in _pods(manifest.value.get("spec"), ("spec",), "") if len(pod) > 1]
    for role, pod in found:
        if pod == _POD:
            yield "", manifest
            continue
        above = pod[:-1]
        template = dig(manifest.value, above)
        beside: Path = (*above[:-1], "replicas")
        spec = {**mapping(manifest.value.get("spec")), "template": template}
        parts = [Part(("spec", "template"), manifest, above)]
        if (replicas := dig(manifest.value, beside)) is not None:
            spec["replicas"] = replicas
            parts.append(Part(("spec", "replicas"), manifest, beside))
        own = {key for key in ("name", "groupName", "template", "replicas", above[-1]) if isinstance(key, str)}
        _leave(spec, parts, manifest, above[:-1], own)
        value = {**manifest.value, "spec": spec}
        yield role if len(found) > 1 else "", composed(manifest, value, parts)


def _pods(value: Any, path: Path, role: str) -> Iterator[tuple[str, Path]]:
    """The PodSpecs below ``value``: mappings with a list of containers."""
    if len(path) > _DEEPEST:
        return
    if isinstance(value, Mapping):
        if any(isinstance(one, Mapping) and "name" in one for one in items(value.get("containers"))):
            yield role, path
            return
        for key, inner in value.items():
            own = str(key).removesuffix("GroupSpec").removesuffix("Template") if role == "" else role
            yield from _pods(inner, (*path, str(key)), own if own not in {"template", "rayClusterConfig"} else role)
    for index, inner in enumerate(items(value)):
        name = mapping(inner).get("name") or mapping(inner).get("groupName") or str(index)
        yield from _pods(inner, (*path, index), str(name))


def _leave(spec: dict[str, Any], parts: list[Part], manifest: Manifest, at: Path, read: Collection[str]) -> None:
    """Keep under :data:`LEFT` what stands at ``at`` beside what is read."""
    left = {str(key): value for key, value in mapping(manifest.get(*at)).items() if str(key) not in read}
    spec[LEFT] = {**mapping(spec.get(LEFT)), **left}
    parts += [Part(("spec", LEFT, key), manifest, (*at, key)) for key in left]


def composed(manifest: Manifest, value: Mapping[str, Any], parts: Sequence[Part]) -> Manifest:
    """An object made of pieces of ``manifest`` and of others."""
    return replace(manifest, value=value, parts=tuple(parts), source=manifest.written)


def inference_service(manifest: Manifest, world: Sequence[Manifest]) -> tuple[Manifest, str] | None:
    """KServe's InferenceService with the ServingRuntime that it names, and why more may be said elsewhere.

    ``None`` where it serves no language model. Arguments of the runtime come first, then those of the model; the model
    lies in ``/mnt/models``.
    """
    predictor = mapping(manifest.get("spec", "predictor"))
    at: Path = ("spec", "predictor")
    told = mapping(predictor.get("model"))
    if not told:
        if not items(predictor.get("containers")):
            return None
        parts = [Part(_POD, manifest, at), Part(("spec", "replicas"), manifest, (*at, "minReplicas"))]
        spec = {"template": {"spec": predictor}, "replicas": predictor.get("minReplicas")}
        return composed(manifest, {**manifest.value, "spec": spec}, parts), ""
    name = told.get("runtime")
    runtime = next((one for one in world if _is_runtime(one, manifest) and one.name == name), None)
    form = str(mapping(told.get("modelFormat")).get("name", "")).lower()
    if runtime is None and not any(word in f"{name} {form}".lower() for word in ("vllm", "sglang", "huggingface")):
        return None
    base = items(runtime.get("spec", "containers")) if runtime is not None else []
    index = next((i for i, one in enumerate(base) if mapping(one).get("name") == "kserve-container"), 0)
    container: dict[str, Any] = dict(mapping(base[index])) if base else {"name": "kserve-container"}
    parts = [Part(_POD, manifest, at)]
    if runtime is not None:
        parts.append(Part(_CONTAINER, runtime, ("spec", "containers", index)))
    own = {key: told[key] for key in ("command", "env", "image", "resources", "ports", "livenessProbe") if key in told}
    container |= own
    parts += [Part((*_CONTAINER, key), manifest, (*at, "model", key)) for key in own]
    if "runtimeVersion" in told and isinstance(container.get("image"), str) and "image" not in own:
        container["image"] = f"{split_image(container['image'])[0]}:{told['runtimeVersion']}"
        parts.append(Part((*_CONTAINER, "image"), manifest, (*at, "model", "runtimeVersion")))
    names = {"{{.Name}}": manifest.name, "{{ .Name }}": manifest.name}
    container["args"] = [_filled(one, names) for one in (*items(container.get("args")), *items(told.get("args")))]
    for position in range(len(items(told.get("args")))):
        where = len(container["args"]) - len(items(told.get("args"))) + position
        parts.append(Part((*_CONTAINER, "args", where), manifest, (*at, "model", "args", position)))
    if "storageUri" in told:
        parts.append(Part(("spec", "model", "uri"), manifest, (*at, "model", "storageUri")))
    pod = {**{key: one for key, one in predictor.items() if key != "model"}, "containers": [container]}
    spec = {"template": {"spec": pod}, "replicas": predictor.get("minReplicas")}
    spec |= {"model": {"uri": told["storageUri"]}} if "storageUri" in told else {}
    parts.append(Part(("spec", "replicas"), manifest, (*at, "minReplicas")))
    _leave(
        spec, parts, manifest, (*at, "model"), {*own, "args", "modelFormat", "runtime", "runtimeVersion", "storageUri"}
    )
    missing = "" if runtime is not None else f"the ServingRuntime {name or 'for ' + form} is not in the input"
    return composed(manifest, {**manifest.value, "spec": spec}, parts), missing


def _is_runtime(one: Manifest, service: Manifest) -> bool:
    if one.kind == "ClusterServingRuntime":
        return True
    return one.kind == "ServingRuntime" and (
        one.namespace == service.namespace or "" in {one.namespace, service.namespace}
    )


def _filled(text: object, names: Mapping[str, str]) -> str:
    filled = str(text)
    for name, value in names.items():
        filled = filled.replace(name, value)
    return filled


def _filled_in(value: Any, names: Mapping[str, str]) -> Any:
    """Every text in ``value`` with the templates filled in that are known; others stay, and are then unknown words."""
    if isinstance(value, Mapping):
        return {key: _filled_in(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled_in(one, names) for one in value]
    return _filled(value, names) if isinstance(value, str) else value


def dynamo_services(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """The components of NVIDIA's DynamoGraphDeployment (v1alpha1): ``spec.services``, each with ``extraPodSpec``."""
    for name, entry in mapping(manifest.get("spec", "services")).items():
        at: Path = ("spec", "services", name)
        service = mapping(entry)
        extra = mapping(service.get("extraPodSpec"))
        main = mapping(extra.get("mainContainer"))
        parts = [
            Part(_POD, manifest, (*at, "extraPodSpec")),
            Part(_CONTAINER, manifest, (*at, "extraPodSpec", "mainContainer")),
            Part((*_CONTAINER, "resources"), manifest, (*at, "resources")),
            Part(("spec", "replicas"), manifest, (*at, "replicas")),
        ]
        container: dict[str, Any] = {"name": "main", **main}
        if "resources" in service:
            container["resources"] = {
                section: {
                    ("nvidia.com/gpu" if key == "gpu" else str(key)): one for key, one in mapping(amounts).items()
                }
                for section, amounts in mapping(service["resources"]).items()
            }
        if "envs" in service and "env" not in container:
            container["env"] = service["envs"]
            parts.append(Part((*_CONTAINER, "env"), manifest, (*at, "envs")))
        if "envFromSecret" in service:
            container["envFrom"] = [{"secretRef": {"name": service["envFromSecret"]}}]
            parts.append(Part((*_CONTAINER, "envFrom"), manifest, (*at, "envFromSecret")))
        pod = {**{key: one for key, one in extra.items() if key != "mainContainer"}, "containers": [container]}
        spec: dict[str, Any] = {"template": {"spec": pod}, "replicas": service.get("replicas")}
        _leave(spec, parts, manifest, at, {"envFromSecret", "envs", "extraPodSpec", "replicas", "resources"})
        _leave(spec, parts, manifest, ("spec",), {"services"})
        yield str(name), composed(manifest, {**manifest.value, "spec": spec}, parts)


def ray_service(manifest: Manifest) -> Iterator[tuple[str, Manifest]]:
    """The language models of a RayService: ``llm_configs`` in ``serveConfigV2``, which Ray hands to vLLM."""
    text = manifest.get("spec", "serveConfigV2")
    documents, problems = read_documents(text, "serveConfigV2") if isinstance(text, str) else ([], [])
    applications = items(dig(documents[0].value, ("applications",))) if documents and not problems else []
    configs = [mapping(one) for app in applications for one in items(dig(app, ("args", "llm_configs")))]
    groups = items(manifest.get("spec", "rayClusterConfig", "workerGroupSpecs"))
    head: Path = ("spec", "rayClusterConfig", "headGroupSpec", "template")
    template: Path = (*head[:2], "workerGroupSpecs", 0, "template") if groups else head
    for config in configs:
        model = mapping(config.get("model_loading_config"))
        name = str(model.get("model_id", ""))
        words = ["vllm", "serve", str(model.get("model_source") or name), f"--served-model-name={name}"]
        for key, value in mapping(config.get("engine_kwargs")).items():
            flag = f"--{str(key).replace('_', '-')}"
            words.append(flag if value is True else f"--no-{flag[2:]}" if value is False else f"{flag}={value}")
        containers = items(manifest.get(*template, "spec", "containers"))
        container = {**mapping(containers[0] if containers else None), "command": words, "args": []}
        pod = {**mapping(manifest.get(*template, "spec")), "containers": [container]}
        left = {str(key): one for key, one in config.items() if key not in {"engine_kwargs", "model_loading_config"}}
        spec = {"template": {"metadata": manifest.get(*template, "metadata"), "spec": pod}, LEFT: left}
        parts = [
            Part(("spec", "template"), manifest, template),
            *(
                Part((*_CONTAINER, "command", index), manifest, ("spec", "serveConfigV2"))
                for index in range(len(words))
            ),
        ]
        yield name if len(configs) > 1 else "", composed(manifest, {**manifest.value, "spec": spec}, parts)


def with_bases(manifest: Manifest, world: Sequence[Manifest]) -> Manifest:
    """An LLMInferenceService over the LLMInferenceServiceConfigs of its ``baseRefs`` and KServe's preset.

    The later one wins, the service over all; lists whose items have names are merged by name (as KServe does).
    Those that the input doesn't hold stay as references.
    """
    configs = {one.name: one for one in world if one.kind == "LLMInferenceServiceConfig"}
    names = [str(mapping(one).get("name", "")) for one in items(manifest.get("spec", "baseRefs"))]
    layers = [configs[name] for name in (KSERVE_PRESET, *names) if name in configs]
    if not layers:
        return manifest
    merged: Any = {}
    parts: list[Part] = []
    served = str(manifest.get("spec", "model", "name") or manifest.name)
    words = {"{{ .Spec.Model.Name }}": served, "{{ .Name }}": manifest.name}
    for layer in (*layers, manifest):
        spec = mapping(layer.get("spec")) if layer is manifest else _filled_in(layer.get("spec"), words)
        merged = _merged(merged, spec, ("spec",), Part(("spec",), layer, ("spec",)), parts)
    missing = [one for one in items(manifest.get("spec", "baseRefs")) if mapping(one).get("name") not in configs]
    merged["baseRefs"] = missing
    value = {**manifest.value, "spec": merged}
    return composed(manifest, value, parts)


def _merged(below: Any, above: Any, at: Path, origin: Part, parts: list[Part]) -> Any:
    """``above`` over ``below``; ``parts`` learns where each piece comes from."""
    if isinstance(below, Mapping) and isinstance(above, Mapping):
        result = dict(below)
        for key, value in above.items():
            inner = Part((*at, key), origin.manifest, (*origin.path, key))
            result[key] = _merged(below.get(key), value, (*at, key), inner, parts)
        return result
    if _named(below) and _named(above):
        result_ = list(below)
        names = [one["name"] for one in result_]
        for index, value in enumerate(above):
            position = names.index(value["name"]) if value["name"] in names else len(result_)
            inner = Part((*at, position), origin.manifest, (*origin.path, index))
            if position == len(result_):
                result_.append(None)
            result_[position] = _merged(result_[position], value, (*at, position), inner, parts)
        return result_
    parts[:] = [part for part in parts if part.at[: len(at)] != at]
    parts.append(origin)
    return above


def _named(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(one, Mapping) and "name" in one for one in value)
