"""Anthropic's Messages, and the servers that speak it.

Source: https://platform.claude.com/docs/en/api/messages.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers.anthropic.failure import failure_of_response
from llmgateway_server.providers.anthropic.options import AnthropicOptions
from llmgateway_server.providers.anthropic.request import SAMPLING_WITHOUT_WORD, RequestWriter
from llmgateway_server.providers.anthropic.stream import MessageStream, decode_body, decode_count
from llmgateway_server.providers.dialect import Decoder, Failure, HttpCall, WireError
from llmgateway_server.providers.http_plugin import HttpDialectPlugin
from llmgateway_server.providers.request_writing import unsupported

__all__ = ["DIALECT", "Anthropic", "AnthropicOptions"]

_VERSION: Final = "2023-06-01"
_ENDS_WITH_VERSION: Final = re.compile(r"/v\d+\w*/?$")


class Anthropic:
    """Messages as one provider speaks it; see `Dialect`.

    The base URL may end in the API's version (https://api.anthropic.com/v1) or before it
    (https://api.anthropic.com), which is how Anthropic's own clients write it.
    """

    media_type: Final = "text/event-stream"
    embedding_batch: Final = 1
    refused: Final = frozenset(f"sampling.{name}" for name in SAMPLING_WITHOUT_WORD)

    def __init__(self, provider: str, base_url: str, options: AnthropicOptions) -> None:
        has_version = _ENDS_WITH_VERSION.search(urlsplit(base_url).path)
        self._prefix = "" if has_version else "/v1"
        self._writer = RequestWriter(provider, base_url, options)
        self._provider = provider
        self._options = options

    def headers(self, api_key: str) -> tuple[tuple[str, str], ...]:
        """The API's version, the betas, and the credential in the header that the server reads."""
        headers = [("anthropic-version", _VERSION)]
        if self._options.beta:
            headers.append(("anthropic-beta", ",".join(self._options.beta)))
        if api_key and self._options.auth == "bearer":
            headers.append(("authorization", f"Bearer {api_key}"))
        elif api_key:
            headers.append(("x-api-key", api_key))
        return tuple(headers)

    def build(
        self, request: GenerationRequest, model: str, capabilities: Capabilities, *, stream: bool
    ) -> HttpCall:
        """The call of a generation."""
        body = self._writer.write(request, model, capabilities, stream=stream)
        return HttpCall(f"{self._prefix}/messages", body)

    def decoder(self) -> Decoder:
        """A decoder for one streamed answer."""
        return MessageStream()

    def decode_body(self, body: bytes) -> list[ProviderEvent]:
        """The events of a whole answer."""
        return decode_body(body)

    def failure(self, status: int, body: bytes) -> Failure:
        """Classifies a refusal."""
        return failure_of_response(status, body)

    def probe(self) -> HttpCall:
        """The list of models, as short as it gets."""
        return HttpCall(f"{self._prefix}/models?limit=1", method="GET")

    def count_call(
        self, request: GenerationRequest, model: str, capabilities: Capabilities
    ) -> HttpCall | None:
        """The call that counts a request's tokens."""
        body = self._writer.write_count(request, model, capabilities)
        return HttpCall(f"{self._prefix}/messages/count_tokens", body)

    def read_count(self, body: bytes) -> int:
        """The answer to `count_call`."""
        return decode_count(body)

    def embed_call(self, request: EmbeddingRequest, model: str) -> HttpCall:
        """Raises: Anthropic has no embeddings."""
        raise unsupported("model", "embeddings", f"{self._provider} has no embeddings")

    def read_embeddings(self, body: bytes, count: int) -> EmbeddingAnswer:
        """Raises: there is no such answer."""
        raise WireError(Failure(Reason.PROVIDER_PROTOCOL_ERROR, "its answer is no embedding"))


DIALECT = HttpDialectPlugin(AnthropicOptions, Anthropic)
