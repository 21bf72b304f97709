"""What a generation request becomes on the wire of Chat Completions, for tests of its fields."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers.openai_chat import OpenAIChat, OpenAIChatOptions

LOCAL = "http://127.0.0.1:8080/v1"
ASK = GenerationRequest("", (Message(Role.USER, (TextPart("Hi"),)),))


def body(
    request: GenerationRequest = ASK,
    *,
    base_url: str = LOCAL,
    stream: bool = True,
    capabilities: Capabilities = Capabilities(),  # noqa: B008 - frozen
    **options: Any,
) -> dict[str, Any]:
    dialect = OpenAIChat("up", base_url, OpenAIChatOptions(**options))
    call = dialect.build(request, "tiny", capabilities, stream=stream)
    assert call.path == "/chat/completions"
    written: dict[str, Any] = json.loads(call.body)
    return written


def messages(*conversation: Message, **options: Any) -> list[dict[str, Any]]:
    written = body(replace(ASK, messages=conversation), **options)
    sent: list[dict[str, Any]] = written["messages"]
    return sent


def rejected(request: GenerationRequest, *, base_url: str = LOCAL) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        body(request, base_url=base_url)
    return raised.value
