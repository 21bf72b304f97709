"""The openai_responses dialect as a plug-in, and the account that its calls are made for."""

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from llmgateway_server.domain.errors import Reason
from llmgateway_server.ports.provider import ProviderSettings
from llmgateway_server.providers.dialect import Dialect, DialectPlugin, WireError
from llmgateway_server.providers.openai_responses import (
    DIALECT,
    OpenAIResponses,
    OpenAIResponsesOptions,
)
from llmgateway_server.providers.openai_responses.stream import ResponseStream

LOCAL = "http://127.0.0.1:8080/v1"
PLUGIN: DialectPlugin = DIALECT
WHOLE: Dialect = OpenAIResponses("up", LOCAL, OpenAIResponsesOptions())


def test_it_streams_events_and_embeds_as_many_texts_as_openai_takes() -> None:
    assert isinstance(WHOLE.decoder(), ResponseStream)
    assert (WHOLE.media_type, WHOLE.embedding_batch) == ("text/event-stream", 2048)


def test_no_body_is_a_count() -> None:
    with pytest.raises(WireError) as raised:
        WHOLE.read_count(b'{"input_tokens": 7}')
    assert raised.value.failure.reason is Reason.PROVIDER_PROTOCOL_ERROR


class OtherOptions(BaseModel):
    """Those of another dialect."""


def test_options_of_another_dialect_are_refused() -> None:
    assert PLUGIN.options is OpenAIResponsesOptions
    settings = ProviderSettings("up", LOCAL, None, OtherOptions())
    with pytest.raises(TypeError, match=r"providers\.up"):
        PLUGIN.create(settings)


@pytest.mark.parametrize(
    "options",
    [{"organisation": "x"}, {"organization": "a\r\nx-evil: 1"}, {"api_version": "a&b=c"}],
)
def test_options_that_no_request_can_carry_are_refused(options: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        OpenAIResponsesOptions.model_validate(options)


def test_every_option_is_described() -> None:
    assert all(field.description for field in OpenAIResponsesOptions.model_fields.values())


@pytest.mark.parametrize(
    ("options", "key", "expected"),
    [
        ({}, "k", {"authorization": "Bearer k"}),
        ({}, "", {}),
        ({"auth": "api-key"}, "k", {"api-key": "k"}),
        ({"auth": "api-key"}, "", {}),
        (
            {"organization": "org-1", "project": "proj_2"},
            "k",
            {
                "authorization": "Bearer k",
                "openai-organization": "org-1",
                "openai-project": "proj_2",
            },
        ),
    ],
)
def test_the_key_goes_into_the_header_that_the_server_reads(
    options: dict[str, Any], key: str, expected: dict[str, str]
) -> None:
    dialect = OpenAIResponses("up", LOCAL, OpenAIResponsesOptions(**options))
    assert dict(dialect.headers(key)) == expected
