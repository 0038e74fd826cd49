"""An engine that can be made faulty: ``python engine.py NAME PORT``, and ``PUT /fault/KIND`` for one of FAULTS."""

from __future__ import annotations

import asyncio
import itertools
import json
import sys

from aiohttp import web

FAULTS = ("none", "failing", "mute", "holding")
"""Answers every second request with 500; refuses to tell its models; never reads a request."""
NOW: dict[str, str] = {"fault": "none"}
TURN = itertools.count()


async def _fault(request: web.Request) -> web.Response:
    NOW["fault"] = request.match_info["kind"]
    return web.json_response(NOW)


async def _models(_: web.Request) -> web.Response:
    if NOW["fault"] == "mute":
        return web.json_response({"error": "a key is needed"}, status=401)
    return web.json_response({"data": [{"id": "m", "owned_by": sys.argv[1]}]})


async def _chat(request: web.Request) -> web.Response:
    if NOW["fault"] == "holding":
        await asyncio.sleep(3600)
    data = await request.read()
    if NOW["fault"] == "failing" and next(TURN) % 2:
        return web.json_response({"error": "out of memory"}, status=500)
    return web.Response(
        body=json.dumps({"engine": sys.argv[1], "bytes": len(data)}).encode(), content_type="application/json"
    )


if __name__ == "__main__":
    app = web.Application(client_max_size=1 << 26)
    app.add_routes(
        [
            web.get("/v1/models", _models),
            web.post("/v1/chat/completions", _chat),
            web.put(f"/fault/{{kind:{'|'.join(FAULTS)}}}", _fault),
        ]
    )
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None)
