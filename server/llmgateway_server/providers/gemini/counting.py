"""Token counts: countTokens and its answer.

Source: https://ai.google.dev/api/tokens#method:-models.counttokens.
"""

from __future__ import annotations

import msgspec

from llmgateway_server.domain.errors import Reason
from llmgateway_server.providers.dialect import Failure, WireError
from llmgateway_server.providers.gemini.failure import failure_in_answer
from llmgateway_server.providers.gemini.wire import TOKEN_TOTAL
from llmgateway_server.providers.request_writing import Json


def counting_body(generation: Json, resource: str) -> bytes:
    """The JSON body: the whole request, since contents alone leave system and tools uncounted."""
    return msgspec.json.encode({"generateContentRequest": {"model": resource, **generation}})


def read_count(body: bytes) -> int:
    """How many tokens the request has.

    Raises:
        WireError: the body is an error, or no count.
    """
    try:
        answer = TOKEN_TOTAL.decode(body)
    except (ValueError, RecursionError):
        answer = None
    if answer is not None and answer.error is not None:
        raise WireError(failure_in_answer(answer.error))
    if answer is None or answer.total_tokens is None or answer.total_tokens < 0:
        raise WireError(Failure(Reason.PROVIDER_PROTOCOL_ERROR, "its answer is no token count"))
    return answer.total_tokens
