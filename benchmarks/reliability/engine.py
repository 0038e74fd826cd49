"""An engine for the scenarios, as a process of its own: it says in every answer who it is.

.venv/bin/python benchmarks/reliability/engine.py NAME PORT [KEY]

A chat completion takes 20 ms; a streamed one is 100 events in 10 s and then ``[DONE]``. With a KEY, ``GET /strangers``
says how many requests have shown another one, or none.
"""

from __future__ import annotations

import asyncio
import json
import sys

from aiohttp import web

EVENTS = 100
PAUSE = 0.1
KEY = sys.argv[3] if len(sys.argv) > 3 else ""  # noqa: PLR2004 - the third argument
STRANGERS: list[str] = []


async def _models(_: web.Request) -> web.Response:
    return web.json_response({"data": [{"id": "m", "owned_by": sys.argv[1]}]})


async def _strangers(_: web.Request) -> web.Response:
    return web.json_response(STRANGERS)


async def _chat(request: web.Request) -> web.StreamResponse:
    if KEY and request.headers.get("authorization") != f"Bearer {KEY}":
        STRANGERS.append(request.headers.get("authorization", ""))
    data = await request.read()
    body = json.loads(data)
    if not body.get("stream"):
        await asyncio.sleep(0.02)
        return web.json_response({"engine": sys.argv[1], "bytes": len(data)})
    answer = web.StreamResponse(headers={"content-type": "text/event-stream"})
    await answer.prepare(request)
    for _ in range(EVENTS):
        await answer.write(b'data: {"engine": "%b"}\n\n' % sys.argv[1].encode())
        await asyncio.sleep(PAUSE)
    await answer.write(b"data: [DONE]\n\n")
    return answer


if __name__ == "__main__":
    app = web.Application(client_max_size=1 << 26)
    app.add_routes(
        [web.get("/v1/models", _models), web.post("/v1/chat/completions", _chat), web.get("/strangers", _strangers)]
    )
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None)
