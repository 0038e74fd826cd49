"""A search for the bodies that take the router longest to read.

    .venv/bin/python benchmarks/worst_bodies.py [--size BYTES] [--top N]

Each body is a beginning, a filler up to the size, and an end; all combinations are tried. What is measured is CPU time
of the reading thread, the best of several rounds, a megabyte and relative to plain English: on the event loop (one
pass, which holds up every other request of the process) and in all (where one pass doesn't tell, a reader process does
the rest). docs/reliability.md says what this comes to for other clients.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import time
from collections.abc import Callable, Iterator

from bodies import ENGINES, MB, SHAPES, chat

from routegen.compile import compile_text
from routegen.emit.router_config import router_config
from routegen_router.body import BodyReader
from routegen_router.config import reads
from routegen_router.refusals import BodyError

ROUNDS = 3
ROUTES = """\
apiVersion: routegen/v1alpha1
kind: InferenceRoutes
metadata: {name: benchmark}
spec:
  gateway: {target: envoy}
  backends:
    vllm: {endpoints: [127.0.0.1:8001], ownedBy: vllm}
    sglang: {endpoints: [127.0.0.1:8002], ownedBy: sglang}
  rules:
    - body: inference_server
    - body: owned_by
    - body: metadata.engine
    - split: {vllm: 50, sglang: 50}
      stickyBy: {body: user}
"""

OBJECT = {
    "value": (b'{"x":[1', b"]%s}"),
    "value of a routing field": (b'{"model":[1', b"]%s}"),
    "value in metadata": (b'{"metadata":{"x":[1', b'],"engine":"a"%s}}'),
    "nulls, value in metadata": (b'{"model":null,"metadata":{"engine":null,"x":[1', b'],"y":"a"%s}}'),
    "nulls, value": (b'{"model":null,"owned_by":null,"inference_server":null,"user":null,"x":[1', b"]%s}"),
}
"""Where the filler is a part of an array: beginning and end."""
TEXT = {
    "prompt": (b'{"messages":[{"content":"', b'"}]%s}'),
    "routing field": (b'{"user":"', b'"%s}'),
    "nulls, text": (b'{"model":null,"owned_by":null,"inference_server":null,"user":null,"x":"', b'"%s}'),
    "nulls, text in metadata": (b'{"model":null,"metadata":{"engine":null,"x":"', b'"%s}}'),
}
MEMBERS = {"keys": (b'{"x":1', b"%s}"), "keys in metadata": (b'{"metadata":{"x":1', b'%s},"model":null}')}
TAILS = {
    "": b"",
    "; two lone surrogates": rb',"y":"\ud800 \ud800"',
    "; lone surrogates, a value in doubt": rb',"y":"\ud800 \udc00 \ud800","inference_server":"\uf800"',
    "; broken": b',"y":tru',
    "; twice": b',"model":"a","model":"b"',
}
ELEMENTS = {
    "[]": b",[]",
    "{}": b",{}",
    "1": b",1",
    "1e9": b",1e9",
    "-0.0": b",-0.0",
    "null": b",null",
    "empty strings": b',""',
    "arrays 500 deep": b"," + b"[" * 500 + b"]" * 500,
    "objects 500 deep": b"," + b'{"":' * 500 + b"1" + b"}" * 500,
    "keys that look alike": b',{"model":1,"user":2}',
    "a number of many digits": b"1",
    "spaces": b" ",
}
CHARACTERS = {
    "English": SHAPES["plain"].encode(),
    "Chinese": SHAPES["Chinese"].encode(),
    "é": "é".encode(),
    "emoji": "😀".encode(),
    "ASCII and é": "aé".encode(),
    r"\n": rb"\n",
    r"\\": rb"\\",
    r"\\d": rb"\\d",
    "escaped ASCII": rb"\u0041",
    "escaped Chinese": rb"\u4f60",
    "escaped pairs": rb"\ud83d\ude00",
    "escaped Korean": rb"\ud55c",
    "lone high surrogates": rb"\ud800",
    "lone low surrogates": rb"\uDC00",
    "lone surrogates in text": rb"\ud800 ",
    r"\uf800": rb"\uf800",
    "U+F800": "\uf800".encode(),
    "delete": b"\x7f",
}
KEYS = {
    "empty": b',"":1',
    "short": b',"a":1',
    "as long as a field": b',"owned_bx":1',
    "escaped": rb',"\u006dodex":1',
    "Chinese": ',"模":1'.encode(),
    "null for fields": b',"model":null,"user":null,"owned_by":null,"inference_server":null',
    "null for the engine": b',"engine":null',
    "arrays for the model": b',"model":[]',
    "long": b',"' + b"a" * 1000 + b'":1',
}


def bodies(size: int) -> Iterator[tuple[str, bytes]]:
    """Every combination, of about ``size`` bytes."""
    for places, fillers in ((OBJECT, ELEMENTS), (TEXT, CHARACTERS), (MEMBERS, KEYS)):
        for (place, (begin, end)), (name, unit), (tail, what) in itertools.product(
            places.items(), fillers.items(), TAILS.items()
        ):
            rest = end.replace(b"%s", what)
            yield f"{place}: {name}{tail}", begin + unit * max((size - len(begin) - len(rest)) // len(unit), 1) + rest
    yield "brackets that never close", b'{"x":' + b"[" * size
    yield "no JSON at all", b"x" * size
    yield "not UTF-8, at the end", b'{"x":"' + "模".encode() * (size // 3) + b'\xff"}'


def cpu(read: Callable[[bytes], object], body: bytes) -> float:
    """Milliseconds of this thread a megabyte, the best of some rounds."""
    taken = []
    for _ in range(ROUNDS):
        began = time.thread_time()
        with contextlib.suppress(BodyError):
            read(body)
        taken.append(time.thread_time() - began)
    return min(taken) * 1000 * MB / len(body)


def main() -> None:
    """Search and print the worst."""
    parser = argparse.ArgumentParser(description="Search for the bodies that take longest to read.")
    parser.add_argument("--size", type=int, default=MB, metavar="BYTES", help="of each body (default: 1 MiB)")
    parser.add_argument("--top", type=int, default=15, metavar="N", help="how many to show (default: 15)")
    options = parser.parse_args()
    read = BodyReader(reads(router_config(compile_text(ROUTES, "benchmark")).rules))
    plain = chat(options.size, ENGINES[0])
    base = cpu(read.read, plain)
    found = [(name, cpu(read.read_at_once, body), cpu(read.read, body)) for name, body in bodies(options.size)]
    print(f"plain English {base:.2f} ms a MB; {len(found)} others tried\n")
    for title, column in (("in all", 2), ("on the event loop", 1)):
        print(f"{'the worst, ' + title:<76}{'loop':>10}{'in all':>10}{'ratio':>8}")
        for row in sorted(found, key=lambda row: -float(row[column]))[: options.top]:
            name, loop, whole = row
            print(f"{name:<76}{loop:>7.2f} ms{whole:>7.2f} ms{(loop, whole)[column - 1] / base:>8.1f}")
        print()


if __name__ == "__main__":
    main()
