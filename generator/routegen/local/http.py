"""One HTTP GET on loopback, without a library of its own and without proxies."""

from __future__ import annotations

import asyncio
import http.client
from typing import Final

TIMEOUT: Final = 3.0


async def get(address: str, path: str) -> tuple[int, bytes]:
    """Ask ``http://ADDRESS PATH``; status and body.

    :raises OSError: nobody answers there in time.
    """
    return await asyncio.to_thread(_get, address, path)


def _get(address: str, path: str) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(address, timeout=TIMEOUT)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()
    except http.client.HTTPException as error:
        raise OSError(f"{address} does not speak HTTP") from error
    finally:
        connection.close()
