"""A client that sends one body again and again: ``python sender.py HOST:PORT PATH FILE SECONDS``.

It says ``ready``, begins when a line comes on standard input, sends the body every SECONDS or as fast as it is
answered, and ends when standard input does. In the end it says how many bytes of bodies it sent. Standard library only:
it has to start fast.
"""

from __future__ import annotations

import contextlib
import http.client
import select
import sys
import time
from pathlib import Path

PATIENCE = 60.0


def send(address: str, path: str, body: bytes) -> None:
    """One request; how it is answered doesn't matter."""
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("POST", path, body, {"content-type": "application/json"})
        connection.getresponse().read()


def main() -> None:
    """Send until told to end."""
    address, path, file, every = sys.argv[1:]
    body = Path(file).read_bytes()
    print("ready", flush=True)
    sys.stdin.readline()
    due, sent = time.monotonic(), 0
    while True:
        send(address, path, body)
        sent += 1
        due = max(due + float(every), time.monotonic())
        if select.select([sys.stdin], [], [], max(due - time.monotonic(), 0))[0]:
            break
    print(sent * len(body))


if __name__ == "__main__":
    main()
