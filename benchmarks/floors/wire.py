"""What both floors need of the contract's wire format, and how they are served."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc

Context = grpc.aio.ServicerContext[bytes, bytes]
_SERVICE = "llmgateway.v1.GenerationService"

# Finish{reason: STOP}, field 4 of GenerateStreamResponse and of GenerateResponse alike.
FINISH = b"\x22\x02\x08\x01"


def field(number: int, value: bytes) -> bytes:
    """A length-delimited protobuf field."""
    head, size = bytes((number << 3 | 2,)), len(value)
    while size > 127:
        head += bytes((size & 127 | 128,))
        size >>= 7
    return head + bytes((size,)) + value


def text_message(text: bytes) -> bytes:
    """GenerateStreamResponse{deltas: [{text}]}."""
    return field(1, field(1, text))


def whole_answer(text: bytes) -> bytes:
    """GenerateResponse{parts: [{text}], finish}."""
    return field(3, field(1, text)) + FINISH


async def serve(
    stream: Callable[[bytes, Context], Awaitable[None]],
    unary: Callable[[bytes, Context], Awaitable[bytes]],
) -> None:
    """Serves both methods as raw bytes, on a free port that is printed."""
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    methods = {
        "GenerateStream": grpc.unary_stream_rpc_method_handler(stream),
        "Generate": grpc.unary_unary_rpc_method_handler(unary),
    }
    handler = grpc.method_handlers_generic_handler(_SERVICE, methods)
    server.add_generic_rpc_handlers((handler,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"ready on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()
