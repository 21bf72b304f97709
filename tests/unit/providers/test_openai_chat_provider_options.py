"""Provider options: OpenAI's can be known, a compatible server's cannot."""

import json

import pytest

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.providers.openai_chat.options import OpenAIChatOptions
from llmgateway_server.providers.openai_chat.request import RequestWriter

ASK = GenerationRequest(
    "up/m",
    (Message(Role.USER, (TextPart("hi"),)),),
    provider_options=(("up", b'{"verbosity": "low", "min_p": 0.1}'),),
)


def test_an_option_that_openai_does_not_have_is_refused_and_named() -> None:
    writer = RequestWriter("up", "https://api.openai.com/v1", OpenAIChatOptions())
    with pytest.raises(GatewayError, match="min_p") as caught:
        writer.write(ASK, "m", Capabilities(), stream=True)
    assert caught.value.reason is Reason.REQUEST_INVALID
    assert caught.value.violations[0].field == "input.provider_options_json"


def test_a_compatible_server_is_sent_what_it_alone_can_judge() -> None:
    writer = RequestWriter("up", "http://127.0.0.1:8080/v1", OpenAIChatOptions())
    assert json.loads(writer.write(ASK, "m", Capabilities(), stream=True))["min_p"] == 0.1
