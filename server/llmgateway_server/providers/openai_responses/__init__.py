"""OpenAI's Responses, and the servers that speak it (Azure, xAI, OpenRouter, llama.cpp, ...)."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers import openai_embeddings
from llmgateway_server.providers.dialect import Decoder, Failure, HttpCall, WireError
from llmgateway_server.providers.http_plugin import HttpDialectPlugin
from llmgateway_server.providers.openai_account import account_headers, is_openai
from llmgateway_server.providers.openai_errors import failure_of_response
from llmgateway_server.providers.openai_responses.options import OpenAIResponsesOptions
from llmgateway_server.providers.openai_responses.request import (
    SAMPLING_WITHOUT_WORD,
    RequestWriter,
)
from llmgateway_server.providers.openai_responses.stream import ResponseStream, decode_body

__all__ = ["DIALECT", "OpenAIResponses", "OpenAIResponsesOptions"]


class OpenAIResponses:
    """Responses as one provider speaks it; see `Dialect`."""

    media_type: Final = "text/event-stream"
    embedding_batch: Final = openai_embeddings.MAX_INPUTS
    refused: Final = frozenset(f"sampling.{name}" for name in SAMPLING_WITHOUT_WORD)

    def __init__(self, provider: str, base_url: str, options: OpenAIResponsesOptions) -> None:
        self._provider = provider
        self._writer = RequestWriter(provider, base_url)
        self._options = options
        self._is_openai = is_openai(base_url)
        self._has_deployments = bool(options.api_version) and not base_url.rstrip("/").endswith(
            "/v1"
        )

    def headers(self, api_key: str) -> tuple[tuple[str, str], ...]:
        """The credential and the account."""
        return account_headers(self._options, api_key)

    def build(
        self, request: GenerationRequest, model: str, capabilities: Capabilities, *, stream: bool
    ) -> HttpCall:
        """The call; the model is in its body, at Azure too."""
        body = self._writer.write(request, model, capabilities, stream=stream)
        return HttpCall(self._path("/responses"), body)

    def decoder(self) -> Decoder:
        """A decoder for one streamed answer."""
        return ResponseStream()

    def decode_body(self, body: bytes) -> list[ProviderEvent]:
        """The events of a whole answer."""
        return decode_body(body)

    def failure(self, status: int, body: bytes) -> Failure:
        """Classifies a refusal."""
        return failure_of_response(status, body)

    def probe(self) -> HttpCall:
        """Asks for the list of models."""
        return HttpCall(self._path("/models"), method="GET")

    def count_call(
        self, request: GenerationRequest, model: str, capabilities: Capabilities
    ) -> HttpCall | None:
        """None: tokens are not counted by this dialect's servers."""
        return None

    def read_count(self, body: bytes) -> int:
        """Nothing asks for a count, so no body is one."""
        raise WireError(Failure(Reason.PROVIDER_PROTOCOL_ERROR, "its answer is no count"))

    def embed_call(self, request: EmbeddingRequest, model: str) -> HttpCall:
        """OpenAI's embeddings, which servers have beside Responses."""
        path = "/embeddings"
        if self._has_deployments:
            path = f"/deployments/{quote(model, safe='')}{path}"
        body = openai_embeddings.embeddings_body(
            request, model, self._provider, is_openai=self._is_openai
        )
        return HttpCall(self._path(path), body)

    def read_embeddings(self, body: bytes, count: int) -> EmbeddingAnswer:
        """The vectors of `embed_call`."""
        return openai_embeddings.read_embeddings(body, count)

    def _path(self, path: str) -> str:
        version = self._options.api_version
        return f"{path}?api-version={version}" if version else path


DIALECT = HttpDialectPlugin(OpenAIResponsesOptions, OpenAIResponses)
