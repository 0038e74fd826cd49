"""Small helpers over envoy-data-plane's messages."""

from __future__ import annotations

import datetime as dt
from typing import Any as Anything
from typing import Final, cast

import betterproto2
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google.protobuf import Any

from routegen.common.addresses import host_port, is_ip
from routegen.common.problems import UserError

from . import once_a_class

UNIX: Final = "unix:"

once_a_class.install()


def packed(message: betterproto2.Message) -> Any:
    """Wrap ``message`` for a ``typed_config`` field."""
    return Any.pack(message)


def plain(message: betterproto2.Message) -> dict[str, Anything]:
    """Give ``message`` as Envoy reads it from YAML: snake_case keys, defaults left out.

    Field names are taken as they are: betterproto2's own snake casing turns ``consecutive_5xx`` into
    ``consecutive_5_xx``, which Envoy refuses.
    """
    return message.to_dict(casing=cast("betterproto2.Casing", str))


def seconds(value: float) -> dt.timedelta:
    """Make a duration; Envoy refuses negative ones, so they are refused here.

    :raises ValueError: ``value`` is negative.
    """
    if value < 0:
        raise ValueError(f"a duration can't be negative: {value}")
    return dt.timedelta(seconds=value)


def socket_address(host: str, port: int) -> core.Address:
    """Make the address of a TCP socket; ``host`` is an IP address or, where Envoy resolves it, a DNS name."""
    return core.Address(socket_address=core.SocketAddress(address=host, port_value=port))


def parse_address(text: str) -> core.Address:
    """Read ``host:port``, ``[ipv6]:port`` or ``unix:/path``.

    :raises UserError: it is none of these.
    """
    if text.startswith(UNIX):
        return core.Address(pipe=core.Pipe(path=text.removeprefix(UNIX)))
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise UserError(f"{text!r} is not an address; write host:port, [ipv6]:port or unix:/path")
    return socket_address(*host_port(text))


def needs_dns(address: core.Address) -> bool:
    """Whether Envoy has to resolve ``address``."""
    return address.socket_address is not None and not is_ip(address.socket_address.address)


def set_header(name: str, value: str) -> core.HeaderValueOption:
    """Put a header in place of whatever is there under its name; an empty value puts nothing."""
    return core.HeaderValueOption(
        header=core.HeaderValue(key=name, value=value),
        append_action=core.HeaderValueOptionHeaderAppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
    )


def exact(text: str) -> matcher.StringMatcher:
    """Match ``text`` and nothing else."""
    return matcher.StringMatcher(exact=text)


def one_of(texts: tuple[str, ...]) -> matcher.RegexMatcher:
    """Match any of ``texts`` as a whole (Envoy's ``safe_regex`` is RE2 and always matches in full)."""
    return matcher.RegexMatcher(regex="|".join(map(quote, texts)))


def quote(text: str) -> str:
    """Escape RE2's special characters."""
    return "".join(f"\\{char}" if char in r"\.+*?()|[]{}^$" else char for char in text)
