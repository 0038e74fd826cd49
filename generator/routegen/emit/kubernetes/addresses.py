"""Which addresses outside the cluster a gateway's pods can reach, alike for every gateway on Kubernetes."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final

from routegen.common.addresses import is_ip

_DNS_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\.?")


def unreachable(host: str, gateway: str) -> str | None:
    """Why ``gateway`` can't reach this host, an IP address or a name; ``None``: it may."""
    if is_ip(host):
        return f"{host} is the proxy's own pod; name an address that others reach" if _is_loopback(host) else None
    if _DNS_NAME.fullmatch(host.lower()) is None:
        return f"{host} is no DNS name, so Kubernetes takes no such address"
    if "." not in host.rstrip("."):
        return f"{host} has one part, and {gateway} takes names with a dot only; use service, or the whole name"
    return None


def precise(host: str) -> str:
    """A host as certificates and Kubernetes write it: no capitals, no dot at its end, no IPv4 address in IPv6."""
    return str(_address(host)) if is_ip(host) else host.lower().removesuffix(".")


def _is_loopback(host: str) -> bool:
    return _address(host).is_loopback


def _address(host: str) -> IPv4Address | IPv6Address:
    address = ip_address(host)
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
