"""The mock engine's HTTP server."""

from __future__ import annotations

import asyncio
import itertools
import json
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from fnmatch import fnmatchcase
from typing import Any, Final, Self

from aiohttp import web

from routegen.mock_engine import answers, realtime, small
from routegen.mock_engine.answers import Answer, Kind
from routegen.mock_engine.behaviour import Behaviour, until
from routegen.mock_engine.figures import Figures
from routegen.mock_engine.generation import Generation, PrefixCache, generate
from routegen.mock_engine.messages import Message
from routegen.mock_engine.personality import VLLM, Personality
from routegen.mock_engine.recorder import Received, Recorder
from routegen.mock_engine.responses import Responses
from routegen_router.models import is_glob

_UNLIMITED: Final = 0
_ARRIVED: Final = web.RequestKey("arrived", float)
_ADMITTED: Final = web.RequestKey("admitted", float)
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)  # SO_LINGER: on, for zero seconds

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class MockEngine:
    """An engine that listens as long as its ``async with`` block lasts.

    ::

        async with MockEngine(SGLANG, Behaviour(models=("llama-8b",))) as engine:
            ...  # send requests to engine.url
        assert engine.recorder.generations()[0].json["model"] == "llama-8b"

    :raises OSError: on entering, where the port can't be had.
    """

    def __init__(
        self,
        personality: Personality = VLLM,
        behaviour: Behaviour | None = None,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        self.personality = personality
        self.behaviour = behaviour or Behaviour()
        """May be exchanged at any time; requests that are being answered keep what they began with."""
        self.recorder = Recorder()
        self.host, self.port = host, port
        self._figures = Figures(personality)
        self._cache = PrefixCache()
        self._responses = Responses()
        self._places = asyncio.Semaphore(self.behaviour.slots) if self.behaviour.slots else None
        self._created = int(time.time())
        self._numbers = itertools.count()
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            handle_signals=False,
            handler_cancellation=True,
            shutdown_timeout=0.1,
            auto_decompress=False,  # as real engines, which take compressed bodies for what they look like
        )

    @property
    def url(self) -> str:
        """Such as ``http://127.0.0.1:34567``."""
        return f"http://{self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.host, self.port, backlog=1024).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self._runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=_UNLIMITED, middlewares=[self._record])
        application.add_routes(
            [
                web.get("/health", self._health),
                web.get("/metrics", self._metrics),
                web.get("/v1/models", self._models),
                web.get("/_received", self._received),
                web.post("/v1/chat/completions", self._generator("chat")),
                web.post("/v1/completions", self._generator("completion")),
                web.post("/v1/responses", self._generator("response")),
                web.get("/v1/responses/{id}", self._response),
                web.delete("/v1/responses/{id}", self._forget_response),
                web.post("/v1/responses/{id}/cancel", self._response),
                web.post("/v1/embeddings", self._embeddings),
                web.get("/v1/realtime", self._realtime),
                web.post("/v1/messages", self._generator("message")),
                *(web.post(path, self._at_once(answer)) for path, answer in small.PATHS.items()),
            ]
        )
        return application

    @web.middleware
    async def _record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        request[_ARRIVED] = time.perf_counter()
        body = await request.read()
        if request.path != "/_received":
            self.recorder.add(
                Received(
                    method=request.method,
                    target=request.raw_path,
                    version=f"{request.version.major}.{request.version.minor}",
                    headers=tuple(
                        (name.decode("latin-1"), value.decode("latin-1")) for name, value in request.raw_headers
                    ),
                    body=body,
                )
            )
        return await handler(request)

    @property
    def _listed(self) -> tuple[str, ...]:
        return tuple(model for model in self.behaviour.models if not is_glob(model))

    async def _health(self, request: web.Request) -> web.Response:
        del request
        return web.Response()

    async def _metrics(self, request: web.Request) -> web.Response:
        del request
        return web.Response(body=self._figures.text(self._listed), content_type="text/plain")

    async def _models(self, request: web.Request) -> web.Response:
        del request
        length = self.behaviour.max_model_len
        return web.json_response(answers.model_list(self.personality, self._listed, self._created, length))

    async def _received(self, request: web.Request) -> web.Response:
        last = int(request.query.get("last", "100"))
        kept = self.recorder.asked
        shown = [received.document() for received in kept[max(0, len(kept) - last) :]]
        return web.json_response({"total": self.recorder.total, "requests": shown})

    async def _embeddings(self, request: web.Request) -> web.StreamResponse:
        behaviour = self.behaviour
        body = await self._read(request)
        generation = generate(body, self._model(body), self.personality.owned_by, behaviour, self._cache)
        await self._fail_early(behaviour)
        await until(request[_ARRIVED] + behaviour.ttft)
        inputs = body.get("input")
        count = len(inputs) if isinstance(inputs, list) and inputs and isinstance(inputs[0], str | list) else 1
        return web.json_response(answers.embeddings(self.personality, generation.model, count, generation.usage))

    async def _realtime(self, request: web.Request) -> web.StreamResponse:
        return await realtime.session(request, self.personality.owned_by)

    async def _response(self, request: web.Request) -> web.Response:
        return web.json_response(self._remembered(request.match_info["id"]))

    async def _forget_response(self, request: web.Request) -> web.Response:
        ident = request.match_info["id"]
        self._remembered(ident)
        self._responses.forget(ident)
        return web.json_response({"id": ident, "object": "response", "deleted": True})

    def _remembered(self, ident: str) -> dict[str, Any]:
        """A response of this engine's own; any other is its 404."""
        found = self._responses.get(ident)
        if found is None:
            raise _refusal(f"Response with id '{ident}' not found.", 404, "invalid_request_error")
        return found

    def _at_once(self, answer: Callable[[small.Document, Generation], small.Document]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await self._read(request)
            generation = generate(body, self._model(body), self.personality.owned_by, self.behaviour, self._cache)
            await self._fail_early(self.behaviour)
            return web.json_response(answer(body, generation))

        return handle

    def _generator(self, kind: Kind) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            behaviour = self.behaviour
            body = await self._read(request)
            generation = generate(body, self._model(body), self.personality.owned_by, behaviour, self._cache)
            if kind == "response" and body.get("previous_response_id") is not None:
                self._remembered(str(body["previous_response_id"]))
            options = body.get("stream_options")
            include_usage = isinstance(options, dict) and options.get("include_usage") is True
            made = Message if kind == "message" else Answer
            answer = made(kind, self.personality, generation, behaviour.report_cached_tokens, include_usage)
            await self._fail_early(behaviour)
            self._figures.started(generation.model, generation.usage)
            admitted = False
            try:
                send = self._stream if body.get("stream") is True else self._send
                if kind == "response":
                    self._responses.keep(answer.whole())
                async with self._places or nullcontext():
                    self._figures.admitted(generation.model)
                    admitted = True
                    if self._places is not None:
                        request[_ADMITTED] = time.perf_counter()
                    response = await send(request, answer, behaviour)
                self._figures.finished(generation.model, generation.usage)
            finally:
                self._figures.ended(generation.model, admitted=admitted)
            return response

        return handle

    async def _send(self, request: web.Request, answer: Answer, behaviour: Behaviour) -> web.StreamResponse:
        """The whole answer, when its last token is due."""
        arrived = request[_ARRIVED]
        admitted = request.get(_ADMITTED, arrived)
        deadlines = list(behaviour.deadlines(admitted, next(self._numbers), len(answer.generation.tokens)))
        await until(deadlines[0])
        self._figures.first_token(answer.generation.model, time.perf_counter() - arrived)
        await until(deadlines[-1])
        if behaviour.fault is not None and behaviour.fault.kind == "reset":
            raise _reset(request)
        return web.json_response(answer.whole())

    async def _stream(self, request: web.Request, answer: Answer, behaviour: Behaviour) -> web.StreamResponse:
        """Server-sent events, each token when it is due."""
        arrived, tokens = request[_ARRIVED], len(answer.generation.tokens)
        deadlines = behaviour.deadlines(request.get(_ADMITTED, arrived), next(self._numbers), tokens)
        fault = behaviour.fault.kind if behaviour.fault is not None else None
        response = web.StreamResponse(headers={"content-type": "text/event-stream; charset=utf-8"})
        await response.prepare(request)
        sent, waiting = 0, b""
        for event, is_token in answer.events():
            waiting += event
            if not is_token and sent == 0:
                continue  # the role comes with the first token, as from real engines
            if is_token:
                await until(next(deadlines))
                if sent == 0:
                    self._figures.first_token(answer.generation.model, time.perf_counter() - arrived)
                sent += 1
            await response.write(waiting)
            waiting = b""
            if fault == "reset" and sent * 2 >= tokens:
                raise _reset(request)
        if answer.ends_with_done and fault != "no-done":
            await response.write(answers.DONE)
        await response.write_eof()
        return response

    async def _read(self, request: web.Request) -> dict[str, Any]:
        """The body as a JSON object; anything else is the engine's own 400."""
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            raise _refusal("The body is not valid JSON.", 400) from None
        if not isinstance(body, dict):
            raise _refusal("The body is not a JSON object.", 400)
        return body

    def _model(self, body: dict[str, Any]) -> str:
        asked = body.get("model")
        if asked is None:
            return self._listed[0]
        if any(fnmatchcase(str(asked), model) for model in self.behaviour.models):
            return str(asked)
        if self.personality.checks_model:
            raise _refusal(f"The model `{asked}` does not exist.", 404, "NotFoundError")
        return self._listed[0]

    async def _fail_early(self, behaviour: Behaviour) -> None:
        fault = behaviour.fault
        if fault is not None and fault.kind == "status":
            raise _refusal("This mock engine was told to fail.", fault.status, "InternalServerError")
        if fault is not None and fault.kind == "hang":
            await asyncio.Event().wait()


class _Refusal(web.HTTPException):
    """An error in the engine's own form."""

    def __init__(self, status: int, text: str) -> None:
        self.status_code = status
        super().__init__(text=text, content_type="application/json")


def _refusal(message: str, status: int, kind: str = "BadRequestError") -> _Refusal:
    return _Refusal(status, json.dumps(answers.error(message, status, kind)))


def _reset(request: web.Request) -> ConnectionResetError:
    """Cut the connection with an RST, so that the client can't take it for a normal end."""
    transport = request.transport
    if transport is not None:
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return ConnectionResetError("this mock engine was told to reset the connection")
