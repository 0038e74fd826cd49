"""An answer that takes a minute: chunk by chunk as it is sent, while no stream to the router is held.

The engine sends each chunk only after the client has read the one before, so a chunk that anybody held back would stop
the whole answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web

from routegen.plan import Addresses
from support.gateway import first_backend, gateway

SECONDS = 60
"""Longer than Envoy's default route timeout of 15 s, by far."""
ROUTES = """
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: long}
spec:
  backends: {vllm: {service: {name: v, port: 8000}, ownedBy: vllm}}
"""


class SlowEngine:
    """Streams one chunk a second, each after the client has told that it read the last."""

    def __init__(self) -> None:
        self.read = asyncio.Semaphore(1)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """Generate for :data:`SECONDS`."""
        await request.read()
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        for number in range(SECONDS):
            await self.read.acquire()
            await response.write(f"data: {number}\n\n".encode())
            await asyncio.sleep(1)
        await response.write(b"data: [DONE]\n\n")
        return response

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[int]:
        """Run on a free port."""
        application = web.Application()
        application.add_routes([web.post("/v1/chat/completions", self.answer)])
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield runner.addresses[0][1]
        finally:
            await runner.cleanup()


async def test_a_minute_of_streaming_holds_no_router_stream_and_no_chunk() -> None:
    """Envoy's gauge of requests to the router is 0 whenever a chunk arrives."""
    engine = SlowEngine()
    async with engine.listening() as port:
        there = first_backend(reach=Addresses((("127.0.0.1", port),)))
        with gateway(ROUTES, {"vllm": ["m"]}, adjust=there) as running:
            url = f"http://127.0.0.1:{running.port}/v1/chat/completions"
            body = json.dumps({"model": "m", "stream": True})
            events, held, busy = [], set(), set()
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=20)) as session,
                session.post(url, data=body) as response,
            ):
                async for line in response.content:
                    if line.strip():
                        events.append(line.decode().strip())
                        held.add(await asyncio.to_thread(running.envoy.stat, "cluster.router.upstream_rq_active"))
                        busy.add(await asyncio.to_thread(running.envoy.stat, "cluster.engine/vllm.upstream_rq_active"))
                        engine.read.release()
    assert events == [*(f"data: {number}" for number in range(SECONDS)), "data: [DONE]"]
    assert held == {0}
    assert 1 in busy
