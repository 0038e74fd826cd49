"""Clients that announce bodies and don't send them, a process of their own: ``-m reliability.attackers PORT COUNT``.

Each keeps a connection in the middle of an upload: a third announces 32 MiB and a third 64 KiB, and sends nothing; a
third sends a byte every four seconds without saying how many there are. One that is answered or cut off begins anew.
``ready`` is printed when all have begun once.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

FRAMINGS = ("content-length: 33554432", "content-length: 65536", "transfer-encoding: chunked")


async def attack(port: int, framing: str, began: asyncio.Event) -> None:
    """Upload nothing, for ever."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(f"POST /v1/chat/completions HTTP/1.1\r\nhost: h\r\n{framing}\r\n\r\n".encode())
            await writer.drain()
            began.set()
            answer = asyncio.create_task(reader.read(1))
            while not answer.done():
                if "chunked" in framing:
                    writer.write(b"1\r\n \r\n")
                await asyncio.wait([answer], timeout=4)
            answer.cancel()
            writer.close()
        await asyncio.sleep(0.1)


async def main(port: int, count: int) -> None:
    """Attack until the process is ended."""
    began = [asyncio.Event() for _ in range(count)]
    tasks = [asyncio.create_task(attack(port, FRAMINGS[index % 3], one)) for index, one in enumerate(began)]
    for one in began:
        await one.wait()
    print("ready", flush=True)
    await asyncio.gather(*tasks)


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
