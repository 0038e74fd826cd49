"""The router's configuration file: what goes out comes back, and what can't be used is refused with a reason."""

from __future__ import annotations

import msgspec
import pytest

from routegen_router.config import Backend, Config, ConfigError, dump, load
from routegen_router.request import Source
from routegen_router.rules import Lookup, Split
from routegen_router.when import Condition

GOOD = Config(
    name="ns/routes",
    routing_header="x-inference-server",
    paths=("/v1/chat/completions",),
    max_body_bytes=1024,
    max_inflight_bytes=4096,
    backends=(Backend(name="a"), Backend(name="b", owner="vllm")),
    rules=(
        Lookup(name="one", source=Source(body=("x", "y")), when=(Condition(pattern="*", attribute="model"),)),
        Split(name="two", weights=(("a", 1.0),), sticky_by=Source(header="x-session")),
    ),
)


def test_what_is_dumped_loads_again() -> None:
    assert load(dump(GOOD)) == GOOD


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"backends": ()}, "no backends"),
        ({"backends": (Backend(name="a"), Backend(name="a"))}, "backend 'a' is listed twice"),
        ({"rules": (Lookup(name="r", source=Source()),)}, "rule 'r': a source needs a body"),
        ({"rules": (Lookup(name="r", source=Source(body=())),)}, "rule 'r': a source needs a body"),
        ({"rules": (Lookup(name="r", source=Source(body=("a",), header="h")),)}, "rule 'r': a source needs a body"),
        ({"rules": (GOOD.rules[1], GOOD.rules[1])}, "rule 'two' is listed twice"),
        ({"rules": (Lookup(name="r", source=Source(body=('a"b',))),)}, "body field 'a\"b' holds a quote"),
        ({"rules": (Lookup(name="r", source=Source(body=("model", "x"))),)}, "'model' can't be text and also hold"),
        ({"max_inflight_bytes": 1023}, "max_inflight_bytes is below max_body_bytes"),
    ],
)
def test_what_the_types_cannot_say_is_refused(changes: dict[str, object], problem: str) -> None:
    with pytest.raises(ConfigError, match=f"^router.json: .*{problem}"):
        load(dump(msgspec.structs.replace(GOOD, **changes)), origin="router.json")


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"\xff", b'{"version": "routegen.router/v9"}', b'{"extra": 1}'])
def test_what_is_no_configuration_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError):
        load(data)
