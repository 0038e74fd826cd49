"""``python -m routegen.mock_engine``: one mock engine until it is interrupted."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal

import uvloop

from routegen.common.streams import leave_unread
from routegen.mock_engine import PERSONALITIES, Behaviour, Fault, MockEngine


def main() -> None:
    """Read the options, listen, print the address, serve."""
    parser = argparse.ArgumentParser(
        prog="python -m routegen.mock_engine",
        description="Act as an inference engine. GET /_received?last=N shows what was received.",
    )
    parser.add_argument("--personality", choices=PERSONALITIES, default="vllm")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=port, default=8000, help="0 takes a free one (default: 8000)")
    parser.add_argument("--model", action="append", help="may be repeated (default: mock-model)")
    parser.add_argument("--max-model-len", type=int, default=32768, metavar="TOKENS", help="what it says of its models")
    parser.add_argument("--ttft", type=float, default=0.0, metavar="SECONDS", help="until the first token")
    parser.add_argument("--tpot", type=float, default=0.0, metavar="SECONDS", help="for each token after it")
    parser.add_argument(
        "--jitter", type=float, default=0.0, metavar="SHARE", help="standard deviation of both, as a share"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the jitter")
    parser.add_argument("--slots", type=int, metavar="N", help="answers at the same time; more wait (default: no end)")
    parser.add_argument("--answer-tokens", type=int, default=16, help="an answer's length without max_tokens")
    parser.add_argument("--no-cached-tokens", action="store_true", help="leave cached_tokens out of usage")
    parser.add_argument("--fault", type=Fault.parse, metavar="KIND", help="status[:CODE], reset, no-done or hang")
    options = parser.parse_args()
    behaviour = Behaviour(
        models=tuple(options.model or Behaviour().models),
        max_model_len=options.max_model_len,
        ttft=options.ttft,
        tpot=options.tpot,
        jitter=options.jitter,
        seed=options.seed,
        slots=options.slots,
        answer_tokens=options.answer_tokens,
        report_cached_tokens=not options.no_cached_tokens,
        fault=options.fault,
    )
    engine = MockEngine(PERSONALITIES[options.personality], behaviour, host=options.host, port=options.port)
    try:
        uvloop.run(_serve(engine))  # its timers are more exact than asyncio's own
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        parser.exit(1, f"{parser.prog}: can't listen on {options.host}:{options.port}: {why}; choose another --port\n")


def port(text: str) -> int:
    """Read a port; argparse names this function where it is none."""
    number = int(text)
    if not 0 <= number <= 65535:  # noqa: PLR2004 - TCP's ports
        raise ValueError
    return number


async def _serve(engine: MockEngine) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with engine:
        try:
            print(f"{engine.personality.name} at {engine.url}", flush=True)
        except BrokenPipeError:  # nobody wants to know
            leave_unread()
        await stopped.wait()


if __name__ == "__main__":
    main()
