"""A mock engine's WebSocket: it says who it is and what it was asked, and sends back what it gets."""

from __future__ import annotations

from aiohttp import WSMsgType, web


async def session(request: web.Request, owner: str) -> web.WebSocketResponse:
    """``GET /v1/realtime?model=…``: ``session.created``, then an echo of each message until the client leaves."""
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    created = {"id": "sess_0", "object": "realtime.session", "model": request.query.get("model"), "owned_by": owner}
    await socket.send_json({"type": "session.created", "session": created})
    async for message in socket:
        if message.type == WSMsgType.TEXT:
            await socket.send_str(message.data)
        elif message.type == WSMsgType.BINARY:
            await socket.send_bytes(message.data)
    return socket
