"""OpenAI's embeddings, which servers of both its chat and its Responses API offer beside them.

Source: https://platform.openai.com/docs/api-reference/embeddings.
"""

from __future__ import annotations

import binascii
import struct
from typing import Any, Final

import msgspec
from msgspec import Struct

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.openai_errors import failure_in_answer
from llmgateway_server.providers.request_writing import Json, provider_options, said
from llmgateway_server.providers.token_counts import count as count_of
from llmgateway_server.providers.token_counts import fields_of

# Texts that one call may embed.
MAX_INPUTS: Final = 2048

_BOM: Final = b"\xef\xbb\xbf"
_FLOAT: Final = 4
_RESERVED_OPTIONS: Final = ("model", "input")
_OPENAI_OPTIONS: Final = frozenset({"dimensions", "encoding_format", "user"})


class _Embedding(Struct, gc=False):
    """A vector: its numbers, or the base64 of its packed little-endian f32."""

    embedding: str | list[float]
    index: int | None = None


class _Body(Struct, gc=False):
    data: list[_Embedding] | None = None
    usage: Any = None
    error: Any = None


_BODY: Final = msgspec.json.Decoder(_Body)


def embeddings_body(
    request: EmbeddingRequest, model: str, provider: str, *, is_openai: bool
) -> bytes:
    """The JSON body that asks `provider` for embeddings.

    Raises:
        GatewayError: REQUEST_INVALID, the options for this provider cannot be sent.
    """
    body: Json = {
        "model": model,
        "input": request.inputs,
        # A quarter of the bytes; OpenAI's own SDK asks so, and servers that cannot send numbers.
        "encoding_format": "base64",
        **said({"dimensions": request.dimensions, "user": request.end_user_id or None}),
    }
    known = _OPENAI_OPTIONS if is_openai else None
    body.update(
        provider_options(
            request.provider_options,
            provider,
            reserved=_RESERVED_OPTIONS,
            known=known,
            field="provider_options_json",
        )
    )
    return msgspec.json.encode(body)


def read_embeddings(body: bytes, count: int) -> EmbeddingAnswer:
    """The vectors for `count` texts, in the texts' order.

    Raises:
        WireError: the body is an error, or has not one vector for each text.
    """
    body = body.removeprefix(_BOM)
    try:
        answer = _BODY.decode(body)
    except (ValueError, RecursionError):
        raise _malformed("its answer holds no embeddings") from None
    if answer.error:
        raise WireError(failure_in_answer(body))
    if answer.data is None:
        raise _malformed("its answer holds no embeddings")
    vectors: list[bytes] = [b""] * count
    for place, item in enumerate(answer.data):
        index = place if item.index is None else item.index
        if not 0 <= index < count or vectors[index]:
            raise _malformed("its embeddings are not those of the texts")
        vectors[index] = _packed(item.embedding)
    if not all(vectors):
        raise _malformed(f"it embedded {len(answer.data)} of {count} texts")
    return EmbeddingAnswer(tuple(vectors), _usage(answer.usage))


def _packed(embedding: str | list[float]) -> bytes:
    try:
        if isinstance(embedding, str):
            vector = binascii.a2b_base64(embedding, strict_mode=True)
        else:
            vector = struct.pack(f"<{len(embedding)}f", *embedding)
    except (ValueError, OverflowError):
        # OverflowError: a number that is none of the 32 bits that embeddings have.
        raise _malformed("one of its embeddings cannot be read") from None
    if not vector or len(vector) % _FLOAT:
        raise _malformed("one of its embeddings cannot be read")
    return vector


def _usage(usage: Any) -> Usage:
    fields = fields_of(usage)
    return Usage(
        input_token_count=count_of(fields, "prompt_tokens") or count_of(fields, "total_tokens")
    )


def _malformed(message: str) -> WireError:
    return WireError(Failure(Reason.PROVIDER_PROTOCOL_ERROR, message))
