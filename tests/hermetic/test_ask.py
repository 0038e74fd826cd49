"""One question to one engine over real HTTP: good answers, and every kind of bad one."""

from __future__ import annotations

import json
import socket
import ssl
import time
from pathlib import Path

import msgspec
import pytest

from routegen_router.ask import MAX_BYTES, MAX_ID, MAX_MODELS, ask, is_warming
from routegen_router.cards import MAX_CARDS
from routegen_router.config import Poll
from routegen_router.fetch import KINDS, PollError
from routegen_router.models import Answer
from support.engines import Request, Respond, certificate, engine, serving

TRUSTING = Poll(urls=())
"""The system's authorities."""


def told(url: str, poll: Poll = TRUSTING) -> Answer:
    answer = ask(url, poll, None, connect=5, patience=5)
    assert isinstance(answer, Answer), answer
    return answer


def failed(url: str, poll: Poll = TRUSTING, patience: float = 5) -> PollError:
    answer = ask(url, poll, None, connect=patience, patience=patience)
    assert isinstance(answer, PollError), answer
    return answer


def test_a_good_answer_has_the_models_their_times_and_the_owner() -> None:
    before = time.time()
    with engine(serving("base", "adapter")) as running:
        answer = told(running.url)
    assert dict(answer.models) == {"base": 1700000000, "adapter": 1700000000}
    assert answer.owner == "vllm"
    assert before <= answer.at <= time.time()


@pytest.mark.parametrize(
    ("data", "models", "owner"),
    [
        ([], {}, None),
        ([{"id": "m"}], {"m": 0}, None),
        ([{"id": "m", "created": None, "owned_by": ""}], {"m": 0}, None),
        ([{"id": "m", "created": "yesterday", "owned_by": 7}], {"m": 0}, None),
        ([{"id": "m", "created": 10**400, "owned_by": "o" * (MAX_ID + 1)}], {"m": 0}, None),
        ([{"id": "m", "created": -1}, {"id": "m", "created": 2}, {"id": "\0"}], {"m": 2, "\0": 0}, None),
        ([{"id": "m", "created": 5.5, "owned_by": "a"}, {"id": "n", "owned_by": "b"}], {"m": 5, "n": 0}, "a"),
    ],
)
def test_what_an_engine_leaves_out_is_left_out(
    data: list[dict[str, object]], models: dict[str, int], owner: str | None
) -> None:
    document = json.dumps({"data": data}).encode()
    with engine(lambda request: request.answer(200, document)) as running:
        answer = told(running.url)
    assert (dict(answer.models), answer.owner) == (models, owner)


def cards(*entries: bytes) -> dict[str, object]:
    document = b'{"data":[' + b",".join(entries) + b"]}"
    with engine(lambda request: request.answer(200, document)) as running:
        return dict(told(running.url).cards)


def test_what_else_an_engine_tells_of_its_models_is_kept() -> None:
    lora = b'{"id":"l","object":"model","created":1,"owned_by":"vllm","root":"/l","parent":"m","max_model_len":8192}'
    other = b'{"id":"m","parent":null,"permission":[{"allow_logprobs":true}],"backends":["mine"]}'
    assert cards(lora, other, b'{"id":"n"}') == {
        "l": {"root": "/l", "parent": "m", "max_model_len": 8192},
        "m": {"parent": None, "permission": [{"allow_logprobs": True}]},
    }


@pytest.mark.parametrize("length", ["0", "-1", "true", "null", '"8192"', "8192.5", "9007199254740993", "[]"])
def test_a_length_that_is_none_is_left_out(length: str) -> None:
    assert cards(f'{{"id":"m","root":"m","max_model_len":{length}}}'.encode()) == {"m": {"root": "m"}}


@pytest.mark.parametrize(
    "value", [b'"' + b"a" * 5000 + b'"', b"[" * 32 + b"]" * 32, b'"\xff"', b'{"a":"\xff"}', b"1e999"]
)
def test_what_is_too_much_or_no_text_is_left_out_and_harms_no_other(value: bytes) -> None:
    found = cards(b'{"id":"m","max_model_len":1,"x":' + value + b"}", b'{"id":"n","root":"n"}')
    assert found == {"n": {"root": "n"}}


@pytest.mark.parametrize("value", ["1" + "0" * 3000, "1e308", "-0.0", '"\\u0000\\ud83d\\ude00"', '{"":{"":[]}}'])
def test_whatever_is_kept_can_be_written_again(value: str) -> None:
    found = cards(f'{{"id":"m","x":{value}}}'.encode())
    assert json.loads(msgspec.json.encode(found)).keys() == {"m"}


def test_an_engine_with_many_models_tells_of_as_many_as_there_is_room_for() -> None:
    found = cards(*(b'{"id":"%d","root":"%s"}' % (number, b"a" * 2000) for number in range(1000)))
    assert MAX_CARDS * 0.9 < len(json.dumps(found)) < MAX_CARDS


def test_the_query_and_the_path_are_asked_for_as_configured() -> None:
    with engine(serving("m")) as running:
        told(running.url.replace("/v1/models", "/tenant/v1/models?limit=5"))
        assert running.asked == ["/tenant/v1/models?limit=5"]


def silent(request: Request) -> None:
    time.sleep(1)
    request.answer(200, b"{}")


def dripping(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
    for _ in range(100):
        request.wfile.write(b" ")
        time.sleep(0.02)


def dripping_header(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\nx-long: ")
    for _ in range(100):
        request.wfile.write(b"x")
        time.sleep(0.02)


def other_protocol(request: Request) -> None:
    request.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n")


def hanging_up(request: Request) -> None:
    request.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-le")


BAD: list[tuple[str, bool, Respond]] = [
    ("timeout", False, silent),
    ("timeout", False, dripping),
    ("timeout", False, dripping_header),
    ("status", False, lambda request: request.answer(500, b"")),
    ("status", False, lambda request: request.answer(503, b"")),
    ("status", True, lambda request: request.answer(404, b"")),
    ("status", True, lambda request: request.answer(400, b"")),
    ("status", True, lambda request: request.answer(429, b"")),
    ("status", True, lambda request: request.answer(204, b"")),
    ("key", True, lambda request: request.answer(401, b"")),
    ("key", True, lambda request: request.answer(403, b"")),
    ("redirect", True, lambda request: request.answer(302, b"", location="/elsewhere")),
    ("redirect", True, lambda request: request.answer(308, b"", location="http://127.0.0.1:1/")),
    ("too_large", True, lambda request: request.answer(200, b'{"data":[]}' + b" " * MAX_BYTES)),
    ("not_a_list", True, lambda request: request.answer(200, b"<html>")),
    ("not_a_list", True, lambda request: request.answer(200, b"\xff\xfe")),
    ("not_a_list", True, lambda request: request.answer(200, b"")),
    ("not_a_list", True, lambda request: request.answer(200, b'{"data": [{"id": 5}]}')),
    ("not_a_list", True, lambda request: request.answer(200, b'{"data": {"id": "m"}}')),
    ("not_a_list", True, lambda request: request.answer(200, b'{"data": [{"id": "m", "created": ' + b"[" * 100_000)),
    ("not_a_list", True, lambda request: request.answer(200, b'{"data": [' + b"[" * 100_000)),
    ("not_a_list", True, lambda request: request.answer(200, b'{"data": [{"id": "%b"}]}' % (b"m" * (MAX_ID + 1)))),
    ("not_a_list", True, serving(*map(str, range(MAX_MODELS + 1)))),
    ("not_a_list", True, lambda request: request.answer(200, b'{"data": [{"id": "\\ud800"}]}')),
    ("http", False, lambda request: None),
    ("http", False, other_protocol),
]
"""A kind, whether an engine that answers so lives, and the answer."""


@pytest.mark.parametrize(("kind", "lives", "respond"), BAD)
def test_a_bad_answer_is_an_error_of_its_kind(kind: str, lives: bool, respond: Respond) -> None:
    with engine(respond) as running:
        error = failed(running.url, patience=0.3)
        assert (error.kind, error.answers) == (kind, lives)
        assert kind in KINDS
        assert running.asked == ["/v1/models"]


def test_an_answer_that_is_cut_off_is_no_list() -> None:
    with engine(hanging_up) as running:
        assert failed(running.url).kind in {"http", "not_a_list"}


def test_nobody_there_is_a_refusal_to_connect() -> None:
    with engine(serving("m")) as running:
        url = running.url
    error = failed(url)
    assert (error.kind, str(error), error.answers) == ("refused", "Connection refused", False)


def test_a_name_that_nobody_knows_is_an_error_of_its_own() -> None:
    assert failed("http://engine.invalid:8000/v1/models").kind == "name"


def test_an_address_where_nobody_takes_connections_is_unreachable() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full, socket.socket() as first, socket.socket() as second:
        for one in (first, second):  # the queue holds one connection more than it should
            one.setblocking(False)
            one.connect_ex(full.getsockname())
        error = failed(f"http://127.0.0.1:{full.getsockname()[1]}/v1/models", patience=0.3)
    assert error.kind in {"unreachable", "timeout"}


def test_tls_engines_are_verified_as_configured(tmp_path: Path) -> None:
    context, authority = certificate(tmp_path, "engine.internal")
    _, stranger = certificate(tmp_path, "stranger.internal")
    with engine(serving("m"), context) as running:
        assert "m" in told(running.url, Poll(urls=(), server_name="engine.internal", ca_file=str(authority))).models
        assert "m" in told(running.url, Poll(urls=(), verify=False)).models
        wrong = [
            Poll(urls=(), server_name="engine.internal"),
            Poll(urls=(), server_name="engine.internal", ca_file=str(stranger)),
            Poll(urls=(), server_name="other.internal", ca_file=str(authority)),
            Poll(urls=(), ca_file=str(authority)),
        ]
        for poll in wrong:
            assert failed(running.url, poll).kind == "tls"


def test_a_ca_file_that_is_not_there_is_an_error_of_tls(tmp_path: Path) -> None:
    with engine(serving("m")) as running:
        url = running.url.replace("http:", "https:")
        assert failed(url, Poll(urls=(), ca_file=str(tmp_path / "none.pem"))).kind == "tls"


def test_tls_on_one_side_only_is_told_as_what_it_is(tmp_path: Path) -> None:
    context, _ = certificate(tmp_path, "engine.internal")
    with engine(serving("m"), context) as secure:
        assert failed(secure.url.replace("https:", "http:")).kind == "speaks_tls"
    with engine(serving("m")) as plain:
        assert failed(plain.url.replace("http:", "https:"), Poll(urls=(), verify=False)).kind == "no_tls"


def test_a_server_that_answers_400_to_plain_http_may_speak_tls(tmp_path: Path) -> None:
    """Go's and nginx' servers do so on their TLS ports; here the first connection is plain, the second TLS."""
    context, _ = certificate(tmp_path, "engine.internal")

    def respond(request: Request) -> None:
        if not isinstance(request.connection, ssl.SSLSocket):
            request.answer(400, b"Client sent an HTTP request to an HTTPS server.")

    with engine(respond, context, plain_too=True) as running:
        assert failed(running.url.replace("https:", "http:")).kind == "speaks_tls"


def warming(request: Request) -> None:
    """SGLang before it is warm: it lists its models, and its health is 503."""
    if request.path.endswith("/health"):
        request.answer(503, b"")
    else:
        serving("m", owner="sglang")(request)


@pytest.mark.parametrize(
    ("respond", "expected"),
    [
        (warming, True),
        (serving("m"), False),
        (silent, False),
        (other_protocol, False),
        (lambda request: request.answer(401, b""), False),
        (lambda request: request.answer(404, b""), False),
        (lambda request: request.answer(500, b""), False),
    ],
)
def test_only_a_503_of_its_health_says_that_an_engine_warms_up(respond: Respond, expected: bool) -> None:
    with engine(respond) as running:
        assert is_warming(running.url, TRUSTING, None, 0.3) is expected
        assert running.asked == ["/health"]


def test_health_is_asked_beside_the_list_of_models_or_not_at_all() -> None:
    with engine(warming) as running:
        base = running.url.removesuffix("/v1/models")
        assert is_warming(f"{base}/tenant/v1/models?limit=5", TRUSTING, None, 1)
        assert not is_warming(f"{base}/models", TRUSTING, None, 1)
        assert not is_warming(f"{base}/v1/models/all", TRUSTING, None, 1)
        assert running.asked == ["/tenant/health"]
