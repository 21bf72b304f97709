"""Protobuf meets the domain: nothing lost, nothing invented, every rule of the contract checked."""

import contextlib
from collections.abc import Callable, Iterable

import pytest
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from hypothesis import example, given
from hypothesis import strategies as st

from llmgateway.v1 import content_pb2, errors_pb2, usage_pb2
from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.answer import (
    CacheStatus,
    Finish,
    FinishReason,
    Route,
    Usage,
)
from llmgateway_server.domain.content import (
    MediaPart,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.events import (
    Recovery,
    RecoveryKind,
    SignatureDelta,
    StreamEvent,
    StreamStart,
    TextDelta,
    ToolCallDelta,
)
from llmgateway_server.domain.request import (
    CacheMode,
    Priority,
    ReasoningEffort,
    RecoveryMode,
    ResponseFormat,
    Routing,
    Sampling,
    Tool,
    ToolMode,
)
from llmgateway_server.transport.grpc.mapping import content, options, request, response
from llmgateway_server.transport.grpc.status import CODES


def minimal() -> pb.GenerationInput:
    return pb.GenerationInput(
        model="chat",
        messages=[
            content_pb2.Message(
                role=content_pb2.ROLE_USER, parts=[content_pb2.ContentPart(text="hi")]
            )
        ],
    )


@pytest.mark.parametrize(
    ("wire", "mapped"),
    [
        (content_pb2.Role, content.ROLES),
        (pb.ToolChoiceMode, request.TOOL_MODES),
        (pb.ReasoningEffort, request.EFFORTS),
        (pb.ResponseFormat, request.FORMATS),
        (pb.RecoveryMode, request.RECOVERY_MODES),
        (pb.CacheMode, options.CACHE_MODES),
        (pb.Priority, options.PRIORITIES),
    ],
)
def test_every_value_that_a_caller_can_send_is_mapped(
    wire: EnumTypeWrapper, mapped: dict[int, object]
) -> None:
    said = {number: meaning for number, meaning in mapped.items() if number}
    assert set(wire.values()) - {0} == set(said)
    assert len(set(said.values())) == len(said)


@pytest.mark.parametrize(
    ("wire", "domain", "mapped"),
    [
        (pb.FinishReason, FinishReason, response.FINISH_REASONS),
        (usage_pb2.CacheStatus, CacheStatus, response.CACHE_STATUSES),
        (pb.RecoveryKind, RecoveryKind, response.RECOVERY_KINDS),
    ],
)
def test_every_value_that_the_gateway_can_answer_is_mapped(
    wire: EnumTypeWrapper, domain: Iterable[object], mapped: dict[object, int]
) -> None:
    assert set(mapped) == set(domain)
    assert set(mapped.values()) == set(wire.values()) - {0}


def test_every_reason_is_one_of_the_contract_and_has_a_code() -> None:
    names = {name.removeprefix("ERROR_REASON_") for name, _ in errors_pb2.ErrorReason.items()}
    assert {reason.value for reason in Reason} <= names
    assert set(CODES) == set(Reason)


def test_a_full_request_keeps_everything() -> None:
    proto = minimal()
    proto.messages.add(role=content_pb2.ROLE_ASSISTANT).parts.extend(
        [
            content_pb2.ContentPart(
                reasoning=content_pb2.ReasoningPart(
                    text="hm", signature=b"s", signature_provider="claude"
                )
            ),
            content_pb2.ContentPart(
                tool_call=content_pb2.ToolCall(
                    tool_call_id="1", name="f", arguments_json='{"n": 9007199254740993}'
                ),
                cache_breakpoint=True,
            ),
        ]
    )
    result = proto.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result
    result.tool_call_id, result.is_error = "1", True
    result.parts.add(text="boom")
    result.parts.add(media=content_pb2.MediaPart(mime_type="image/png", data=b"png"))
    proto.sampling.temperature = 0.7
    proto.sampling.top_k = 0
    proto.output.max_output_tokens = 5
    proto.output.stop_sequences.append("END")
    proto.output.reasoning_effort = pb.REASONING_EFFORT_LOW
    proto.output.response_format = pb.RESPONSE_FORMAT_JSON_SCHEMA
    proto.output.response_schema_json = '{"type":"object"}'
    proto.tools.add(name="f", description="does", parameters_schema_json="{}")
    proto.tool_choice.mode = pb.TOOL_CHOICE_MODE_REQUIRED
    proto.tool_choice.parallel_tool_calls = False
    proto.routing.provider_order.extend(["second", "first"])
    proto.routing.disable_fallback = True
    proto.routing.max_attempts = 2
    proto.routing.first_content_timeout.FromMilliseconds(1500)
    proto.routing.idle_content_timeout.FromMilliseconds(2500)
    proto.routing.cache_mode = pb.CACHE_MODE_ONLY
    proto.routing.priority = pb.PRIORITY_BATCH
    proto.labels["b"] = "2"
    proto.labels["a"] = "1"
    proto.end_user_id = "u"
    proto.provider_options_json = '{"openai": {"store": true}}'

    mapped = request.request_from(proto)

    assert [message.role for message in mapped.messages] == [
        Role.USER,
        Role.ASSISTANT,
        Role.TOOL,
    ]
    assert mapped.messages[0].parts == (TextPart("hi"),)
    assert mapped.messages[1].parts == (
        ReasoningPart("hm", b"s", "claude"),
        ToolCallPart("1", "f", '{"n": 9007199254740993}', cache_breakpoint=True),
    )
    assert mapped.messages[2].parts == (
        ToolResultPart("1", (TextPart("boom"), MediaPart("image/png", b"png")), is_error=True),
    )
    assert mapped.sampling == Sampling(temperature=0.7, top_k=0)
    assert mapped.output.max_output_tokens == 5
    assert mapped.output.stop_sequences == ("END",)
    assert mapped.output.reasoning_effort is ReasoningEffort.LOW
    assert mapped.output.response_format is ResponseFormat.JSON_SCHEMA
    assert mapped.tools == (Tool("f", "does", "{}"),)
    assert mapped.tool_choice.mode is ToolMode.REQUIRED
    assert mapped.tool_choice.parallel_tool_calls is False
    assert mapped.routing == Routing(
        1.5, 2.5, ("second", "first"), True, 2, CacheMode.ONLY, Priority.BATCH
    )
    assert mapped.labels == (("a", "1"), ("b", "2"))
    assert mapped.end_user_id == "u"
    assert mapped.provider_options == (("openai", b'{"store": true}'),)


def test_unset_is_not_zero() -> None:
    unset = request.request_from(minimal())
    assert unset.sampling == Sampling()
    proto = minimal()
    proto.sampling.temperature = 0.0
    proto.sampling.seed = 0
    assert request.request_from(proto).sampling == Sampling(temperature=0.0, seed=0)


def test_routing_that_says_nothing_leaves_it_to_the_route() -> None:
    proto = minimal()
    assert request.request_from(proto).routing == Routing()
    proto.routing.SetInParent()
    assert request.request_from(proto).routing == Routing()


def test_recovery_is_left_to_the_route_or_chosen() -> None:
    assert request.stream_options_from(pb.StreamOptions()).recovery is None
    proto = pb.StreamOptions(recovery=pb.RECOVERY_MODE_RESTART)
    assert request.stream_options_from(proto).recovery is RecoveryMode.RESTART


def test_a_recovery_mode_that_nobody_knows_is_refused() -> None:
    proto = pb.StreamOptions()
    proto.recovery = 99  # type: ignore[assignment]
    with pytest.raises(GatewayError) as caught:
        request.stream_options_from(proto)
    assert [violation.field for violation in caught.value.violations] == ["stream_options.recovery"]


Spoil = Callable[[pb.GenerationInput], object]


@pytest.mark.parametrize(
    ("field", "spoil"),
    [
        ("input.messages", lambda p: p.ClearField("messages")),
        ("input.messages", lambda p: p.messages.extend([p.messages[0]] * 2048)),
        ("input.messages[0].role", lambda p: p.messages[0].ClearField("role")),
        ("input.messages[0].role", lambda p: setattr(p.messages[0], "role", 99)),
        ("input.messages[0].parts", lambda p: p.messages[0].ClearField("parts")),
        ("input.messages[0].parts[1]", lambda p: p.messages[0].parts.add()),
        (
            "input.messages[0].parts[1].tool_call",
            lambda p: p.messages[0].parts.add().tool_call.SetInParent(),
        ),
        (
            "input.messages[0].parts[1].media",
            lambda p: p.messages[0].parts.add().media.SetInParent(),
        ),
        (
            "input.messages[0].parts[1].media.mime_type",
            lambda p: setattr(p.messages[0].parts.add().media, "data", b"x"),
        ),
        (
            "input.messages[1].parts[0].tool_result.tool_call_id",
            lambda p: (
                p.messages.add(role=content_pb2.ROLE_TOOL)
                .parts.add()
                .tool_result.parts.add(text="x")
            ),
        ),
        (
            "input.messages[1].parts[0].tool_call.arguments_json",
            lambda p: (
                p.messages.add(role=content_pb2.ROLE_ASSISTANT)
                .parts.add()
                .tool_call.CopyFrom(
                    content_pb2.ToolCall(tool_call_id="1", name="f", arguments_json="[")
                )
            ),
        ),
        ("input.sampling.temperature", lambda p: setattr(p.sampling, "temperature", -0.1)),
        ("input.sampling.temperature", lambda p: setattr(p.sampling, "temperature", float("nan"))),
        ("input.sampling.top_p", lambda p: setattr(p.sampling, "top_p", 1.5)),
        ("input.sampling.top_k", lambda p: setattr(p.sampling, "top_k", -1)),
        ("input.output.max_output_tokens", lambda p: setattr(p.output, "max_output_tokens", 0)),
        ("input.output.stop_sequences", lambda p: p.output.stop_sequences.extend("a" * 17)),
        ("input.output.stop_sequences", lambda p: p.output.stop_sequences.append("")),
        ("input.output.reasoning_effort", lambda p: setattr(p.output, "reasoning_effort", 99)),
        (
            "input.output.response_schema_json",
            lambda p: setattr(p.output, "response_format", pb.RESPONSE_FORMAT_JSON_SCHEMA),
        ),
        (
            "input.output.response_schema_json",
            lambda p: setattr(p.output, "response_schema_json", "{}"),
        ),
        ("input.tools[0].name", lambda p: p.tools.add(name="no spaces")),
        ("input.tools[1].name", lambda p: p.tools.extend([pb.ToolDefinition(name="f")] * 2)),
        (
            "input.tools[0].parameters_schema_json",
            lambda p: p.tools.add(name="f", parameters_schema_json="1"),
        ),
        ("input.tool_choice.tool_name", lambda p: setattr(p.tool_choice, "tool_name", "g")),
        (
            "input.tool_choice.mode",
            lambda p: setattr(p.tool_choice, "mode", pb.TOOL_CHOICE_MODE_REQUIRED),
        ),
        ("input.routing.max_attempts", lambda p: setattr(p.routing, "max_attempts", 0)),
        ("input.routing.provider_order", lambda p: p.routing.provider_order.append("")),
        ("input.routing.provider_order", lambda p: p.routing.provider_order.extend("p" * 17)),
        ("input.routing.cache_mode", lambda p: setattr(p.routing, "cache_mode", 99)),
        ("input.routing.priority", lambda p: setattr(p.routing, "priority", 99)),
        (
            "input.routing.first_content_timeout",
            lambda p: p.routing.first_content_timeout.SetInParent(),
        ),
        ("input.labels", lambda p: p.labels.update({str(n): "" for n in range(17)})),
        ("input.provider_options_json", lambda p: setattr(p, "provider_options_json", "[1]")),
        (
            "input.provider_options_json.openai",
            lambda p: setattr(p, "provider_options_json", '{"openai": 1}'),
        ),
    ],
)
def test_a_broken_rule_names_its_field(field: str, spoil: Spoil) -> None:
    proto = minimal()
    spoil(proto)
    with pytest.raises(GatewayError) as caught:
        request.request_from(proto)
    assert caught.value.reason is Reason.REQUEST_INVALID
    assert field in {violation.field for violation in caught.value.violations}


def test_everything_that_is_wrong_is_told_at_once() -> None:
    proto = minimal()
    proto.sampling.temperature = -1
    proto.output.max_output_tokens = -1
    proto.tools.add(name="")
    with pytest.raises(GatewayError) as caught:
        request.request_from(proto)
    assert len(caught.value.violations) == 3


def test_a_demand_for_cached_answers_only_is_refused_where_nothing_is_cached() -> None:
    options.refuse_cached_only(Routing(cache_mode=CacheMode.BYPASS))
    with pytest.raises(GatewayError) as caught:
        options.refuse_cached_only(Routing(cache_mode=CacheMode.ONLY))
    assert caught.value.reason is Reason.CAPABILITY_UNSUPPORTED


@given(st.binary(max_size=300))
def test_no_bytes_make_the_mapping_fail_in_another_way(data: bytes) -> None:
    try:
        proto = pb.GenerationInput.FromString(data)
    except Exception:  # what protobuf itself refuses is the boundary's to answer
        return
    with contextlib.suppress(GatewayError):
        request.request_from(proto)


def test_a_message_carries_every_kind_of_event() -> None:
    route = Route("p", "m", 2, CacheStatus.MISS, "req", 0.25, 1.5)
    events: list[StreamEvent] = [
        StreamStart("01", "p/m", route),
        Recovery(RecoveryKind.CONTINUED, route, AttemptFailure("q", "n", 500, "code", "id")),
        TextDelta(0, "hé"),
        SignatureDelta(1, b"sig"),
        ToolCallDelta(2, "id", "f", "{"),
        Usage(1, 2, 3, 4, 5, 6, is_estimated=True),
        Finish(FinishReason.LENGTH, "length", "END", 2.25),
    ]
    message = pb.GenerateStreamResponse.FromString(response.message_to(events).SerializeToString())
    assert message.start.response_id == "01"
    assert message.start.route.time_to_first_token.ToMilliseconds() == 1500
    assert message.start.route.cache_status == usage_pb2.CACHE_STATUS_MISS
    assert message.recovery.cause.provider_code == "code"
    assert [d.WhichOneof("delta") for d in message.deltas] == [
        "text",
        "reasoning_signature",
        "tool_call",
    ]
    assert [d.part_index for d in message.deltas] == [0, 1, 2]
    assert message.usage.cost_nano_usd == 6
    assert message.finish.total_duration.ToMilliseconds() == 2250
    assert message.finish.stop_sequence == "END"


@example(0, "é" * 40_000)
@given(st.integers(0, 2**31 - 1), st.text(st.characters(codec="utf-8"), max_size=400))
def test_a_text_delta_encoded_by_hand_is_what_protobuf_encodes(index: int, text: str) -> None:
    events = [TextDelta(index, text)]
    assert response.encode(events) == response.message_to(events).SerializeToString()


def test_an_unknown_price_is_not_zero() -> None:
    assert not response.usage_to(Usage()).HasField("cost_nano_usd")
