"""Google's Gemini API: generateContent as Google AI Studio serves it.

The base URL is https://generativelanguage.googleapis.com/v1beta. The key goes into a header and
never into the URL, where Google takes it too: URLs are logged.

Source: https://ai.google.dev/api.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

import msgspec

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers.dialect import Decoder, Failure, HttpCall
from llmgateway_server.providers.gemini.counting import counting_body, read_count
from llmgateway_server.providers.gemini.embeddings import (
    BATCH_SIZE,
    embedding_body,
    read_embeddings,
)
from llmgateway_server.providers.gemini.failure import failure_of_response
from llmgateway_server.providers.gemini.options import GeminiOptions
from llmgateway_server.providers.gemini.request import RequestWriter
from llmgateway_server.providers.gemini.stream import GeminiStream, decode_body
from llmgateway_server.providers.http_plugin import HttpDialectPlugin

__all__ = ["DIALECT", "Gemini", "GeminiOptions"]

_COLLECTIONS: Final = ("models/", "tunedModels/")


class Gemini:
    """generateContent as one provider speaks it; see `Dialect`."""

    media_type = "text/event-stream"
    embedding_batch = BATCH_SIZE
    refused: Final[frozenset[str]] = frozenset()

    def __init__(self, provider: str, base_url: str, options: GeminiOptions) -> None:
        del options
        self._provider = provider
        self._writer = RequestWriter(provider, base_url)

    def headers(self, api_key: str) -> tuple[tuple[str, str], ...]:
        """The credential."""
        return (("x-goog-api-key", api_key),) if api_key else ()

    def build(
        self, request: GenerationRequest, model: str, capabilities: Capabilities, *, stream: bool
    ) -> HttpCall:
        """The call; whether it streams is part of the path, and so is the model."""
        method = "streamGenerateContent?alt=sse" if stream else "generateContent"
        body = self._writer.write(request, model, capabilities)
        return HttpCall(_path(model, method), msgspec.json.encode(body))

    def decoder(self) -> Decoder:
        """A decoder for one streamed answer."""
        return GeminiStream()

    def decode_body(self, body: bytes) -> list[ProviderEvent]:
        """The events of a whole answer."""
        return decode_body(body)

    def failure(self, status: int, body: bytes) -> Failure:
        """Classifies a refusal."""
        return failure_of_response(status, body)

    def probe(self) -> HttpCall:
        """Lists one model."""
        return HttpCall("/models?pageSize=1", method="GET")

    def count_call(
        self, request: GenerationRequest, model: str, capabilities: Capabilities
    ) -> HttpCall:
        """Asks for the tokens of the whole request."""
        generation = self._writer.write(request, model, capabilities)
        return HttpCall(_path(model, "countTokens"), counting_body(generation, _resource(model)))

    def read_count(self, body: bytes) -> int:
        """The number of tokens."""
        return read_count(body)

    def embed_call(self, request: EmbeddingRequest, model: str) -> HttpCall:
        """Asks for all texts at once, `embedding_batch` of them at most."""
        body = embedding_body(request, _resource(model), self._provider)
        return HttpCall(_path(model, "batchEmbedContents"), body)

    def read_embeddings(self, body: bytes, count: int) -> EmbeddingAnswer:
        """The vectors."""
        return read_embeddings(body, count)


def _resource(model: str) -> str:
    """The model's full name, which a caller may give as it is."""
    return model if model.startswith(_COLLECTIONS) else f"models/{model}"


def _path(model: str, method: str) -> str:
    collection, _, name = _resource(model).partition("/")
    return f"/{collection}/{quote(name, safe='')}:{method}"


DIALECT = HttpDialectPlugin(GeminiOptions, Gemini)
