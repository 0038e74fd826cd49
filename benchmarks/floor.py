"""The least that any Python external processor does: what the router's cost is compared with.

grpc.aio over raw bytes on uvloop; two reads, two prebuilt replies, nothing is parsed, counted or logged.

    python benchmarks/floor.py HOST:PORT BACKEND
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator

import grpc
import uvloop

from routegen_router import wire
from routegen_router.messages import Continue, Routed


async def serve(address: str, backend: str) -> None:
    """Listen until the process is ended."""
    replies = wire.Replies("x-inference-server")
    to_headers, to_body = replies.encode(Continue(0)), replies.encode(Routed(backend, "floor"))

    async def process(_messages: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        await context.read()
        await context.write(to_headers)
        await context.read()
        await context.write(to_body)

    async def check(_request: bytes, _context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
        return wire.SERVING

    server = grpc.aio.server(options=[("grpc.max_receive_message_length", -1)])
    methods = {wire.METHOD: grpc.stream_stream_rpc_method_handler(process)}
    health = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server.add_generic_rpc_handlers(
        (
            grpc.method_handlers_generic_handler(wire.SERVICE, methods),
            grpc.method_handlers_generic_handler(wire.HEALTH_SERVICE, health),
        )
    )
    server.add_insecure_port(address)
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(sys.argv[1], sys.argv[2]))
