"""OpenAI's Chat Completions, and the many servers that speak it."""

from __future__ import annotations

from typing import Final
from urllib.parse import quote

from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers import openai_embeddings
from llmgateway_server.providers.dialect import Decoder, Failure, HttpCall, WireError
from llmgateway_server.providers.http_plugin import HttpDialectPlugin
from llmgateway_server.providers.openai_account import account_headers, is_openai
from llmgateway_server.providers.openai_chat.options import OpenAIChatOptions
from llmgateway_server.providers.openai_chat.request import RequestWriter, continued_text
from llmgateway_server.providers.openai_chat.stream import ChatStream, decode_body
from llmgateway_server.providers.openai_errors import failure_of_response

__all__ = ["DIALECT", "OpenAIChat", "OpenAIChatOptions"]


class OpenAIChat:
    """Chat Completions as one provider speaks it; see `Dialect`."""

    media_type: Final = "text/event-stream"
    embedding_batch: Final = openai_embeddings.MAX_INPUTS

    def __init__(self, provider: str, base_url: str, options: OpenAIChatOptions) -> None:
        self._provider = provider
        self._writer = RequestWriter(provider, base_url, options)
        self._options = options
        self._is_openai = is_openai(base_url)
        self.refused = frozenset({"sampling.top_k"} if self._is_openai else ())

    def headers(self, api_key: str) -> tuple[tuple[str, str], ...]:
        """The credential and the account."""
        return account_headers(self._options, api_key)

    def build(
        self, request: GenerationRequest, model: str, capabilities: Capabilities, *, stream: bool
    ) -> HttpCall:
        """The call; Azure's deployment surface has the model in its path."""
        body = self._writer.write(request, model, capabilities, stream=stream)
        way = self._options.continuation
        is_echoed = way == "echoed_prefix" or (way == "unasked" and not stream)
        echo = continued_text(request) if is_echoed else ""
        return HttpCall(self._path("/chat/completions", model), body, echo=echo)

    def decoder(self) -> Decoder:
        """A decoder for one streamed answer."""
        return ChatStream()

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
        """None: this dialect's servers count no tokens."""
        return None

    def read_count(self, body: bytes) -> int:
        """Nothing asks for a count, so no body is one."""
        raise WireError(Failure(Reason.PROVIDER_PROTOCOL_ERROR, "its answer is no count"))

    def embed_call(self, request: EmbeddingRequest, model: str) -> HttpCall:
        """OpenAI's embeddings."""
        if self._options.end_user_field != "user":
            # There is no other name for it here, and a server without it refuses it.
            request = replace(request, end_user_id="")
        body = openai_embeddings.embeddings_body(
            request, model, self._provider, is_openai=self._is_openai
        )
        return HttpCall(self._path("/embeddings", model), body)

    def read_embeddings(self, body: bytes, count: int) -> EmbeddingAnswer:
        """The vectors of `embed_call`."""
        return openai_embeddings.read_embeddings(body, count)

    def _path(self, path: str, deployment: str = "") -> str:
        version = self._options.api_version
        if not version:
            return path
        prefix = f"/deployments/{quote(deployment, safe='')}" if deployment else ""
        return f"{prefix}{path}?api-version={version}"


DIALECT = HttpDialectPlugin(OpenAIChatOptions, OpenAIChat)
