"""InferencePools in routes.yaml: their pods, and who picks one of them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from routegen.spec.base import Model
from routegen.spec.scalars import Duration, HostPort, Label, ObjectName, Port, Size
from routegen.spec.upstream_tls import UpstreamTLSSpec


class PickerSpec(Model):
    """The pool's endpoint picker, as target `envoy` asks it. Other targets learn of it from the pool itself."""

    endpoints: list[HostPort] = Field(
        min_length=1, description="Where it serves gRPC: its Service's name and port, mostly 9002."
    )
    tls: UpstreamTLSSpec | None = Field(
        None,
        description="Speak TLS to it. Pickers do by default, with a certificate that they sign themselves: "
        "`{insecureSkipVerify: true}`.",
    )
    health_port: Port | None = Field(
        None,
        description="Where it serves gRPC health, mostly 9003, without TLS there; default: it is healthy while it "
        "takes connections.",
    )
    failure_mode: Literal["FailClose", "FailOpen"] = Field(
        "FailClose",
        description="Where it can't be asked: the request gets 503, or (`FailOpen`) any of the pool's endpoints.",
    )
    timeout: Duration = Field(
        "2s", description="How long it may take; then 503. A picker that queues requests (flow control) needs more."
    )
    max_body_bytes: Size = Field(
        "4M",
        description="The largest body that it takes. A larger one is 413, or with `FailOpen` goes to any of the "
        "pool's endpoints.",
    )


class InferencePoolSpec(Model):
    """An InferencePool (inference.networking.k8s.io/v1)."""

    name: ObjectName = Field(description="The InferencePool's name.")
    namespace: Label | None = Field(None, description="Its namespace; default: `metadata.namespace`.")
    endpoints: list[HostPort] | None = Field(
        None,
        min_length=1,
        description="Its pods: a headless Service with the pool's selector, `name:targetPort`, one entry a port. The "
        "router asks them for their models; target `envoy` needs it.",
    )
    picker: PickerSpec | None = Field(None, description="Its endpoint picker; target `envoy` needs it.")
