"""The dialect as the gateway finds it: its options, and the provider that it makes."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers
from llmgateway_server.ports.provider import ProviderSettings
from llmgateway_server.providers.anthropic import DIALECT, Anthropic, AnthropicOptions
from llmgateway_server.providers.dialect import Dialect, DialectPlugin
from llmgateway_server.providers.http_provider import HttpProvider
from support.chat_provider import KEY, NOW, ScriptedBody, ScriptedTransport, response

PLUGIN: DialectPlugin = DIALECT
BASE_URL = "https://api.anthropic.com/v1"
ASK = GenerationRequest("", (Message(Role.USER, (TextPart("Hi"),)),))


class OtherOptions(BaseModel):
    """Those of another dialect."""


def test_options_of_another_dialect_are_refused() -> None:
    settings = ProviderSettings("claude", BASE_URL, None, OtherOptions())
    with pytest.raises(TypeError, match=r"providers\.claude"):
        DIALECT.create(settings)


@pytest.mark.parametrize(
    "options",
    [
        {"betas": ["x"]},
        {"beta": ["a\r\nx-evil: 1"]},
        {"beta": ["a,b"]},
        {"auth": "api-key"},
        {"default_max_tokens": 0},
    ],
)
def test_options_that_no_request_can_carry_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AnthropicOptions.model_validate(options)


def test_every_option_is_described() -> None:
    assert all(field.description for field in AnthropicOptions.model_fields.values())


def provider_over(transport: ScriptedTransport, options: AnthropicOptions) -> HttpProvider:
    settings = ProviderSettings("claude", BASE_URL, lambda: KEY, options)

    def dialect(_: ProviderSettings) -> Dialect:
        return Anthropic("claude", BASE_URL, options)

    return HttpProvider(settings, dialect, transport=transport, now=lambda: NOW)


async def refusal(status: int, body: bytes) -> tuple[GatewayError, ScriptedTransport]:
    transport = ScriptedTransport(response(ScriptedBody([body]), status))
    with pytest.raises(GatewayError) as raised:
        await provider_over(transport, AnthropicOptions()).open(ASK, "m", Timers())
    return raised.value, transport


async def test_a_call_is_sent_to_its_address_with_its_headers() -> None:
    _, transport = await refusal(529, b"")
    (request,) = transport.requests
    assert str(request.url) == f"{BASE_URL}/messages"
    assert request.headers["x-api-key"] == KEY
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in request.headers


@pytest.mark.parametrize("status", [400, 401, 403, 429, 500, 529])
async def test_an_echoed_key_is_in_no_error(status: int) -> None:
    body = (
        b'{"type":"error","error":{"type":"t %(key)s","message":"invalid x-api-key: %(key)s"}}'
        % {b"key": KEY.encode()}
    )
    error, _ = await refusal(status, body)
    assert KEY[:9] not in f"{error!r} {error.message} {error.metadata} {error.attempts}"


async def test_an_overload_is_the_providers() -> None:
    body = b'{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}'
    error, _ = await refusal(529, body)
    assert error.reason is Reason.PROVIDER_OVERLOADED
    assert error.attempts[0].provider_code == "overloaded_error"
