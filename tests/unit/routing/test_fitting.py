"""What a model does not take is refused, or left out where the answer stays what was asked for."""

import pytest

from llmgateway_server.domain.capabilities import Capabilities, Unsupported
from llmgateway_server.domain.content import (
    MediaPart,
    Message,
    Part,
    Role,
    TextPart,
    ToolResultPart,
)
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
from llmgateway_server.models import capabilities_of
from llmgateway_server.routing.fitting import Fitted, fit

REJECT, DROP = Unsupported.REJECT, Unsupported.DROP
NONE, MINIMAL, LOW = ReasoningEffort.NONE, ReasoningEffort.MINIMAL, ReasoningEffort.LOW
MEDIUM, HIGH, MAX = ReasoningEffort.MEDIUM, ReasoningEffort.HIGH, ReasoningEffort.MAX
IMAGE = MediaPart("image/png", b"\x89PNG")
USER = Message(Role.USER, (TextPart("hi"),))


def ask(
    *messages: Message,
    sampling: Sampling | None = None,
    output: Output | None = None,
    tools: tuple[Tool, ...] = (),
    choice: ToolChoice | None = None,
) -> GenerationRequest:
    return GenerationRequest(
        "m",
        messages or (USER,),
        sampling=sampling or Sampling(),
        output=output or Output(),
        tools=tools,
        tool_choice=choice or ToolChoice(),
    )


def refusal(
    request: GenerationRequest, capabilities: Capabilities, policy: Unsupported = REJECT
) -> tuple[str, str, str]:
    """Field, capability and message of the error."""
    with pytest.raises(GatewayError) as caught:
        fit(request, capabilities, policy)
    error = caught.value
    assert error.reason is Reason.CAPABILITY_UNSUPPORTED
    metadata = dict(error.metadata)
    assert error.message.startswith(metadata["field"] + ": ")
    return metadata["field"], metadata["capability"], error.message


REFUSES_SAMPLING = Capabilities(
    refused=frozenset({"sampling.temperature", "sampling.top_p", "sampling.frequency_penalty"})
)
SILENT_UNTIL_TOLD = Capabilities(
    reasoning=True,
    efforts=frozenset({NONE, LOW, HIGH}),
    default_effort=NONE,
    refused_while_reasoning=frozenset({"sampling.temperature", "tool_choice"}),
)


def test_what_is_not_known_passes_as_it_is() -> None:
    request = ask(
        USER,
        Message(Role.ASSISTANT, (TextPart("so"),)),
        sampling=Sampling(0.1, 0.2, 0.3, 0.4, 5, 6),
        output=Output(10**9, ("a",) * 16, MAX, True, ResponseFormat.JSON_SCHEMA, "{}"),
        tools=(Tool("t"),),
        choice=ToolChoice(ToolMode.REQUIRED, parallel_tool_calls=True),
    )
    for policy in Unsupported:
        fitted = fit(request, Capabilities(), policy)
        assert fitted.request is request
        assert fitted.dropped == ()


def test_a_refused_sampling_parameter_is_named_with_what_to_change() -> None:
    request = ask(sampling=Sampling(temperature=0.2))
    assert refusal(request, REFUSES_SAMPLING) == (
        "input.sampling.temperature",
        "temperature",
        "input.sampling.temperature: this model refuses it; leave it unset",
    )


def test_under_drop_the_refused_parameters_go_and_the_others_stay() -> None:
    request = ask(sampling=Sampling(temperature=0.2, top_p=0.5, seed=7))
    assert fit(request, REFUSES_SAMPLING, DROP) == Fitted(
        ask(sampling=Sampling(seed=7)), ("sampling.temperature", "sampling.top_p")
    )


def test_zero_is_a_value_like_any_other() -> None:
    fitted = fit(ask(sampling=Sampling(temperature=0.0)), REFUSES_SAMPLING, DROP)
    assert fitted.dropped == ("sampling.temperature",)


@pytest.mark.parametrize("policy", Unsupported)
def test_a_default_that_changes_nothing_is_left_out_without_a_word(policy: Unsupported) -> None:
    request = ask(sampling=Sampling(temperature=1.0, top_p=1.0, frequency_penalty=0.0))
    assert fit(request, REFUSES_SAMPLING, policy) == Fitted(ask())


@pytest.mark.parametrize("effort", [None, NONE])
def test_what_is_refused_while_reasoning_passes_while_the_model_does_not(
    effort: ReasoningEffort | None,
) -> None:
    request = ask(sampling=Sampling(temperature=0.2), output=Output(reasoning_effort=effort))
    assert fit(request, SILENT_UNTIL_TOLD, REJECT).request is request


def test_what_is_refused_while_reasoning_is_refused_then() -> None:
    request = ask(sampling=Sampling(temperature=0.2), output=Output(reasoning_effort=HIGH))
    assert refusal(request, SILENT_UNTIL_TOLD)[2].endswith(
        "refuses it while it reasons; leave it unset or set output.reasoning_effort to none"
    )
    assert fit(request, SILENT_UNTIL_TOLD, DROP) == Fitted(
        ask(output=Output(reasoning_effort=HIGH)), ("sampling.temperature",)
    )


def test_a_model_that_reasons_by_default_reasons_when_nothing_is_said() -> None:
    capabilities = Capabilities(
        default_effort=MEDIUM,
        efforts=frozenset({MEDIUM}),
        refused_while_reasoning=frozenset({"sampling.temperature"}),
    )
    _, _, message = refusal(ask(sampling=Sampling(temperature=0.2)), capabilities)
    assert message.endswith("leave it unset")


@pytest.mark.parametrize(
    ("known", "asked", "becomes"),
    [
        ({LOW, MEDIUM, HIGH}, MAX, HIGH),
        ({LOW, MEDIUM, HIGH}, MINIMAL, LOW),
        ({LOW, HIGH}, MEDIUM, LOW),
        ({LOW, MEDIUM, HIGH}, NONE, LOW),
        ({MINIMAL, HIGH}, NONE, MINIMAL),
        ({NONE, HIGH}, LOW, HIGH),
        ({NONE}, HIGH, None),
        (set(), NONE, None),
        (set(), HIGH, None),
    ],
)
def test_an_unknown_effort_becomes_the_nearest_level_that_reasons_as_asked(
    known: set[ReasoningEffort], asked: ReasoningEffort, becomes: ReasoningEffort | None
) -> None:
    capabilities = Capabilities(efforts=frozenset(known))
    request = ask(output=Output(reasoning_effort=asked))
    assert fit(request, capabilities, DROP) == Fitted(
        ask(output=Output(reasoning_effort=becomes)), ("output.reasoning_effort",)
    )
    field, capability, message = refusal(request, capabilities)
    assert (field, capability) == ("input.output.reasoning_effort", "reasoning_effort")
    assert all(level.value in message for level in known)


def test_a_model_that_cannot_reason_is_asked_for_none() -> None:
    capabilities = Capabilities(reasoning=False)
    satisfied = fit(ask(output=Output(reasoning_effort=NONE)), capabilities, REJECT)
    assert satisfied == Fitted(ask())
    asked = ask(output=Output(reasoning_effort=LOW))
    assert refusal(asked, capabilities)[1] == "reasoning_effort"
    assert fit(asked, capabilities, DROP) == Fitted(ask(), ("output.reasoning_effort",))


@pytest.mark.parametrize(
    "capabilities",
    [Capabilities(max_output=100), Capabilities(100), Capabilities(5000, max_output=100)],
)
def test_a_limit_beyond_the_models_own_is_lowered_to_it(capabilities: Capabilities) -> None:
    request = ask(output=Output(max_output_tokens=101))
    field, _, message = refusal(request, capabilities)
    assert field == "input.output.max_output_tokens"
    assert "100" in message
    assert fit(request, capabilities, DROP) == Fitted(
        ask(output=Output(max_output_tokens=100)), ("output.max_output_tokens",)
    )
    within = ask(output=Output(max_output_tokens=100))
    assert fit(within, capabilities, REJECT).request is within


@pytest.mark.parametrize("policy", Unsupported)
@pytest.mark.parametrize(
    ("request_", "capabilities", "field", "capability"),
    [
        (ask(tools=(Tool("t"),)), Capabilities(tools=False), "tools", "tools"),
        (
            ask(choice=ToolChoice(ToolMode.REQUIRED)),
            Capabilities(forced_tool_choice=False),
            "tool_choice",
            "forced_tool_choice",
        ),
        (
            ask(choice=ToolChoice(tool_name="t"), output=Output(reasoning_effort=HIGH)),
            SILENT_UNTIL_TOLD,
            "tool_choice",
            "forced_tool_choice",
        ),
        (
            ask(Message(Role.USER, (TextPart("see"), IMAGE))),
            Capabilities(images=False),
            "messages[0].parts[1].media",
            "images",
        ),
        (
            ask(USER, Message(Role.TOOL, (ToolResultPart("c", (TextPart("x"), IMAGE)),))),
            Capabilities(images=False),
            "messages[1].parts[0].tool_result.parts[1].media",
            "images",
        ),
        (
            ask(output=Output(response_format=ResponseFormat.JSON_SCHEMA)),
            Capabilities(refused=frozenset({"output.response_schema_json"})),
            "output.response_schema_json",
            "json_schema",
        ),
        (
            ask(output=Output(response_format=ResponseFormat.JSON_OBJECT)),
            Capabilities(refused=frozenset({"output.response_format"})),
            "output.response_format",
            "json_object",
        ),
        (
            ask(output=Output(stop_sequences=("a", "b"))),
            Capabilities(max_stop_sequences=1),
            "output.stop_sequences",
            "stop_sequences",
        ),
        (
            ask(USER, Message(Role.ASSISTANT, (TextPart("{"),))),
            Capabilities(prefill=False),
            "messages[1]",
            "prefill",
        ),
    ],
)
def test_what_decides_the_answer_is_never_left_out(
    policy: Unsupported,
    request_: GenerationRequest,
    capabilities: Capabilities,
    field: str,
    capability: str,
) -> None:
    assert refusal(request_, capabilities, policy)[:2] == (f"input.{field}", capability)


@pytest.mark.parametrize(
    ("request_", "capabilities"),
    [
        (ask(choice=ToolChoice(ToolMode.AUTO)), Capabilities(forced_tool_choice=False)),
        (ask(choice=ToolChoice(ToolMode.NONE)), Capabilities(forced_tool_choice=False)),
        (
            ask(Message(Role.USER, (MediaPart("application/pdf", b"%PDF"),))),
            Capabilities(images=False),
        ),
        (
            ask(output=Output(response_format=ResponseFormat.JSON_OBJECT)),
            Capabilities(json_object=False, refused=frozenset({"output.response_schema_json"})),
        ),
        (
            ask(output=Output(response_format=ResponseFormat.JSON_SCHEMA)),
            Capabilities(json_schema=False),
        ),
        (
            ask(output=Output(response_format=ResponseFormat.TEXT)),
            Capabilities(refused=frozenset({"output.response_format"})),
        ),
        (ask(output=Output(stop_sequences=("a",))), Capabilities(max_stop_sequences=1)),
        (ask(Message(Role.ASSISTANT, ()), USER), Capabilities(prefill=False)),
    ],
)
def test_what_is_not_meant_passes(request_: GenerationRequest, capabilities: Capabilities) -> None:
    assert fit(request_, capabilities, REJECT).request is request_


def test_one_call_at_a_time_is_what_a_model_without_parallel_calls_does() -> None:
    capabilities = Capabilities(parallel_tool_calls=False)
    alone = ask(choice=ToolChoice(ToolMode.AUTO, parallel_tool_calls=False))
    assert fit(alone, capabilities, REJECT) == Fitted(ask(choice=ToolChoice(ToolMode.AUTO)))
    many = ask(choice=ToolChoice(parallel_tool_calls=True))
    assert refusal(many, capabilities)[0] == "input.tool_choice.parallel_tool_calls"
    assert fit(many, capabilities, DROP) == Fitted(ask(), ("tool_choice.parallel_tool_calls",))


def test_a_temperature_for_claude_opus_5_is_refused_and_for_gpt_4o_is_not() -> None:
    request = ask(sampling=Sampling(temperature=0.2))
    assert refusal(request, capabilities_of("anthropic", "claude-opus-5"))[1] == "temperature"
    assert fit(request, capabilities_of("openai", "gpt-4o-2024-08-06"), REJECT).request is request


def test_an_unknown_part_is_no_image() -> None:
    parts: tuple[Part, ...] = (TextPart("a"), MediaPart("", None, "https://x/y"))
    request = ask(Message(Role.USER, parts))
    assert fit(request, Capabilities(images=False), REJECT).request is request
