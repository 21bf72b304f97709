"""Embeddings: batchEmbedContents and its answer.

Source: https://ai.google.dev/api/embeddings#method:-models.batchembedcontents.
"""

from __future__ import annotations

import struct
from typing import Final

import msgspec

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.gemini.failure import failure_in_answer
from llmgateway_server.providers.gemini.usage import reported_usage
from llmgateway_server.providers.gemini.wire import VECTORS
from llmgateway_server.providers.request_writing import Json, provider_options

# "at most 100 requests can be in one batch", as Google refuses more.
BATCH_SIZE: Final = 100

_RESERVED_OPTIONS: Final = ("model", "content", "requests", "outputDimensionality")
_OPTIONS: Final = frozenset({"taskType", "title"})


def embedding_body(request: EmbeddingRequest, resource: str, provider: str) -> bytes:
    """The JSON body; a task type comes with the provider's own options and counts for all texts.

    Raises:
        GatewayError: REQUEST_INVALID, an option is none.
    """
    shared: Json = {"model": resource}
    if request.dimensions is not None:
        shared["outputDimensionality"] = request.dimensions
    shared |= provider_options(
        request.provider_options,
        provider,
        reserved=_RESERVED_OPTIONS,
        known=_OPTIONS,
        field="provider_options_json",
    )
    requests = [{**shared, "content": {"parts": [{"text": text}]}} for text in request.inputs]
    return msgspec.json.encode({"requests": requests})


def read_embeddings(body: bytes, count: int) -> EmbeddingAnswer:
    """The vectors for `count` texts.

    Raises:
        WireError: the body is an error, or has not one vector for each text.
    """
    try:
        answer = VECTORS.decode(body)
    except (ValueError, RecursionError):
        raise _malformed("its answer holds no embeddings") from None
    if answer.error is not None:
        raise WireError(failure_in_answer(answer.error))
    vectors = [vector.values or [] for vector in answer.embeddings or ()]
    if len(vectors) != count or not all(vectors):
        raise _malformed("it sent not one embedding for each text")
    try:
        packed = tuple(struct.pack(f"<{len(values)}f", *values) for values in vectors)
    except OverflowError:
        raise _malformed("it sent an embedding of numbers beyond 32 bits") from None
    return EmbeddingAnswer(packed, reported_usage(answer.usage_metadata) or Usage())


def _malformed(message: str) -> WireError:
    return WireError(Failure(Reason.PROVIDER_PROTOCOL_ERROR, message))
