"""One arm's HTTP client: sends one request, writes down when what came back.

aiohttp costs about 20 µs a chunk and 90 µs a request here (a bare asyncio protocol: 11 and 17), which is far below
what is measured, and it knows TLS and HTTP's corners. What it does by default and a load generator must not is undone:
no limit of 100 connections, no 64 KiB read buffer, no proxy from the environment, no cookies, no decompression.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import msgspec

from routegen import __version__

from . import refusals, sse
from .answers import SUCCESS, Ending, judge, marks, repeats
from .design import Arm, Design
from .records import Clock, ErrorKind, Request

_READ_BUFFER: Final = 16 * 2**20
"""Bytes that may wait unread; at the default, long answers stop flowing while the client is busy."""
_KEEP_ALIVE: Final = 3.0
"""Seconds an idle connection is kept: less than uvicorn's 5, so that no request meets a closing connection."""
_CONNECT: Final = 10.0
"""Seconds to open a connection."""
_REFUSAL: Final = 64 * 2**10
"""Bytes of an error's body that are read."""

FIELDS: Final = frozenset(
    {"model", "messages", "prompt", "stream", "stream_options", "max_tokens", "ignore_eos", "inference_server"}
)
"""What :func:`body` sets itself, and sampling parameters may not."""


@dataclass(frozen=True, slots=True)
class Job:
    """One request to send; its body is made beforehand, so that sending costs the same whatever the prompt's length."""

    block: int
    prompt: int
    body: bytes
    key: bytes | None = None
    """Of a probe: what its answer's marks are made with."""
    tokens: int | None = None
    """How long its answer is to be; ``None``: as the design says."""


class _Failed(Exception):  # noqa: N818 - a way out, not an error that leaves this module
    def __init__(self, kind: ErrorKind, detail: str) -> None:
        self.kind, self.detail = kind, detail


@dataclass(slots=True)
class _Seen:
    """What has come back so far; times are seconds since sending."""

    status: int | None = None
    headers: float | None = None
    first: float | None = None
    first_content: float | None = None
    chunks: list[float] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    """The text of each chunk; judged when the answer has ended, and forgotten."""
    done_marker: bool = False
    finish: str | None = None
    usage: sse.Usage | None = None
    backend: str | None = None


class Client:
    """Sends an arm's requests. An async context manager; connections are kept and reused."""

    def __init__(self, arm: Arm, design: Design, clock: Clock, session: int, headers: Mapping[str, str]) -> None:
        self.arm = arm
        self._clock, self._session, self._timeout = clock, session, design.timeout
        self.complaint: str | None = None
        """The engine's own words about the last request that it refused; for people, never recorded."""
        self._asked = design.output_tokens if design.ignore_eos else None
        self._url = arm.url.rstrip("/") + design.path
        self._headers = {
            "content-type": "application/json",
            "accept": "text/event-stream",
            "accept-encoding": "identity",
            "user-agent": f"routegen-bench/{__version__}",
            **headers,
        }

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, limit_per_host=0, keepalive_timeout=_KEEP_ALIVE),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
            cookie_jar=aiohttp.DummyCookieJar(),
            read_bufsize=_READ_BUFFER,
            auto_decompress=False,
            trust_env=False,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        await self._http.close()

    async def send(self, job: Job, scheduled: float) -> Request:
        """Send ``job`` now and read the answer to its end; a failure is part of the record, never raised."""
        seen = _Seen()
        failed: _Failed | None = None
        sent = self._clock.now()
        try:
            async with asyncio.timeout(self._timeout):
                await self._exchange(job, sent, seen)
        except _Failed as error:
            failed = error
        except TimeoutError:
            failed = _Failed("timeout", f"no end within {self._timeout:g} s")
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            failed = _Failed("connect", f"no connection ({type(error).__name__})")
        except (aiohttp.ClientError, OSError) as error:
            failed = _Failed("reset", f"the connection broke ({type(error).__name__})")
        end = self._clock.now() - sent
        return self._record(job, scheduled, sent, end, seen, failed)

    async def _exchange(self, job: Job, sent: float, seen: _Seen) -> None:
        """Post the body and read the events into ``seen``."""
        async with self._http.post(self._url, data=job.body, headers=self._headers, allow_redirects=False) as response:
            seen.headers = self._clock.now() - sent
            seen.status = response.status
            if self.arm.routing_header is not None:
                seen.backend = response.headers.get(self.arm.routing_header)
            if response.status != HTTPStatus.OK:
                document = await response.content.read(_REFUSAL)
                self.complaint = refusals.complaint(document, sent=job.body, secret=self._headers.get("authorization"))
                raise _Failed("status", refusals.in_short(response.status, document))
            if seen.backend is not None and seen.backend != self.arm.inference_server:
                raise _Failed("wrong_engine", "the gateway names another backend")
            if response.content_type != "text/event-stream":
                raise _Failed("invalid", f"content-type {response.content_type} is no event stream")
            reader = sse.Reader()
            while piece := await response.content.readany():
                at = self._clock.now() - sent
                for event in reader.feed(piece):
                    _take(event, at, seen)
            for event in reader.close():
                _take(event, self._clock.now() - sent, seen)
        asked = self._asked and (job.tokens or self._asked)
        if fault := judge(asked, _ending(seen)):
            raise _Failed(*fault)

    def _record(
        self, job: Job, scheduled: float, sent: float, end: float, seen: _Seen, failed: _Failed | None
    ) -> Request:
        text = "".join(seen.pieces)
        usage = seen.usage or sse.Usage()
        details = usage.prompt_tokens_details or sse.Details()
        return Request(
            session=self._session,
            block=job.block,
            arm=self.arm.name,
            prompt=job.prompt,
            scheduled=round(scheduled, 6),
            sent=round(sent, 6),
            status=seen.status,
            headers=_rounded(seen.headers),
            first=_rounded(seen.first),
            first_content=_rounded(seen.first_content),
            chunks=tuple(round(at, 6) for at in seen.chunks),
            end=round(end, 6),
            done_marker=seen.done_marker or failed is not None,
            finish=seen.finish,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            cached_tokens=details.cached_tokens,
            characters=len(text),
            repeats=repeats(text),
            marks=() if job.key is None or failed is not None else marks(text, job.key),
            backend=seen.backend,
            error=failed.kind if failed else None,
            detail=failed.detail if failed else None,
        )


def body(arm: Arm, design: Design, prompt: str | list[dict[str, Any]], tokens: int | None = None) -> bytes:
    """The JSON that asks ``arm`` for a streamed answer to ``prompt`` with its usage.

    :param prompt: a text, or a chat's messages.
    :param tokens: how long the answer is to be, where not as the design says.
    """
    document: dict[str, Any] = {"model": arm.model, "stream": True, "stream_options": {"include_usage": True}}
    if design.path.endswith("/chat/completions"):
        document["messages"] = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
    else:
        document["prompt"] = prompt
    document |= {"max_tokens": tokens or design.output_tokens, **design.sampling}
    if design.ignore_eos:
        document |= {"ignore_eos": True}
    if arm.inference_server is not None:
        document["inference_server"] = arm.inference_server
    return msgspec.json.encode(document)


def _take(event: sse.Event, at: float, seen: _Seen) -> None:
    """Write down what one event says."""
    if event.type == sse.ERROR:
        raise _Failed("engine", "an error event inside the stream")
    if event.data.strip() == sse.DONE:
        seen.done_marker = True
        return
    if event.type not in sse.MESSAGE:
        return  # of another kind, such as a proxy's ping
    try:
        chunk = sse.decode(event.data)
    except msgspec.MsgspecError:
        raise _Failed("invalid", "an event is not a completion chunk") from None
    if chunk.failed:
        raise _Failed("engine", "an error object inside the stream")
    if chunk.alien:
        raise _Failed("invalid", "an event is not a completion chunk")
    content, reasoning = chunk.content, chunk.reasoning
    if content or reasoning:
        seen.chunks.append(at)
        seen.pieces.append(reasoning + content)
        seen.first = at if seen.first is None else seen.first
    if content and seen.first_content is None:
        seen.first_content = at
    if chunk.finish is not None and (seen.finish is None or chunk.finish not in SUCCESS):
        seen.finish = chunk.finish
    seen.usage = chunk.usage or seen.usage


def _ending(seen: _Seen) -> Ending:
    return Ending(seen.finish, bool(seen.chunks), seen.usage.completion_tokens if seen.usage else None)


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 6)
