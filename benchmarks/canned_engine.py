"""An engine that costs next to nothing: canned chunks as fast as a socket takes them, so that the client is the limit.

``python canned_engine.py TOKENS`` prints its port.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import cast

import uvloop

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
_MODELS = json.dumps({"object": "list", "data": [{"id": "mock-model", "object": "model"}]}).encode()
_LISTED = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(_MODELS), _MODELS)


def _chunk(document: object) -> bytes:
    text = b"[DONE]" if document is None else json.dumps(document).encode()
    event = b"data: " + text + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(event), event)


class Canned(asyncio.Protocol):
    """Answers each request on a connection with the same bytes; one write a token."""

    def __init__(self, tokens: int) -> None:
        head = {"id": "chatcmpl-0", "object": "chat.completion.chunk", "created": 1, "model": "mock-model"}
        word = {"index": 0, "delta": {"content": " word"}, "finish_reason": None}
        end = word | {"finish_reason": "length"}
        usage = {"prompt_tokens": 9, "completion_tokens": tokens, "prompt_tokens_details": {"cached_tokens": 0}}
        self._pieces = [_chunk(head | {"choices": [word]})] * (tokens - 1) + [_chunk(head | {"choices": [end]})]
        self._tail = _chunk(head | {"choices": [], "usage": usage}) + _chunk(None) + b"0\r\n\r\n"
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the connection."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it

    def data_received(self, data: bytes) -> None:
        """Answer once a whole request is there (one at a time, as HTTP/1.1 clients send them)."""
        self._received += data
        head, found, rest = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        if head.startswith(b"GET "):
            self._received = b""
            self._transport.write(_LISTED)
            return
        length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
        if len(rest) < length:
            return
        self._received = b""
        self._transport.write(_HEAD)
        asyncio.get_running_loop().call_soon(self._send, 0)

    def _send(self, index: int) -> None:
        if index == len(self._pieces):
            self._transport.write(self._tail)
            return
        self._transport.write(self._pieces[index])
        asyncio.get_running_loop().call_soon(self._send, index + 1)


async def _serve(tokens: int) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: Canned(tokens), "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
