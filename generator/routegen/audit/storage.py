"""Where an engine's files live: volumes, the model, the Hugging Face cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from routegen.audit.downloads import downloads
from routegen.audit.engine import KSERVE, KSERVE_MODEL_DIR, Engine
from routegen.audit.facts import Fact, Place
from routegen.audit.reading import is_on, items, mapping
from routegen.common.positions import Path

_FETCHED = {KSERVE, "InferenceService"}
"""Kinds whose ``spec.model.uri`` (of an InferenceService: ``storageUri``) KServe downloads."""
_HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")


@dataclass(frozen=True)
class Location:
    """A path in a container, as the volume behind it."""

    volume: str
    """What two pods share if it is equal: ``claim serving/models``, ``host /data``; private ones name the workload."""
    path: str
    """Under the volume's root."""
    read_only: bool
    place: Place
    claim: str = ""
    """The PersistentVolumeClaim's name."""

    @property
    def shared(self) -> bool:
        """Whether another pod can have the same files."""
        return self.volume.startswith(("claim ", "host ", "nfs "))


@dataclass(frozen=True)
class Model:
    """Which model an engine serves."""

    fact: Fact
    """Its name for people: what the manifest says."""
    hub: str = ""
    """The Hugging Face id; empty where it comes from elsewhere."""
    revision: str = ""
    location: Location | None = None
    """Where its files are, for a local path."""
    uri: str = ""
    """``s3://…`` and the like."""

    @property
    def last_name(self) -> str:
        """The last part of its name, lower case: what a hub id and a local copy of it have in common."""
        return PurePosixPath(str(self.fact.value or "").split("@")[0].rstrip("/")).name.lower()


def locate(engine: Engine, path: str, container: Path = ()) -> Location | None:
    """The volume behind ``path`` in the engine's container, or in another ``container`` of its pod.

    ``None`` where it is the image's own file system, or a preset's.
    """
    container = container or engine.container
    best: Location | None = None
    longest = -1
    for index, entry in enumerate(items(engine.manifest.get(*container, "volumeMounts"))):
        mount = mapping(entry)
        at = PurePosixPath(str(mount.get("mountPath", "")))
        if not PurePosixPath(path).is_relative_to(at) or len(at.parts) <= longest:
            continue
        longest = len(at.parts)
        rest = PurePosixPath(str(mount.get("subPath") or "")) / PurePosixPath(path).relative_to(at)
        volume, claim, forced = _volume(engine, str(mount.get("name", "")))
        read_only = is_on(mount.get("readOnly")) or forced
        place = engine.manifest.place(*container, "volumeMounts", index)
        inner = str(rest).strip("/") if rest.parts else ""
        if volume.startswith("host "):
            volume, inner = f"host {PurePosixPath(volume.removeprefix('host ')) / inner}", ""
        best = Location(volume, inner, read_only, place, claim)
    return best


_NO_DISK_VOLUMES = tuple(f"host {path}" for path in ("/etc", "/dev", "/sys", "/proc", "/lib", "/run", "/var/run"))
"""Host paths that hold settings and devices; that two pods mount them says nothing about disks."""


def shared_volumes(engine: Engine) -> dict[str, bool]:
    """The volumes that other pods can have too, and whether all mounts of each are read-only."""
    found: dict[str, bool] = {}
    for entry in items(engine.get("volumeMounts")):
        path = mapping(entry).get("mountPath")
        location = locate(engine, path) if isinstance(path, str) else None
        if location is not None and location.shared and not location.volume.startswith(_NO_DISK_VOLUMES):
            found[location.volume] = found.get(location.volume, True) and location.read_only
    return found


def model(engine: Engine) -> Model:
    """The model that ``engine`` serves."""
    fact = engine.option("model")
    if engine.manifest.kind in _FETCHED and (not fact.known or _from_kserve(engine, fact)):
        uri = engine.manifest.fact("spec", "model", "uri")
        if uri.value is not None:
            return _by_uri(engine, uri)
    if not fact.known or fact.value is None:
        return Model(fact)
    text = str(fact.value)
    if text.startswith(("/", "./")):
        return _local(engine, fact, locate(engine, text))
    if "://" in text:
        return _by_uri(engine, fact)
    revision = engine.option("revision")
    known = str(revision.value) if revision.state == "set" else ""
    return Model(fact, hub=text if _HUB_ID.fullmatch(text) else "", revision=known)


def hub_cache(engine: Engine) -> tuple[str, Fact]:
    """The directory that Hugging Face's library caches in (huggingface_hub's rules), and the fact that says so.

    The directory is empty where the fact can't be told.
    """
    rules = (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
        ("HOME", ".cache/huggingface/hub"),
    )
    for name, below in rules:
        fact = engine.variable(name)
        if not fact.known and not fact.whole:
            return "", fact
        if fact.value:
            return str(PurePosixPath(str(fact.value)) / below), fact
    return "/root/.cache/huggingface/hub", fact


def _local(engine: Engine, fact: Fact, location: Location | None) -> Model:
    """A local path: what an init container has downloaded there, or just the files."""
    for download in downloads(engine) if location is not None else ():
        target = locate(engine, download.directory, download.container)
        if (
            target is not None
            and location is not None
            and (target.volume, target.path) == (location.volume, location.path)
        ):
            known = Fact("set", download.model, fact.place, f"downloaded to {fact.value}")
            return Model(known, hub=download.model, revision=download.revision, location=location)
    return Model(fact, location=location)


def _from_kserve(engine: Engine, fact: Fact) -> bool:
    downloads = engine.manifest.get("spec", "storageInitializer", "enabled") is not False
    return downloads and str(fact.value).rstrip("/") == KSERVE_MODEL_DIR


def _by_uri(engine: Engine, fact: Fact) -> Model:
    text = str(fact.value)
    scheme, _, rest = text.partition("://")
    if scheme == "hf":
        name, _, revision = rest.partition(":")
        return Model(Fact("set", name, fact.place), hub=name, revision=revision)
    if scheme == "pvc":
        claim, _, path = rest.partition("/")
        return Model(fact, location=Location(_claim(engine, claim), path.strip("/"), True, fact.place, claim))
    return Model(fact, uri=text)


def _claim(engine: Engine, name: str) -> str:
    """A PersistentVolumeClaim, which another namespace can have under the same name."""
    namespace = engine.manifest.namespace
    return f"claim {namespace}/{name}" if namespace else f"claim {name}"


def _volume(engine: Engine, name: str) -> tuple[str, str, bool]:
    """What a volume is, the claim behind it, and whether it is read-only as a whole."""
    for entry in items(engine.pod_get("volumes")):
        volume = mapping(entry)
        if volume.get("name") != name:
            continue
        if claim := mapping(volume.get("persistentVolumeClaim")):
            claim_name = str(claim.get("claimName", ""))
            return _claim(engine, claim_name), claim_name, is_on(claim.get("readOnly"))
        if host := mapping(volume.get("hostPath")):
            return f"host {host.get('path', '')}", "", False
        if nfs := mapping(volume.get("nfs")):
            return f"nfs {nfs.get('server', '')}:{nfs.get('path', '')}", "", is_on(nfs.get("readOnly"))
        read_only = any(kind in volume for kind in ("configMap", "secret", "projected", "downwardAPI", "image"))
        return f"{engine.manifest.title}: {name}", "", read_only
    return f"{engine.manifest.title}: {name}", "", False
