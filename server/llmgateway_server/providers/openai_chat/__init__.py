"""OpenAI's Chat Completions, and the many servers that speak it."""

from __future__ import annotations

from urllib.parse import quote

from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.ports.provider import Provider
from llmgateway_server.providers.dialect import Decoder, Failure, HttpCall, ProviderSettings
from llmgateway_server.providers.http_provider import HttpProvider
from llmgateway_server.providers.openai_chat.failure import failure_of_response
from llmgateway_server.providers.openai_chat.options import OpenAIChatOptions
from llmgateway_server.providers.openai_chat.request import RequestWriter
from llmgateway_server.providers.openai_chat.stream import ChatStream, decode_body

__all__ = ["DIALECT", "OpenAIChat", "OpenAIChatOptions"]


class OpenAIChat:
    """Chat Completions as one provider speaks it; see `Dialect`."""

    def __init__(self, provider: str, base_url: str, options: OpenAIChatOptions) -> None:
        self._writer = RequestWriter(provider, base_url, options)
        self._options = options

    def headers(self, api_key: str) -> tuple[tuple[str, str], ...]:
        """The credential in the header that the server reads, and whose account it is."""
        options = self._options
        headers = {
            "authorization": f"Bearer {api_key}" if options.auth == "bearer" else "",
            "api-key": api_key if options.auth == "api-key" else "",
            "openai-organization": options.organization or "",
            "openai-project": options.project or "",
        }
        if not api_key:
            del headers["authorization"]
        return tuple((name, value) for name, value in headers.items() if value)

    def build(self, request: GenerationRequest, model: str, *, stream: bool) -> HttpCall:
        """The call; Azure's deployment surface has the model in its path."""
        path = "/chat/completions"
        if self._options.api_version:
            deployment = quote(model, safe="")
            path = f"/deployments/{deployment}{path}?api-version={self._options.api_version}"
        return HttpCall(path, self._writer.write(request, model, stream=stream))

    def decoder(self) -> Decoder:
        """A decoder for one streamed answer."""
        return ChatStream()

    def decode_body(self, body: bytes) -> list[ProviderEvent]:
        """The events of a whole answer."""
        return decode_body(body)

    def failure(self, status: int, body: bytes) -> Failure:
        """Classifies a refusal."""
        return failure_of_response(status, body)


class _Plugin:
    """The entry in the group `llmgateway.dialects`."""

    options = OpenAIChatOptions

    def create(self, settings: ProviderSettings) -> Provider:
        """A provider that speaks Chat Completions.

        Raises:
            TypeError: the options are another dialect's.
            ValueError: the key cannot be sent in a header.
        """
        if not isinstance(settings.options, OpenAIChatOptions):
            raise TypeError(f"providers.{settings.name}: not the options of openai_chat")
        dialect = OpenAIChat(settings.name, settings.base_url, settings.options)
        return HttpProvider(settings, dialect)


DIALECT = _Plugin()
