"""A small HTTP/2 cleartext client (prior knowledge, RFC 9113 section 3.3) for requests through a real Envoy."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterable, Sequence

import h2.config
import h2.connection
import h2.events

from support.gateway import Reply


def request(  # noqa: C901 - one loop over events reads better than five methods
    port: int,
    method: str,
    path: str,
    headers: Sequence[tuple[str, str]] = (),
    chunks: Iterable[bytes] = (),
    trailers: Sequence[tuple[str, str]] = (),
    *,
    pause: float = 0.0,
    timeout: float = 30.0,
) -> Reply:
    """Send one request to 127.0.0.1 on a connection of its own.

    :param pause: seconds to wait between chunks.
    :raises TimeoutError: no whole answer came.
    """
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    pairs: list[tuple[str, str]] = []
    answer = bytearray()
    done = False
    with socket.create_connection(("127.0.0.1", port), timeout=timeout) as sock:

        def take() -> None:
            nonlocal done
            data = sock.recv(65536)
            if not data:
                raise ConnectionError("the server closed the connection")
            for event in connection.receive_data(data):
                match event:
                    case h2.events.ResponseReceived():
                        pairs.extend((str(name), str(value)) for name, value in event.headers or [])
                    case h2.events.DataReceived():
                        answer.extend(event.data or b"")
                        connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
                    case h2.events.StreamEnded() | h2.events.StreamReset():
                        done = True
            sock.sendall(connection.data_to_send())

        def send(data: bytes) -> None:
            view = memoryview(data)
            while view and not done:
                window = min(connection.local_flow_control_window(1), connection.max_outbound_frame_size, len(view))
                if window <= 0:
                    take()
                    continue
                connection.send_data(1, bytes(view[:window]))
                sock.sendall(connection.data_to_send())
                view = view[window:]

        start = [(":method", method), (":path", path), (":scheme", "http"), (":authority", "gateway.test")]
        body = list(chunks)
        connection.send_headers(1, [*start, *headers], end_stream=not body and not trailers)
        sock.sendall(connection.data_to_send())
        for chunk in body:
            send(chunk)
            if pause:
                time.sleep(pause)
        if trailers and not done:
            connection.send_headers(1, list(trailers), end_stream=True)
        elif body and not done:
            connection.end_stream(1)
        sock.sendall(connection.data_to_send())
        while not done:
            take()
    [status] = [int(value) for name, value in pairs if name == ":status"]
    return Reply(status, tuple(pair for pair in pairs if pair[0] != ":status"), bytes(answer))
