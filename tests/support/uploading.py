"""A client that reads while it uploads, as curl, Go's and Node's do: it sees a refusal that comes in the middle."""

from __future__ import annotations

import json
import select
import socket
import time
from contextlib import AbstractContextManager, nullcontext

HEAD = "POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n"


def upload(port: int, body: bytes, patience: float, turn: AbstractContextManager[object] | None = None) -> str:
    """Send one body to 127.0.0.1 and say what came of it.

    :param patience: seconds to wait for an answer once the gateway takes no more.
    :param turn: held while the body is sent.
    :returns: the status, and the code of an error; ``held``: no answer; ``closed``: the connection ended without one.
    """
    with socket.create_connection(("127.0.0.1", port), timeout=patience) as client:
        client.setblocking(False)
        with turn or nullcontext():
            answer = _send(client, HEAD.format(len(body)).encode() + body, patience)
        ends = time.monotonic() + patience
        while answer is not None and not _whole(answer):
            if not select.select([client], [], [], max(ends - time.monotonic(), 0))[0]:
                return "held"
            answer = _more(client, answer)
    return "closed" if answer is None else _told(answer)


def _send(client: socket.socket, data: bytes, patience: float) -> bytes | None:
    """Send everything, or as much as is taken until an answer begins, which is returned."""
    left, answer = memoryview(data), b""
    while left and not answer:
        readable, writable, _ = select.select([client], [client], [], patience)
        if not readable and not writable:
            return answer
        if readable:
            return _more(client, answer)
        try:
            left = left[client.send(left[: 1 << 18]) :]
        except OSError:
            return _more(client, answer)
    return answer


def _more(client: socket.socket, answer: bytes) -> bytes | None:
    """What has come now too; ``None`` where nothing more will."""
    try:
        received = client.recv(65536)
    except OSError:
        return None
    return answer + received if received else None


def _whole(answer: bytes) -> bool:
    head, _, body = answer.partition(b"\r\n\r\n")
    lengths = [line.partition(b":")[2] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return bool(lengths) and len(body) >= int(lengths[0])


def _told(answer: bytes) -> str:
    head, _, body = answer.partition(b"\r\n\r\n")
    error = json.loads(body).get("error")
    status = head.split()[1].decode()
    return status if error is None else f"{status} {error['code']}"
