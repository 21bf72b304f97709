"""The floor: grpc.aio with nothing behind it, answering by the model's name as the upstream does.

`paced-N-MS` writes one message each MS milliseconds, `instant-N` N messages as fast as they go,
`merged-N-K` the same chunks K to a message, and Generate answers a canned body.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time

import grpc
import uvloop

_SERVICE = "llmgateway.v1.GenerationService"
_SCRIPT = re.compile(rb"(paced|instant|merged|unary)-(\d+)(?:-(\d+))?")
_FINISH = b"\x22\x02\x08\x01"
_PAD = b" abcdefgh"


def _field(number: int, value: bytes) -> bytes:
    size = len(value)
    prefix = bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
    return bytes((number << 3 | 2,)) + prefix + value


def _message(first: int, count: int) -> bytes:
    now = time.monotonic_ns() // 1000
    text = b"".join(b"@%d:%d%b" % (first + n, now, _PAD) for n in range(count))
    return _field(1, _field(1, text))


async def _stream(request: bytes, context: grpc.aio.ServicerContext) -> None:
    found = _SCRIPT.search(request)
    assert found
    kind, chunks, argument = found[1], int(found[2]), int(found[3] or 1)
    if kind == b"paced":
        due = asyncio.get_running_loop().time()
        for number in range(chunks):
            await context.write(_message(number, 1))
            due += argument / 1000
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
    else:
        for number in range(0, chunks, argument):
            await context.write(_message(number, min(argument, chunks - number)))
    await context.write(_FINISH)


async def _unary(request: bytes, context: grpc.aio.ServicerContext) -> bytes:
    del request, context
    return _field(3, _field(1, b"a" * 100)) + b"\x22\x02\x08\x01"


async def _main() -> None:
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    methods = {
        "GenerateStream": grpc.unary_stream_rpc_method_handler(_stream),
        "Generate": grpc.unary_unary_rpc_method_handler(_unary),
    }
    handler = grpc.method_handlers_generic_handler(_SERVICE, methods)
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"ready on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    sys.exit(uvloop.run(_main()))
