"""The single values of routes.yaml: what each must look like, and the sentence for what does not.

A value stays the text that stands in the file; :mod:`routegen.compile.units` gives it its meaning.
"""

from __future__ import annotations

import ipaddress
import json
import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from routegen.common.addresses import is_ip
from routegen.common.veiled import UNSAID, Unsaid, veiled

PROBLEM: Final = "routegen"
"""The pydantic error type whose message is already a sentence for users."""

_TOKEN = r"[!#$%&'*+.^`|~0-9A-Za-z-]+"  # noqa: S105 - RFC 9110, section 5.6.2, without the underscore
_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_HOST = r"[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?)*\.?"
_TEXT = r"[^\s\x00-\x1f\x7f]([^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f])?"
_LABEL_SAYS = "must be lower-case letters, digits and -, and begin and end with a letter or digit"
DNS_NAME: Final = rf"{_LABEL}(\.{_LABEL})*"
_QUANTITY = r"[0-9]+(\.[0-9]+)?(m|k|M|G|T|Ki|Mi|Gi|Ti)?"
_SIZE = r"[1-9][0-9]{0,11}(k|M|G|Ki|Mi|Gi)?"
_ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_LONGEST_NAME = 253  # RFC 1035, as Kubernetes counts it
_LONGEST_HEADER = 256  # Gateway API, HTTPHeaderName
_LONGEST_PATH = 1024  # Gateway API, HTTPPathMatch
_LONGEST_SHOWN = 80
_LAST_PORT = 65535
_IPV6 = 6
_Shape = tuple[AfterValidator, WithJsonSchema]
_ESCAPES = re.compile(r"~(?![01])")


def wrong(sentence: str) -> PydanticCustomError:
    """The error to raise in a validator: ``sentence`` is what the user reads after the path."""
    return PydanticCustomError(PROBLEM, "{sentence}", {"sentence": sentence})


def _shaped(title: str, pattern: str, sentence: str, longest: int = _LONGEST_NAME, *, secret: bool = False) -> _Shape:
    """A text type: the check with its sentence, and what editors are told.

    :param secret: never show what is wrong: it may be a key, at the wrong place.
    """

    def check(text: str) -> str:
        if len(text) > longest:
            raise wrong(f"is {len(text)} characters long; at most {longest} are possible here")
        if re.fullmatch(pattern, text) is None:
            raise wrong(sentence if secret else f"{show(text)} {sentence}")
        return text

    return AfterValidator(check), _seen_as(title, pattern=f"^{pattern}$", maxLength=longest)


def _seen_as(title: str, kind: str | list[str] = "string", **keywords: Any) -> WithJsonSchema:
    """What editors and the reference say of a type."""
    return WithJsonSchema({"title": title, "type": kind, **keywords})


def show(value: Any) -> str:
    """A value of the file, for a sentence: text in quotes, cut and without secrets, containers by their kind."""
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, Unsaid):
        return UNSAID
    text = json.dumps(veiled(value) if isinstance(value, str) else value, ensure_ascii=False, default=str)
    if len(text) <= _LONGEST_SHOWN:
        return text
    return f"{text[:_LONGEST_SHOWN]}…" + ('"' if isinstance(value, str) else "")


def _number_as_text(value: Any) -> Any:
    """YAML numbers, and booleans, where text is meant: as JSON writes them."""
    return json.dumps(value) if isinstance(value, bool | int | float) else value


def _size_as_text(value: Any) -> Any:
    if (type(value) is int and value < 1) or (isinstance(value, str) and re.fullmatch("0+([kMG]i?)?", value)):
        raise wrong(f"must be at least 1, not {value}")
    return str(value) if type(value) is int else value


def _needs_unit(value: Any) -> Any:
    if type(value) in {int, float}:
        raise wrong(f"{value} needs a unit, such as {value}s")
    return value


def _host_port(text: str) -> str:
    """``host:port`` with a DNS name, an IPv4 address or a bracketed IPv6 address."""
    if "@" in text:
        raise wrong("must be host:port without user and password (not shown)")
    if "://" in text:
        raise wrong(f"{show(text)} must be host:port without a scheme; TLS is said by tls: true")
    host, separator, port = text.rpartition(":")
    if not separator or re.fullmatch(r"[1-9][0-9]{0,4}", port) is None or int(port) > _LAST_PORT:
        raise wrong(f'{show(text)} must be host:port, such as "10.0.0.7:8000"')
    _host(host, text)
    return text


def _host(host: str, text: str) -> None:
    bracketed = host.startswith("[") and host.endswith("]")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        if bracketed or len(host) > _LONGEST_NAME or not re.fullmatch(_HOST, host) or re.fullmatch("[0-9.]+", host):
            raise wrong(f"{show(text)} has no valid host name or IP address before its port") from None
        return
    if bracketed != (address.version == _IPV6):
        raise wrong(f'{show(text)} must have an IPv6 address in brackets and no other, as in "[fd00::7]:8000"')


def _ip_address(text: str) -> str:
    if not is_ip(text):
        raise wrong(f'{show(text)} must be an IP address, such as "0.0.0.0"')
    return text


def _router_address(text: str) -> str:
    return text if re.fullmatch(r"unix:/\S+", text) else _host_port(text)


def _body_path(text: str) -> str:
    """A dotted path or a JSON Pointer (RFC 6901)."""
    if text.startswith("/"):
        if _ESCAPES.search(text):
            raise wrong(f"{show(text)} is not a JSON Pointer: after ~ only 0 (for ~) or 1 (for /) may follow")
    elif not all(text.split(".")):
        raise wrong(f'{show(text)} must be a field such as "inference_server", "metadata.engine" or "/metadata/engine"')
    return text


def _header_name(text: str) -> str:
    if "_" in text:
        raise wrong(f"{show(text)} has an underscore: the gateway drops such headers; use -")
    if len(text) > _LONGEST_HEADER or re.fullmatch(_TOKEN, text) is None:
        raise wrong(f"{show(text)} is not a header name: letters, digits and - (RFC 9110, section 5.6.2)")
    return text


def _query_name(text: str) -> str:
    if len(text) > _LONGEST_HEADER or re.fullmatch(r"[-A-Za-z0-9._~]+", text) is None:
        raise wrong(f"{show(text)} is not a query parameter's name: letters, digits and any of - . _ ~")
    return text


def _http_path(text: str) -> str:
    """A path that HTTPRoute's rules accept (Gateway API v1, HTTPPathMatch)."""
    if not text.startswith("/"):
        raise wrong(f'{show(text)} must start with "/"')
    if re.fullmatch(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+", text) is None:
        raise wrong(f"{show(text)} has characters that a path can't have; no query, no blanks")
    if re.search(r"//|/\.\.?(/|$)|%2f", text, re.IGNORECASE):
        raise wrong(f'{show(text)} must be written without "//", "/./", "/../" and "%2F"')
    if len(text) > _LONGEST_PATH:
        raise wrong(f"is longer than {_LONGEST_PATH} characters")
    return text


def _url(text: str) -> str:
    if "@" in text:
        raise wrong("must be a URL without user and password (not shown); a key is said with apiKey")
    match = re.fullmatch(r"https?://([^/?#\s@]+)(/[^?#\s]*)?", text)
    if match is None:
        raise wrong(f'{show(text)} must be a URL such as "http://10.0.0.7:8000/v1/models"')
    host = match.group(1)
    _host_port(host if re.search(r":\d+$", host) else f"{host}:80")
    return text


def _env_name(text: str) -> str:
    """Never shown where it is wrong: it may be the key itself, at the wrong place."""
    if re.fullmatch(_ENV_NAME, text) is None:
        raise wrong("must be the name of an environment variable (letters, digits and _), not the key itself")
    return text


def _key_file(text: str) -> str:
    """Never shown where it is wrong, as above."""
    if not text.startswith("/") or not text.isprintable():
        raise wrong("must be the absolute path of a file, such as /run/keys/vllm, not the key itself")
    return text


KeyFile = Annotated[str, AfterValidator(_key_file), _seen_as("path", pattern="^/")]
EnvName = Annotated[str, AfterValidator(_env_name), _seen_as("variable", pattern=f"^{_ENV_NAME}$")]
SecretKey = Annotated[
    str,
    *_shaped(
        "key",
        r"[-._a-zA-Z0-9]+",
        "must be the name of a Secret's key (letters, digits, -, _ and .), not the key itself",
        secret=True,
    ),
]
Text = Annotated[str, *_shaped("text", _TEXT, "must be one line of text without blanks at its ends", 1024)]
Label = Annotated[str, *_shaped("name", _LABEL, _LABEL_SAYS, 63)]
LongLabel = Annotated[str, *_shaped("name", _LABEL, _LABEL_SAYS)]
_OBJECT_NAME: Final = r"[a-z0-9]([-.a-z0-9]*[a-z0-9])?"
ObjectName = Annotated[
    str,
    *_shaped(
        "name",
        _OBJECT_NAME,
        "must be lower-case letters, digits, - and ., and begin and end with a letter or digit",
    ),
]
SecretName = Annotated[
    str,
    *_shaped(
        "name",
        _OBJECT_NAME,
        "must be the name of a Secret (lower-case letters, digits, - and .), not the key itself",
        secret=True,
    ),
]
DNSName = Annotated[str, *_shaped("DNS name", DNS_NAME, "must be a lower-case DNS name without a port")]
Hostname = Annotated[
    str,
    *_shaped(
        "DNS name",
        rf"(\*\.)?{DNS_NAME}",
        'must be a lower-case DNS name without a port, possibly beginning with "*."',
    ),
]
Image = Annotated[
    str,
    *_shaped("image", r"[!-~]+", "must be a container image, such as registry.example.com/router:1.0", 1024),
]
Owner = Annotated[
    str,
    *_shaped(
        "owner",
        r"[A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?",
        "must be letters, digits and any of - _ . / within",
        63,
    ),
]
RuleName = Annotated[
    str, *_shaped("name", r"[!-~]([ -~]*[!-~])?", "must be plain ASCII text without blanks at its ends", 63)
]
Duration = Annotated[
    str,
    BeforeValidator(_needs_unit),
    *_shaped("duration", r"([0-9]{1,5}(h|m|s|ms)){1,4}", 'must be a duration such as "15s", "500ms" or "1m30s"'),
]
Size = Annotated[
    str,
    BeforeValidator(_size_as_text),
    *_shaped("size", _SIZE, 'must be a size such as "32Mi", "512Ki" or a number of bytes'),
    _seen_as("size", ["string", "integer"], pattern=f"^{_SIZE}$", minimum=1),
]
Quantity = Annotated[
    str,
    BeforeValidator(_number_as_text),
    *_shaped("quantity", _QUANTITY, 'must be a Kubernetes quantity such as "250m" or "1Gi"'),
    _seen_as("quantity", ["string", "number"], pattern=f"^{_QUANTITY}$"),
]
HeaderName = Annotated[
    str, AfterValidator(_header_name), _seen_as("header name", pattern=f"^{_TOKEN}$", maxLength=_LONGEST_HEADER)
]
QueryName = Annotated[
    str, AfterValidator(_query_name), _seen_as("parameter", pattern="^[-A-Za-z0-9._~]+$", maxLength=_LONGEST_HEADER)
]
HTTPPath = Annotated[str, AfterValidator(_http_path), _seen_as("path", pattern="^/", maxLength=_LONGEST_PATH)]
BodyPath = Annotated[str, AfterValidator(_body_path), _seen_as("field", minLength=1)]
HostPort = Annotated[str, AfterValidator(_host_port), _seen_as("host:port", pattern=":[0-9]{1,5}$")]
IPAddress = Annotated[str, AfterValidator(_ip_address), _seen_as("IP address")]
RouterAddress = Annotated[str, AfterValidator(_router_address), _seen_as("address", pattern="(^unix:/)|(:[0-9]{1,5}$)")]
URL = Annotated[str, AfterValidator(_url), _seen_as("URL", pattern="^https?://")]
Port = Annotated[int, Field(ge=1, le=_LAST_PORT)]
Weight = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
PATTERN_TYPES: Final = ["string", "number", "boolean"]
"""JSON's types of a text or glob: numbers and booleans are compared as JSON writes them."""
Pattern = Annotated[str, BeforeValidator(_number_as_text), _seen_as("text or glob", PATTERN_TYPES)]
