"""What a generation request becomes on the wire of generateContent, but for its messages."""

import json
from typing import Any

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Capabilities, ThinkingStyle
from llmgateway_server.domain.content import Message, Role, TextPart
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
from llmgateway_server.providers.gemini import Gemini, GeminiOptions

BASE = "https://generativelanguage.googleapis.com/v1beta"
ASK = GenerationRequest("", (Message(Role.USER, (TextPart("Hi"),)),))
UNKNOWN = Capabilities()
BUDGET = Capabilities(thinking=ThinkingStyle.BUDGET)
LEVEL = Capabilities(thinking=ThinkingStyle.LEVEL)


def body(
    request: GenerationRequest = ASK, capabilities: Capabilities = UNKNOWN, model: str = "m"
) -> dict[str, Any]:
    call = Gemini("up", BASE, GeminiOptions()).build(request, model, capabilities, stream=True)
    written: dict[str, Any] = json.loads(call.body)
    return written


def config(request: GenerationRequest, **more: Any) -> dict[str, Any]:
    said: dict[str, Any] = body(request, **more).get("generationConfig", {})
    return said


def rejected(request: GenerationRequest) -> GatewayError:
    with pytest.raises(GatewayError) as raised:
        body(request)
    return raised.value


def test_a_bare_question_says_nothing_that_was_not_said() -> None:
    assert body() == {"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]}


def test_what_google_has_no_word_for_is_left_out() -> None:
    breakpoint_ = Message(Role.USER, (TextPart("Hi", cache_breakpoint=True),))
    request = replace(ASK, messages=(breakpoint_,), end_user_id="user-7", labels=(("team", "a"),))
    assert body(request) == body()


def test_every_parameter_goes_by_its_name() -> None:
    request = replace(
        ASK,
        sampling=Sampling(
            temperature=0.7,
            top_p=0.9,
            frequency_penalty=-0.5,
            presence_penalty=0.25,
            top_k=40,
            seed=7,
        ),
        output=Output(
            max_output_tokens=64,
            stop_sequences=("END", "\n\n"),
            response_format=ResponseFormat.JSON_OBJECT,
        ),
    )
    assert config(request) == {
        "temperature": 0.7,
        "topP": 0.9,
        "topK": 40,
        "frequencyPenalty": -0.5,
        "presencePenalty": 0.25,
        "seed": 7,
        "maxOutputTokens": 64,
        "stopSequences": ["END", "\n\n"],
        "responseMimeType": "application/json",
    }


def test_zero_is_said() -> None:
    said = config(replace(ASK, sampling=Sampling(temperature=0.0, seed=0)))
    assert said == {"temperature": 0.0, "seed": 0}


def test_plain_text_needs_no_word() -> None:
    assert config(replace(ASK, output=Output(response_format=ResponseFormat.TEXT))) == {}


def test_more_than_five_stop_sequences_are_beyond_gemini() -> None:
    stops = ("a", "b", "c", "d", "e", "f")
    assert config(replace(ASK, output=Output(stop_sequences=stops[:5])))["stopSequences"]
    error = rejected(replace(ASK, output=Output(stop_sequences=stops)))
    assert error.reason is Reason.CAPABILITY_UNSUPPORTED
    assert ("field", "input.output.stop_sequences") in error.metadata


def test_a_schema_is_sent_as_it_was_written() -> None:
    schema = '{"type":"object", "properties":{"n":{"const":12345678901234567890.10}}}'
    output = Output(response_format=ResponseFormat.JSON_SCHEMA, response_schema_json=schema)
    request = replace(ASK, output=output)
    call = Gemini("up", BASE, GeminiOptions()).build(request, "m", UNKNOWN, stream=True)
    assert b'"responseJsonSchema":' + schema.encode() in call.body
    assert config(request)["responseMimeType"] == "application/json"


@pytest.mark.parametrize("schema", ["", "{", "[]", '{"a":1} ,"contents":false'])
def test_a_schema_that_is_no_object_is_refused(schema: str) -> None:
    output = Output(response_format=ResponseFormat.JSON_SCHEMA, response_schema_json=schema)
    error = rejected(replace(ASK, output=output))
    assert error.violations[0].field == "input.output.response_schema_json"


def test_tools_are_declarations() -> None:
    schema = '{"type":"object","properties":{"city":{"type":"string"}}}'
    written = body(replace(ASK, tools=(Tool("weather", "Tells it.", schema), Tool("now"))))
    assert written["tools"] == [
        {
            "functionDeclarations": [
                {
                    "name": "weather",
                    "description": "Tells it.",
                    "parametersJsonSchema": json.loads(schema),
                },
                {"name": "now"},
            ]
        }
    ]
    assert "toolConfig" not in written


def test_a_broken_tool_schema_is_refused_by_its_place() -> None:
    error = rejected(replace(ASK, tools=(Tool("a"), Tool("b", parameters_schema_json="nope"))))
    assert error.violations[0].field == "input.tools[1].parameters_schema_json"


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice(mode=ToolMode.AUTO), {"mode": "AUTO"}),
        (ToolChoice(mode=ToolMode.NONE), {"mode": "NONE"}),
        (ToolChoice(mode=ToolMode.REQUIRED), {"mode": "ANY"}),
        (ToolChoice(tool_name="now"), {"mode": "ANY", "allowedFunctionNames": ["now"]}),
        (ToolChoice(mode=ToolMode.AUTO, parallel_tool_calls=True), {"mode": "AUTO"}),
    ],
)
def test_the_tool_choice_is_said(choice: ToolChoice, expected: dict[str, Any]) -> None:
    written = body(replace(ASK, tools=(Tool("now"),), tool_choice=choice))
    assert written["toolConfig"] == {"functionCallingConfig": expected}


def test_a_choice_without_tools_is_none() -> None:
    choice = ToolChoice(mode=ToolMode.AUTO, parallel_tool_calls=False)
    assert body(replace(ASK, tool_choice=choice)) == body()


def test_one_call_at_a_time_is_beyond_gemini() -> None:
    choice = ToolChoice(parallel_tool_calls=False)
    error = rejected(replace(ASK, tools=(Tool("now"),), tool_choice=choice))
    assert error.reason is Reason.CAPABILITY_UNSUPPORTED
    assert ("field", "input.tool_choice.parallel_tool_calls") in error.metadata


EFFORTS = [
    (ReasoningEffort.NONE, 0, "MINIMAL"),
    (ReasoningEffort.MINIMAL, 1024, "MINIMAL"),
    (ReasoningEffort.LOW, 1024, "LOW"),
    (ReasoningEffort.MEDIUM, 8192, "MEDIUM"),
    (ReasoningEffort.HIGH, 24576, "HIGH"),
    (ReasoningEffort.XHIGH, 24576, "XHIGH"),
    (ReasoningEffort.MAX, 24576, "XHIGH"),
]


@pytest.mark.parametrize(("effort", "budget", "level"), EFFORTS)
def test_an_effort_is_a_budget_or_a_level(effort: ReasoningEffort, budget: int, level: str) -> None:
    request = replace(ASK, output=Output(reasoning_effort=effort))
    by_budget = {"thinkingConfig": {"thinkingBudget": budget}}
    by_level = {"thinkingConfig": {"thinkingLevel": level}}
    assert config(request, capabilities=BUDGET, model="gemini-3-pro") == by_budget
    assert config(request, capabilities=LEVEL, model="gemini-2.5-pro") == by_level


@pytest.mark.parametrize(
    ("model", "word"),
    [
        ("gemini-2.0-flash", "thinkingBudget"),
        ("gemini-2.5-pro", "thinkingBudget"),
        ("gemini-flash-latest", "thinkingBudget"),
        ("tunedModels/gemini-3", "thinkingBudget"),
        ("gemini-3-pro-preview", "thinkingLevel"),
        ("models/gemini-3.1-pro", "thinkingLevel"),
        ("gemini-4-argon", "thinkingLevel"),
        ("gemini-12.5-flash", "thinkingLevel"),
    ],
)
def test_where_nothing_is_known_the_name_tells_the_generation(model: str, word: str) -> None:
    request = replace(ASK, output=Output(reasoning_effort=ReasoningEffort.LOW))
    assert list(config(request, model=model)["thinkingConfig"]) == [word]


def test_thoughts_are_asked_for_where_the_model_has_any() -> None:
    request = replace(ASK, output=Output(include_reasoning=True))
    thoughts = {"thinkingConfig": {"includeThoughts": True}}
    assert config(request) == thoughts
    assert config(request, capabilities=Capabilities(reasoning=True)) == thoughts
    assert config(request, capabilities=Capabilities(reasoning=False)) == {}


def options(value: Any, provider: str = "up") -> GenerationRequest:
    return replace(
        ASK,
        sampling=Sampling(temperature=1.0, top_p=0.5),
        provider_options=((provider, json.dumps(value).encode()),),
    )


def test_the_providers_own_options_are_merged_last_and_others_ignored() -> None:
    safety = [{"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"}]
    own = {"safetySettings": safety, "cachedContent": "cachedContents/7", "tools": [{}]}
    generation = {"generationConfig": {"temperature": 0.5, "responseLogprobs": True}}
    written = body(options({**own, **generation}))
    assert {name: written[name] for name in own} == own
    assert written["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.5,
        "responseLogprobs": True,
    }
    assert "safetySettings" not in body(options(own, provider="other"))


@pytest.mark.parametrize(
    "value",
    [
        [],
        {"contents": []},
        {"systemInstruction": {}},
        {"model": "models/dearer"},
        {"min_p": 0.1},
        {"generation_config": {}},
        {"generationConfig": 7},
        {"generationConfig": {"candidateCount": 8}},
        {"generationConfig": {"candidate_count": 8}},
    ],
)
def test_options_that_cannot_be_set_are_refused(value: Any) -> None:
    error = rejected(options(value))
    assert error.reason is Reason.REQUEST_INVALID
    assert error.violations[0].field == "input.provider_options_json"
