"""TLS between the gateway and the router, where they are on different hosts: who shows which certificate."""

from __future__ import annotations

from pydantic import Field

from routegen.spec.base import Model
from routegen.spec.scalars import DNSName, Text


class IdentitySpec(Model):
    """A certificate, its key, and the authority that the other side's certificate comes from."""

    cert_file: Text = Field(description="PEM file of the certificate chain.")
    key_file: Text = Field(description="PEM file of its private key.")
    ca_file: Text = Field(description="PEM file of the authorities that the other side is verified by.")


class RouterTLSSpec(Model):
    """TLS between gateway and router (target `envoy`): both show a certificate, and who shows none is refused."""

    router: IdentitySpec = Field(description="What the router has, on its disk.")
    gateway: IdentitySpec = Field(description="What the gateway's Envoy has, on its disk.")
    server_name: DNSName | None = Field(
        None, description="The name that the router's certificate must bear; default: the host of its address."
    )
