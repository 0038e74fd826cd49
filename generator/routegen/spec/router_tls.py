"""TLS between the gateway and the router, where they are on different hosts: who shows which certificate."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from routegen.spec.base import Model
from routegen.spec.scalars import DNSName, ObjectName, Text, wrong


class IdentitySpec(Model):
    """A certificate, its key, and the authority that the other side's certificate comes from."""

    secret_name: ObjectName | None = Field(
        None, description="A Secret with `tls.crt`, `tls.key` and `ca.crt`, as cert-manager writes it (Kubernetes)."
    )
    cert_file: Text | None = Field(None, description="PEM file of the certificate chain (target `envoy`).")
    key_file: Text | None = Field(None, description="PEM file of its private key.")
    ca_file: Text | None = Field(None, description="PEM file of the authorities that the other side is verified by.")

    @model_validator(mode="after")
    def _complete(self) -> Self:
        files = (self.cert_file, self.key_file, self.ca_file)
        if any(file is None for file in files) and any(file is not None for file in files):
            raise wrong("needs certFile, keyFile and caFile together")
        if self.cert_file is None and self.secret_name is None:
            raise wrong("needs secretName (Kubernetes targets), or certFile, keyFile and caFile (target envoy)")
        return self


class CertManagerSpec(Model):
    """Who issues the certificates."""

    issuer: ObjectName = Field(description="The name of cert-manager's Issuer or ClusterIssuer.")
    kind: Literal["Issuer", "ClusterIssuer"] = Field("Issuer", description="Its kind.")
    group: DNSName = Field("cert-manager.io", description="Its API group; other than that for external issuers.")


class RouterTLSSpec(Model):
    """TLS between gateway and router: both show a certificate, and who shows none is refused."""

    router: IdentitySpec = Field(description="What the router has.")
    gateway: IdentitySpec = Field(
        description="What the gateway's Envoy has; its Secret is in the Gateway's namespace (Kubernetes targets)."
    )
    server_name: DNSName | None = Field(
        None,
        description="The name that the router's certificate must bear; default: its Service's "
        "(`NAME-router.NAMESPACE.svc`), or with target `envoy` the host of its address.",
    )
    cert_manager: CertManagerSpec | None = Field(
        None, description="Render a cert-manager Certificate for each Secret (Kubernetes targets); default: they exist."
    )
