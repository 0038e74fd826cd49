"""What does the work of nodes here: there is no kubelet, no scheduler, no controller manager and no load balancer.

Each does what its name says, from the objects in the API server: runs what a Deployment says, and writes the
EndpointSlices and statuses that a controller would write.
"""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import re
import sys
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from routegen.mock_engine import PERSONALITIES, Behaviour, MockEngine
from support.cluster import tools
from support.cluster.api import Api
from support.cluster.control_plane import CONTROLLER, SYSTEM
from support.cluster.sandbox import Sandbox

PORT: Final = 8000
"""Every engine's."""
ADMIN: Final = 29000
"""Envoy's: its own, 19000, is the controller's here, because both are on one machine."""


def endpoint(address: str, *, ready: bool = True, terminating: bool = False) -> dict[str, Any]:
    """One endpoint of an EndpointSlice."""
    return {"addresses": [address], "conditions": {"ready": ready, "serving": True, "terminating": terminating}}


def slice_of(
    service: str,
    namespace: str,
    ports: Sequence[Mapping[str, Any]],
    endpoints: Sequence[Mapping[str, Any]],
    number: int = 1,
) -> dict[str, Any]:
    """An EndpointSlice that the endpointslice controller keeps for a Service."""
    labels = {"kubernetes.io/service-name": service}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service}-{number}", "namespace": namespace, "labels": labels},
        "addressType": "IPv4",
        "ports": [{"protocol": "TCP", **port} for port in ports],
        "endpoints": list(endpoints),
    }


class Engines:
    """Mock engines, each behind a Service."""

    def __init__(self, sandbox: Sandbox, api: Api) -> None:
        self._sandbox, self._api = sandbox, api
        self._running: dict[str, MockEngine] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def add(self, name: str, service: str, namespace: str, personality: str, models: Sequence[str]) -> None:
        """Run an engine and let the Service lead to it."""
        address = self.run(name, personality, Behaviour(models=tuple(models)))
        self._sandbox.name(f"{service}.{namespace}.svc.cluster.local", address)
        port = {"name": "http", "port": PORT, "targetPort": PORT}
        metadata = {"name": service, "namespace": namespace}
        self._api.create(
            {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"ports": [port]}},
            slice_of(service, namespace, [{"name": "http", "port": PORT}], [endpoint(address)]),
        )

    def run(self, name: str, personality: str, behaviour: Behaviour) -> str:
        """Run an engine at an address of its own, which is given."""
        engine = MockEngine(PERSONALITIES[personality], behaviour, host=self._sandbox.address(), port=PORT)
        self._run(engine.__aenter__())
        self._running[name] = engine
        return engine.host

    def __getitem__(self, name: str) -> MockEngine:
        """One of them."""
        return self._running[name]

    def forget(self) -> None:
        """Empty what they have recorded."""
        for engine in self._running.values():
            engine.recorder.clear()

    def reached(self) -> dict[str, int]:
        """Engine -> requests since :meth:`forget`, polls aside; those that were not reached are left out."""
        found = {
            name: len([one for one in engine.recorder.requests if one.target not in {"/health", "/v1/models"}])
            for name, engine in self._running.items()
        }
        return {name: count for name, count in found.items() if count}

    def close(self) -> None:
        """End them."""
        for engine in self._running.values():
            self._run(engine.__aexit__(None, None, None))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)


@dataclass
class Routers:
    """The pods of a router's Deployment: processes with its arguments and its ConfigMap."""

    sandbox: Sandbox
    api: Api
    name: str
    """The Deployment's, and the Service's."""
    namespace: str
    addresses: list[str] = field(default_factory=list)
    """Of those that run."""
    _config: str = ""
    """The ConfigMap that they were started with."""
    _ports: dict[str, dict[str, int]] = field(default_factory=dict)
    """Address -> the container's ports, by name."""
    _slices: list[tuple[tuple[str, int], ...]] = field(default_factory=list)
    """The ports of each EndpointSlice that was written."""

    def roll_out(self) -> bool:
        """Replace each pod by a new one, as a rolling update does; whether there was anything to do."""
        deployment = self.api.get("deployment", self.name, self.namespace)
        spec = deployment["spec"]["template"]["spec"]
        [config] = [volume["configMap"]["name"] for volume in spec["volumes"] if volume["name"] == "config"]
        if config == self._config:
            return False
        folder = self._mount(config)
        self._mount_secrets(spec, folder)
        [container] = spec["containers"]
        old = list(self.addresses)
        if old:
            self._write([endpoint(one) for one in old])
        for number in range(deployment["spec"]["replicas"]):
            new = self._start(container["args"], folder)
            self._ports[new] = {port["name"]: port["containerPort"] for port in container["ports"]}
            leaving = old[number : number + 1]
            self.addresses.append(new)
            self._write([endpoint(one, ready=one not in leaving, terminating=one in leaving) for one in self.addresses])
            for one in leaving:
                self.addresses.remove(one)
                self._end(one)
        self._write([endpoint(one) for one in self.addresses])
        self._config = config
        counts = dict.fromkeys(
            ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), len(self.addresses)
        )
        status = {**counts, "observedGeneration": deployment["metadata"]["generation"]}
        self.api.patch_status("deployment", self.name, self.namespace, status)
        return True

    def vanish(self) -> None:
        """End all of them, and let the Service have no address."""
        self.close()
        self._write([])

    def close(self) -> None:
        """End all of them, at once."""
        for address in self.addresses:
            self.sandbox.stop(f"router-{address}")
        self.addresses, self._config = [], ""

    def _mount(self, config: str) -> Path:
        folder = self.sandbox.folder / config
        folder.mkdir(exist_ok=True)
        for file, text in self.api.get("configmap", config, self.namespace)["data"].items():
            (folder / file).write_text(text, encoding="utf-8")
        return folder

    def _mount_secrets(self, spec: Mapping[str, Any], folder: Path) -> None:
        """Each Secret's keys as files, and their paths in the configuration as they are on this machine."""
        mounts = {one["name"]: one["mountPath"] for one in spec["containers"][0]["volumeMounts"]}
        for volume in spec["volumes"]:
            if "secret" not in volume:
                continue
            place = folder / volume["name"]
            place.mkdir(exist_ok=True)
            for key, value in self.api.get("secret", volume["secret"]["secretName"], self.namespace)["data"].items():
                scratch = place / f"{key}.new"
                scratch.write_bytes(base64.b64decode(value))
                scratch.replace(place / key)
            config = folder / "router.json"
            text = config.read_text(encoding="utf-8").replace(f"{mounts[volume['name']]}/", f"{place}/")
            config.write_text(text, encoding="utf-8")

    def _start(self, arguments: Sequence[str], folder: Path) -> str:
        address, command = self.sandbox.address(), [sys.executable, "-m", "routegen_router"]
        command += [one.replace("/etc/routegen", str(folder)).replace("[::]", address) for one in arguments]
        self.sandbox.start(f"router-{address}", command)
        self.sandbox.wait(f"router-{address}", lambda: get(address, 9464, "/readyz") == http.HTTPStatus.OK)
        return address

    def _end(self, address: str) -> None:
        """SIGTERM; it drains, as its arguments say, while the next one starts."""
        threading.Thread(target=self.sandbox.stop, args=(f"router-{address}",), kwargs={"patience": 60.0}).start()

    def _write(self, endpoints: Sequence[Mapping[str, Any]]) -> None:
        """A slice for each set of ports: a pod has those of the Service's that its own container names.

        New ones come before old ones go, as with the real controller.
        """
        service = self.api.get("service", self.name, self.namespace)
        members: dict[tuple[tuple[str, int], ...], list[Mapping[str, Any]]] = {ports: [] for ports in self._slices}
        for one in endpoints:
            numbers = self._ports[one["addresses"][0]]
            wanted = [port for port in service["spec"]["ports"] if port["targetPort"] in numbers]
            members.setdefault(tuple((port["name"], numbers[port["targetPort"]]) for port in wanted), []).append(one)
        self._slices = list(members)
        slices = [
            slice_of(self.name, self.namespace, [{"name": name, "port": port} for name, port in named], inside, number)
            for number, (named, inside) in enumerate(members.items(), 1)
        ]
        self.api.create(*sorted(slices, key=lambda one: not one["endpoints"]))


class Proxy:
    """The pod of the Deployment that Envoy Gateway makes for a Gateway: its Envoy, with its bootstrap."""

    def __init__(self, sandbox: Sandbox, api: Api, version: tools.Version, gateway: str, namespace: str) -> None:
        self._sandbox, self._name = sandbox, f"envoy-{namespace}-{gateway}"
        labels = {"gateway.envoyproxy.io/owning-gateway-name": gateway}
        labels["gateway.envoyproxy.io/owning-gateway-namespace"] = namespace
        selector = ",".join(f"{key}={value}" for key, value in labels.items())
        deployment = api.one("deployment", SYSTEM, selector)
        [container] = [one for one in deployment["spec"]["template"]["spec"]["containers"] if one["name"] == "envoy"]
        command = self._command(api.one("configmap", SYSTEM, selector), container["args"])
        sandbox.start(self._name, [str(tools.envoy(version.envoy)), *command])
        sandbox.wait(self._name, lambda: get("127.0.0.1", ADMIN, "/ready") == http.HTTPStatus.OK)
        ready = dict.fromkeys(("replicas", "readyReplicas", "availableReplicas", "updatedReplicas"), 1)
        api.patch_status("deployment", deployment["metadata"]["name"], SYSTEM, ready)
        service = api.one("service", SYSTEM, selector)["metadata"]["name"]
        api.patch_status("service", service, SYSTEM, {"loadBalancer": {"ingress": [{"ip": sandbox.address()}]}})

    def dump(self) -> Any:
        """Its configuration as it holds it."""
        connection = http.client.HTTPConnection("127.0.0.1", ADMIN, timeout=20)
        try:
            connection.request("GET", "/config_dump")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def close(self) -> None:
        """End it."""
        self._sandbox.stop(self._name)

    def _command(self, config_map: Any, arguments: Sequence[str]) -> list[str]:
        """The container's arguments, with paths and variables as they are on this machine."""
        folder = self._sandbox.folder / self._name
        folder.mkdir(exist_ok=True)
        places = {"/certs": str(self._sandbox.folder / "certificates" / "envoy"), "/sds": str(folder)}
        for file, text in config_map["data"].items():
            (folder / file).write_text(_replaced(text, places), encoding="utf-8")
        # With its dot at the end, no hosts file has the controller's name.
        places |= {"envoy-gateway.envoy-gateway-system.svc.cluster.local.": CONTROLLER}
        variables = {"$(ENVOY_POD_NAME)": self._name, "$(ENVOY_SERVICE_ZONE)": "zone"}
        command = [_replaced(one, variables | places) for one in arguments]
        [at] = [index for index, one in enumerate(command) if one.startswith("--config-yaml")]
        if command[at] == "--config-yaml":
            at, text = at + 1, command[at + 1]
            command[at] = yaml.safe_dump(_bootstrap(text))
        else:
            flag, between, text = re.split(r"([ =])", command[at], maxsplit=1)
            command[at] = flag + between + yaml.safe_dump(_bootstrap(text))
        return command


def _bootstrap(text: str) -> Any:
    """Without the zone-aware local cluster, which waits for pods, and with the admin port elsewhere."""
    document = yaml.safe_load(text.replace("port_value: 19000", f"port_value: {ADMIN}").replace("19001", "29001"))
    local = document.pop("cluster_manager", {}).get("local_cluster_name")
    static = document["static_resources"]
    static["clusters"] = [cluster for cluster in static["clusters"] if cluster["name"] != local]
    return document


def _replaced(text: str, places: Mapping[str, str]) -> str:
    for old, new in places.items():
        text = text.replace(old, new)
    return text


def get(host: str, port: int, path: str) -> int:
    """The status of a GET."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()
