"""Hosts and ports as text."""

from __future__ import annotations

import ipaddress


def is_ip(host: str) -> bool:
    """Whether a host is an IP address rather than a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def host_port(text: str) -> tuple[str, int]:
    """``host:port`` taken apart; an IPv6 address loses its brackets."""
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def authority(host: str, port: int) -> str:
    """A host and a port as a URL writes them (RFC 3986: IPv6 in brackets)."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
