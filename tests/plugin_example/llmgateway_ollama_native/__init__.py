"""Ollama's own chat API: JSON lines instead of server-sent events.

Source: https://github.com/ollama/ollama/blob/main/docs/api.md.
"""

from __future__ import annotations

from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from llmgateway_ollama_native.stream import LineStream, decode_lines
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import MediaPart, Message, Role, TextPart
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers.dialect import Decoder, Failure, HttpCall, WireError
from llmgateway_server.providers.errors import reason_of_status
from llmgateway_server.providers.http_plugin import HttpDialectPlugin
from llmgateway_server.providers.request_writing import misplaced, said, unsupported


class OllamaOptions(BaseModel):
    """The dialect's own keys in a provider's configuration."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keep_alive: str | None = Field(None, description="How long the model stays loaded, e.g. 5m.")


class OllamaNative:
    """See `Dialect`; no state but the configuration, since all calls share it."""

    media_type = "application/x-ndjson"
    embedding_batch = 512
    refused: frozenset[str] = frozenset()

    def __init__(self, provider: str, base_url: str, options: OllamaOptions) -> None:
        del provider, base_url
        self._options = options

    def headers(self, api_key: str) -> tuple[tuple[str, str], ...]:
        """A key is needed by hosted servers only."""
        return (("authorization", f"Bearer {api_key}"),) if api_key else ()

    def build(
        self, request: GenerationRequest, model: str, capabilities: Capabilities, *, stream: bool
    ) -> HttpCall:
        """POST /api/chat."""
        del capabilities
        if request.tools:
            raise unsupported("input.tools", "tools", "this dialect sends no tools")
        sampling, output = request.sampling, request.output
        options = {
            "temperature": sampling.temperature,
            "top_p": sampling.top_p,
            "top_k": sampling.top_k,
            "seed": sampling.seed,
            "num_predict": output.max_output_tokens,
            "stop": output.stop_sequences or None,
        }
        body = {
            "model": model,
            "stream": stream,
            "messages": [_message(each, n) for n, each in enumerate(request.messages)],
            "options": said(options),
            **said({"keep_alive": self._options.keep_alive}),
        }
        return HttpCall("/api/chat", msgspec.json.encode(body))

    def decoder(self) -> Decoder:
        """For one stream."""
        return LineStream()

    def decode_body(self, body: bytes) -> list[ProviderEvent]:
        """An answer that was not streamed is one line."""
        return decode_lines(body)

    def failure(self, status: int, body: bytes) -> Failure:
        """Errors are `{"error": "text"}`."""
        try:
            message = msgspec.json.decode(body, type=dict[str, Any]).get("error")
        except (ValueError, RecursionError):
            message = None
        text = message if isinstance(message, str) else ""
        reason = Reason.MODEL_NOT_FOUND if status == 404 else reason_of_status(status)
        return Failure(reason, text)

    def probe(self) -> HttpCall:
        """The list of local models."""
        return HttpCall("/api/tags", method="GET")

    def count_call(
        self, request: GenerationRequest, model: str, capabilities: Capabilities
    ) -> HttpCall | None:
        """Ollama does not count."""
        del request, model, capabilities
        return None

    def read_count(self, body: bytes) -> int:
        """Never called, since `count_call` gives nothing."""
        del body
        raise WireError(Failure(Reason.PROVIDER_PROTOCOL_ERROR, "it does not count"))

    def embed_call(self, request: EmbeddingRequest, model: str) -> HttpCall:
        """Left out of the example."""
        del request, model
        raise unsupported("model", "embeddings", "this dialect has no embeddings")

    def read_embeddings(self, body: bytes, count: int) -> EmbeddingAnswer:
        """Never called, since `embed_call` refuses."""
        del body, count
        raise WireError(Failure(Reason.PROVIDER_PROTOCOL_ERROR, "it has no embeddings"))


def _message(message: Message, number: int) -> dict[str, Any]:
    written: dict[str, Any] = {"role": message.role.value, "content": ""}
    for index, part in enumerate(message.parts):
        field = f"input.messages[{number}].parts[{index}]"
        if isinstance(part, TextPart):
            written["content"] += part.text
        elif isinstance(part, MediaPart) and part.data is not None and message.role is Role.USER:
            # msgspec writes bytes as base64, which is what the API wants.
            written.setdefault("images", []).append(part.data)
        else:
            raise misplaced(field, part, message.role)
    return written


DIALECT = HttpDialectPlugin(OllamaOptions, OllamaNative)
