"""What a generation request becomes on the wire of Responses."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.content import MediaPart, Message, Part, Role, TextPart
from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ReasoningEffort,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
    ToolMode,
)
from llmgateway_server.providers.openai_responses import OpenAIResponses, OpenAIResponsesOptions

OPENAI = "https://api.openai.com/v1"
LOCAL = "http://127.0.0.1:8080/v1"
UNKNOWN = Capabilities()
ASK = GenerationRequest("", (Message(Role.USER, (TextPart("Hi"),)),))
NO_PARAMETERS = {"type": "object", "properties": {}}


def dialect(base_url: str = LOCAL, **options: Any) -> OpenAIResponses:
    return OpenAIResponses("up", base_url, OpenAIResponsesOptions(**options))


def body(
    request: GenerationRequest = ASK,
    *,
    base_url: str = LOCAL,
    stream: bool = True,
    capabilities: Capabilities = UNKNOWN,
) -> dict[str, Any]:
    call = dialect(base_url).build(request, "tiny", capabilities, stream=stream)
    assert (call.path, call.method) == ("/responses", "POST")
    written: dict[str, Any] = json.loads(call.body)
    return written


def rejected(request: GenerationRequest, *, base_url: str = LOCAL) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        body(request, base_url=base_url)
    return raised.value


def test_a_bare_question_is_stored_nowhere_and_says_nothing_more() -> None:
    asked: dict[str, Any] = {
        "model": "tiny",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hi"}],
            }
        ],
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    assert body(stream=False) == asked
    assert body(stream=True) == {**asked, "stream": True}


def test_every_parameter_goes_by_its_name() -> None:
    request = replace(
        ASK,
        sampling=Sampling(temperature=0.7, top_p=0.9),
        output=Output(
            max_output_tokens=64,
            reasoning_effort=ReasoningEffort.XHIGH,
            include_reasoning=True,
            response_format=ResponseFormat.JSON_OBJECT,
        ),
        end_user_id="user-7",
    )
    written = body(request, stream=False)
    for name in ("model", "input", "store", "include"):
        del written[name]
    assert written == {
        "temperature": 0.7,
        "top_p": 0.9,
        "max_output_tokens": 64,
        "reasoning": {"effort": "xhigh", "summary": "auto"},
        "text": {"format": {"type": "json_object"}},
        "safety_identifier": "user-7",
    }


def test_zero_is_said() -> None:
    assert body(replace(ASK, sampling=Sampling(temperature=0.0)))["temperature"] == 0.0


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        (Output(reasoning_effort=ReasoningEffort.NONE), {"effort": "none"}),
        (Output(include_reasoning=True), {"summary": "auto"}),
        (Output(), None),
    ],
)
def test_reasoning_is_asked_for_as_far_as_it_is_wanted(
    output: Output, expected: dict[str, str] | None
) -> None:
    assert body(replace(ASK, output=output)).get("reasoning") == expected


def test_a_model_that_does_not_reason_is_not_asked_to_show_or_keep_it() -> None:
    request = replace(ASK, output=Output(include_reasoning=True))
    written = body(request, capabilities=Capabilities(reasoning=False))
    assert "include" not in written
    assert "reasoning" not in written
    assert written["store"] is False


@pytest.mark.parametrize(
    ("sampling", "output", "field"),
    [
        (Sampling(top_k=1), Output(), "input.sampling.top_k"),
        (Sampling(seed=0), Output(), "input.sampling.seed"),
        (Sampling(frequency_penalty=0.0), Output(), "input.sampling.frequency_penalty"),
        (Sampling(presence_penalty=0.5), Output(), "input.sampling.presence_penalty"),
        (Sampling(), Output(stop_sequences=("END",)), "input.output.stop_sequences"),
    ],
)
def test_what_has_no_word_here_is_refused_and_named(
    sampling: Sampling, output: Output, field: str
) -> None:
    error = rejected(replace(ASK, sampling=sampling, output=output))
    assert error.reason is Reason.CAPABILITY_UNSUPPORTED
    assert dict(error.metadata) == {"capability": field.rpartition(".")[2], "field": field}


def test_a_schema_is_sent_as_it_was_written() -> None:
    schema = '{"type":"object", "properties":{"n":{"const":12345678901234567890.10}}}'
    output = Output(response_format=ResponseFormat.JSON_SCHEMA, response_schema_json=schema)
    call = dialect().build(replace(ASK, output=output), "tiny", UNKNOWN, stream=True)
    assert schema.encode() in call.body
    sent = json.loads(call.body)["text"]["format"]
    assert (sent["type"], sent["name"], sent["strict"]) == ("json_schema", "response", True)


def test_plain_text_needs_no_format() -> None:
    assert "text" not in body(replace(ASK, output=Output(response_format=ResponseFormat.TEXT)))


def test_a_schema_that_is_no_object_is_refused() -> None:
    output = Output(response_format=ResponseFormat.JSON_SCHEMA, response_schema_json="[]")
    error = rejected(replace(ASK, output=output))
    assert error.violations[0].field == "input.output.response_schema_json"


def test_tools_are_flat_and_not_made_strict() -> None:
    schema = '{"type":"object","properties":{"city":{"type":"string"}}}'
    written = body(replace(ASK, tools=(Tool("weather", "Tells it.", schema), Tool("now"))))
    assert written["tools"] == [
        {
            "type": "function",
            "name": "weather",
            "description": "Tells it.",
            "parameters": json.loads(schema),
            "strict": False,
        },
        {"type": "function", "name": "now", "parameters": NO_PARAMETERS, "strict": False},
    ]


def test_a_broken_tool_schema_is_refused_by_its_place() -> None:
    error = rejected(replace(ASK, tools=(Tool("a"), Tool("b", parameters_schema_json="nope"))))
    assert error.violations[0].field == "input.tools[1].parameters_schema_json"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(), {}),
        (ToolChoice(mode=ToolMode.AUTO), {"tool_choice": "auto"}),
        (ToolChoice(mode=ToolMode.NONE), {"tool_choice": "none"}),
        (ToolChoice(mode=ToolMode.REQUIRED), {"tool_choice": "required"}),
        (ToolChoice(tool_name="now"), {"tool_choice": {"type": "function", "name": "now"}}),
        (ToolChoice(parallel_tool_calls=False), {"parallel_tool_calls": False}),
    ],
)
def test_the_tool_choice_is_said(choice: ToolChoice, expected: dict[str, Any]) -> None:
    written = body(replace(ASK, tools=(Tool("now"),), tool_choice=choice))
    chosen = {k: v for k, v in written.items() if k in {"tool_choice", "parallel_tool_calls"}}
    assert chosen == expected


@pytest.mark.parametrize("mode", [ToolMode.AUTO, ToolMode.NONE])
def test_there_is_no_choice_where_there_are_no_tools(mode: ToolMode) -> None:
    choice = ToolChoice(mode=mode, parallel_tool_calls=False)
    assert body(replace(ASK, tool_choice=choice)) == body(ASK)


@pytest.mark.parametrize("name", ["reasoning", "text"])
def test_an_option_that_is_an_object_is_added_to_ours(name: str) -> None:
    options: dict[str, dict[str, str]] = {
        "reasoning": {"summary": "detailed", "mode": "pro"},
        "text": {"verbosity": "low"},
    }
    request = replace(
        ASK,
        output=Output(
            reasoning_effort=ReasoningEffort.LOW, response_format=ResponseFormat.JSON_OBJECT
        ),
        provider_options=(("up", json.dumps({name: options[name]}).encode()),),
    )
    ours: dict[str, dict[str, Any]] = {
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_object"}},
    }
    assert body(request)[name] == ours[name] | options[name]


def test_an_option_that_should_be_an_object_is_for_the_provider_to_refuse() -> None:
    output = Output(reasoning_effort=ReasoningEffort.LOW)
    request = replace(ASK, output=output, provider_options=(("up", b'{"reasoning": "no"}'),))
    assert body(request)["reasoning"] == "no"


def test_the_providers_own_options_come_last_and_others_are_ignored() -> None:
    request = replace(
        ASK,
        sampling=Sampling(temperature=1.0),
        provider_options=(("other", b'{"x": 1}'), ("up", b'{"temperature": 0.5, "min_p": 0.05}')),
    )
    written = body(request)
    assert (written["temperature"], written["min_p"]) == (0.5, 0.05)
    assert "x" not in written


def test_openai_is_sent_no_option_that_it_does_not_have() -> None:
    request = replace(ASK, provider_options=(("up", b'{"min_p": 0.05}'),))
    error = rejected(request, base_url=OPENAI)
    assert error.reason is Reason.REQUEST_INVALID
    assert "min_p" in error.message
    known = replace(ASK, provider_options=(("up", b'{"truncation": "auto"}'),))
    assert body(known, base_url=OPENAI)["truncation"] == "auto"


@pytest.mark.parametrize(
    "name",
    [
        *("model", "input", "stream", "background"),
        *("store", "include", "previous_response_id", "conversation"),
    ],
)
def test_options_cannot_change_who_is_asked_or_what_is_kept(name: str) -> None:
    options = json.dumps({name: True}).encode()
    error = rejected(replace(ASK, provider_options=(("up", options),)))
    assert error.violations[0].field == "input.provider_options_json"
    assert name in error.violations[0].description


@pytest.mark.parametrize("role", [Role.SYSTEM, Role.USER])
def test_a_prompt_of_several_texts_keeps_them_apart(role: Role) -> None:
    request = replace(ASK, messages=(Message(role, (TextPart("a"), TextPart("b"))),))
    assert body(request)["input"] == [
        {
            "type": "message",
            "role": role.value,
            "content": [
                {"type": "input_text", "text": "a"},
                {"type": "input_text", "text": "b"},
            ],
        }
    ]


def test_images_go_as_data_or_as_their_url() -> None:
    uri = "https://example.com/cat.png"
    parts: tuple[Part, ...] = (
        MediaPart("image/png", data=b"\x89PNG"),
        MediaPart("image/png", uri=uri),
        MediaPart("", uri=uri),
    )
    sent = body(replace(ASK, messages=(Message(Role.USER, parts),)))["input"][0]["content"]
    assert sent == [
        {"type": "input_image", "image_url": "data:image/png;base64,iVBORw=="},
        {"type": "input_image", "image_url": uri},
        {"type": "input_image", "image_url": uri},
    ]


@pytest.mark.parametrize("uri", ["file:///etc/passwd", "gs://bucket/cat.png", ""])
def test_an_image_that_the_provider_cannot_fetch_is_refused(uri: str) -> None:
    image = MediaPart("image/png", uri=uri)
    error = rejected(replace(ASK, messages=(Message(Role.USER, (image,)),)))
    assert error.violations[0].field == "input.messages[0].parts[0].media.uri"


def test_media_other_than_images_are_beyond_this_dialect() -> None:
    audio = MediaPart("audio/wav", data=b"RIFF")
    error = rejected(replace(ASK, messages=(Message(Role.USER, (TextPart("?"), audio)),)))
    assert error.reason is Reason.CAPABILITY_UNSUPPORTED
    assert ("field", "input.messages[0].parts[1].media.mime_type") in error.metadata


@pytest.mark.parametrize(
    ("base_url", "options", "paths"),
    [
        (OPENAI, {}, ("/responses", "/models", "/embeddings")),
        (
            "https://res.openai.azure.com/openai",
            {"api_version": "2025-04-01-preview"},
            (
                "/responses?api-version=2025-04-01-preview",
                "/models?api-version=2025-04-01-preview",
                "/deployments/my%20gpt%2F4/embeddings?api-version=2025-04-01-preview",
            ),
        ),
        (
            "https://res.openai.azure.com/openai/v1/",
            {"api_version": "preview"},
            (
                "/responses?api-version=preview",
                "/models?api-version=preview",
                "/embeddings?api-version=preview",
            ),
        ),
    ],
)
def test_calls_go_where_the_server_expects_them(
    base_url: str, options: dict[str, Any], paths: tuple[str, ...]
) -> None:
    up = dialect(base_url, **options)
    built = up.build(ASK, "my gpt/4", UNKNOWN, stream=True)
    embed = up.embed_call(EmbeddingRequest("", ("a",)), "my gpt/4")
    assert (built.path, up.probe().path, embed.path) == paths
    assert (up.probe().method, embed.method) == ("GET", "POST")


def test_tokens_are_not_counted() -> None:
    assert dialect().count_call(ASK, "tiny", UNKNOWN) is None
