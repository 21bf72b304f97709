"""The floor: grpc.aio with nothing behind it, answering by the model's name as the upstream does.

`paced-N-MS` writes one message each MS milliseconds, `instant-N` N messages as fast as they go,
`merged-N-K` the same chunks K to a message, and Generate answers a canned body. Every message is
serialised beforehand; only the time in it is filled in.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from functools import cache

import uvloop
from wire import FINISH, Context, serve, text_message, whole_answer

_SCRIPT = re.compile(rb"(paced|instant|merged)-(\d+)(?:-(\d+))?")
_NO_TIME = b"0" * 16
_ANSWER = whole_answer(b"a" * 200)


@cache
def _canned(chunks: int, size: int) -> list[bytes]:
    messages = [
        text_message(
            b"".join(
                b"@%d:%b abcdefgh" % (number, _NO_TIME)
                for number in range(first, min(first + size, chunks))
            )
        )
        for first in range(0, chunks, size)
    ]
    messages[-1] += FINISH
    return messages


async def _stream(request: bytes, context: Context) -> None:
    found = _SCRIPT.search(request)
    assert found
    kind, chunks, argument = found[1], int(found[2]), int(found[3] or 1)
    pace = argument / 1000 if kind == b"paced" else 0.0
    loop = asyncio.get_running_loop()
    due = loop.time()
    for canned in _canned(chunks, argument if kind == b"merged" else 1):
        if pace:
            await asyncio.sleep(max(0.0, due - loop.time()))
            due += pace
        now = b"%016d" % (time.monotonic_ns() // 1000)
        await context.write(canned.replace(_NO_TIME, now))


async def _unary(request: bytes, context: Context) -> bytes:
    del request, context
    return _ANSWER


if __name__ == "__main__":
    sys.exit(uvloop.run(serve(_stream, _unary)))
