"""GenerationInput to GenerationRequest, with every rule of the contract checked."""

from __future__ import annotations

import math
import re
from typing import Literal

from msgspec import Struct

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ReasoningEffort,
    RecoveryMode,
    ResponseFormat,
    Routing,
    Sampling,
    Tool,
    ToolChoice,
    ToolMode,
)
from llmgateway_server.transport.grpc.mapping.content import message_from
from llmgateway_server.transport.grpc.mapping.options import (
    labels_from,
    model_from,
    provider_options_from,
    routing_from,
)
from llmgateway_server.transport.grpc.mapping.violations import Violations

EFFORTS = {
    pb.REASONING_EFFORT_UNSPECIFIED: None,
    pb.REASONING_EFFORT_NONE: ReasoningEffort.NONE,
    pb.REASONING_EFFORT_MINIMAL: ReasoningEffort.MINIMAL,
    pb.REASONING_EFFORT_LOW: ReasoningEffort.LOW,
    pb.REASONING_EFFORT_MEDIUM: ReasoningEffort.MEDIUM,
    pb.REASONING_EFFORT_HIGH: ReasoningEffort.HIGH,
    pb.REASONING_EFFORT_XHIGH: ReasoningEffort.XHIGH,
    pb.REASONING_EFFORT_MAX: ReasoningEffort.MAX,
}
FORMATS = {
    pb.RESPONSE_FORMAT_UNSPECIFIED: None,
    pb.RESPONSE_FORMAT_TEXT: ResponseFormat.TEXT,
    pb.RESPONSE_FORMAT_JSON_OBJECT: ResponseFormat.JSON_OBJECT,
    pb.RESPONSE_FORMAT_JSON_SCHEMA: ResponseFormat.JSON_SCHEMA,
}
TOOL_MODES = {
    pb.TOOL_CHOICE_MODE_UNSPECIFIED: None,
    pb.TOOL_CHOICE_MODE_AUTO: ToolMode.AUTO,
    pb.TOOL_CHOICE_MODE_NONE: ToolMode.NONE,
    pb.TOOL_CHOICE_MODE_REQUIRED: ToolMode.REQUIRED,
}
RECOVERY_MODES = {
    pb.RECOVERY_MODE_UNSPECIFIED: None,
    pb.RECOVERY_MODE_NONE: RecoveryMode.NONE,
    pb.RECOVERY_MODE_CONTINUE: RecoveryMode.CONTINUE,
    pb.RECOVERY_MODE_RESTART: RecoveryMode.RESTART,
}

_MOST_MESSAGES = 2048
_MOST_STOPS = 16
_SamplingField = Literal["temperature", "top_p", "frequency_penalty", "presence_penalty", "top_k"]
_TOOL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")


class StreamOptions(Struct, frozen=True):
    """How the caller wants its stream; seconds. `recovery` None: as the route says."""

    max_coalesce_delay: float = 0.0
    heartbeat_interval: float = 15.0
    recovery: RecoveryMode | None = None


def request_from(proto: pb.GenerationInput) -> GenerationRequest:
    """The request that a caller sent.

    Raises:
        GatewayError: REQUEST_INVALID with every field that breaks a rule of the contract.
    """
    found = Violations()
    request = _request_from(proto, found)
    found.raise_if_any()
    return request


def stream_options_from(proto: pb.StreamOptions) -> StreamOptions:
    """The stream options that a caller sent.

    Raises:
        GatewayError: REQUEST_INVALID where a time is out of its range or a mode is unknown.
    """
    found = Violations()
    options = StreamOptions()
    delay, interval = options.max_coalesce_delay, options.heartbeat_interval
    if proto.HasField("max_coalesce_delay"):
        path = "stream_options.max_coalesce_delay"
        delay = found.seconds(path, proto.max_coalesce_delay, 0.0, 0.1)
    if proto.HasField("heartbeat_interval"):
        path = "stream_options.heartbeat_interval"
        interval = found.seconds(path, proto.heartbeat_interval, 0.1, 3600.0)
    if proto.recovery not in RECOVERY_MODES:
        found.add("stream_options.recovery", "is no RecoveryMode that this server knows")
    found.raise_if_any()
    return StreamOptions(delay, interval, RECOVERY_MODES.get(proto.recovery))


def _request_from(proto: pb.GenerationInput, found: Violations) -> GenerationRequest:
    if not 1 <= len(proto.messages) <= _MOST_MESSAGES:
        found.add("input.messages", f"must have 1 to {_MOST_MESSAGES} messages")
    messages = [
        message
        for index, each in enumerate(proto.messages[:_MOST_MESSAGES])
        if (message := message_from(each, f"input.messages[{index}]", found)) is not None
    ]
    tools = _tools_from(proto, found)
    return GenerationRequest(
        model=model_from(proto.model, "input.model", found),
        messages=tuple(messages),
        sampling=_sampling_from(proto.sampling, found)
        if proto.HasField("sampling")
        else Sampling(),
        output=_output_from(proto.output, found) if proto.HasField("output") else Output(),
        tools=tools,
        tool_choice=(
            _tool_choice_from(proto.tool_choice, tools, found)
            if proto.HasField("tool_choice")
            else ToolChoice()
        ),
        routing=(
            routing_from(proto.routing, "input.routing", found)
            if proto.HasField("routing")
            else Routing()
        ),
        labels=labels_from(proto.labels, "input.labels", found),
        end_user_id=proto.end_user_id,
        provider_options=provider_options_from(
            proto.provider_options_json, "input.provider_options_json", found
        ),
    )


def _sampling_from(proto: pb.SamplingOptions, found: Violations) -> Sampling:
    def number(name: _SamplingField, least: float, most: float) -> float | None:
        if not proto.HasField(name):
            return None
        return found.number(f"input.sampling.{name}", getattr(proto, name), least, most)

    top_k = number("top_k", 0, math.inf)
    return Sampling(
        temperature=number("temperature", 0, math.inf),
        top_p=number("top_p", 0, 1),
        frequency_penalty=number("frequency_penalty", -math.inf, math.inf),
        presence_penalty=number("presence_penalty", -math.inf, math.inf),
        top_k=None if top_k is None else int(top_k),
        seed=proto.seed if proto.HasField("seed") else None,
    )


def _output_from(proto: pb.OutputOptions, found: Violations) -> Output:
    if proto.HasField("max_output_tokens") and proto.max_output_tokens < 1:
        found.add("input.output.max_output_tokens", "must be 1 or more; unset for no limit")
    stops = tuple(proto.stop_sequences)
    if len(stops) > _MOST_STOPS or "" in stops:
        found.add("input.output.stop_sequences", f"must be at most {_MOST_STOPS}, none empty")
    if proto.reasoning_effort not in EFFORTS:
        found.add("input.output.reasoning_effort", "is none that this server knows")
    if proto.response_format not in FORMATS:
        found.add("input.output.response_format", "is none that this server knows")
    schema = proto.response_schema_json
    wants_schema = proto.response_format == pb.RESPONSE_FORMAT_JSON_SCHEMA
    if wants_schema:
        found.json_object("input.output.response_schema_json", schema)
    elif schema:
        found.add("input.output.response_schema_json", "goes with response_format JSON_SCHEMA")
    return Output(
        max_output_tokens=proto.max_output_tokens if proto.HasField("max_output_tokens") else None,
        stop_sequences=stops,
        reasoning_effort=EFFORTS.get(proto.reasoning_effort),
        include_reasoning=proto.include_reasoning,
        response_format=FORMATS.get(proto.response_format),
        response_schema_json=schema,
    )


def _tools_from(proto: pb.GenerationInput, found: Violations) -> tuple[Tool, ...]:
    names: set[str] = set()
    for index, tool in enumerate(proto.tools):
        path = f"input.tools[{index}]"
        if not _TOOL_NAME.fullmatch(tool.name):
            found.add(f"{path}.name", 'must be 1 to 64 of A-Z, a-z, 0-9, "_" and "-"')
        elif tool.name in names:
            found.add(f"{path}.name", f'"{tool.name}" is defined twice')
        names.add(tool.name)
        if tool.parameters_schema_json:
            found.json_object(f"{path}.parameters_schema_json", tool.parameters_schema_json)
    return tuple(Tool(t.name, t.description, t.parameters_schema_json) for t in proto.tools)


def _tool_choice_from(
    proto: pb.ToolChoice, tools: tuple[Tool, ...], found: Violations
) -> ToolChoice:
    choice = proto.WhichOneof("choice")
    mode = TOOL_MODES.get(proto.mode)
    if choice == "mode" and proto.mode not in TOOL_MODES:
        found.add("input.tool_choice.mode", "is none that this server knows")
    if choice == "tool_name" and proto.tool_name not in {tool.name for tool in tools}:
        found.add("input.tool_choice.tool_name", "must name one of input.tools")
    if mode is ToolMode.REQUIRED and not tools:
        found.add("input.tool_choice.mode", "REQUIRED needs tools")
    parallel = proto.HasField("parallel_tool_calls")
    return ToolChoice(
        mode=mode,
        tool_name=proto.tool_name,
        parallel_tool_calls=proto.parallel_tool_calls if parallel else None,
    )
