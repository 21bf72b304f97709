"""From what a caller writes to the requests of the contract."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict

from llmgateway.v1.content_pb2 import (
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_TOOL,
    ROLE_USER,
    ContentPart,
    MediaPart,
    Message,
    Role,
    ToolResult,
)
from llmgateway.v1.generation_service_pb2 import (
    RECOVERY_MODE_RESTART,
    RECOVERY_MODE_UNSPECIFIED,
    RESPONSE_FORMAT_JSON_SCHEMA,
    GenerateStreamRequest,
    GenerationInput,
    ReasoningEffort,
    StreamOptions,
    ToolChoice,
    ToolDefinition,
)

Prompt = str | Message | Sequence[Message] | GenerationInput
"""One user message's text, a conversation, or the contract's own message with every option."""


class CallOptions(TypedDict, total=False):
    """What one call may say besides its prompt; unsaid means the default, and 0 means 0.

    Attributes:
        timeout: The call's whole budget in seconds.
        metadata: More request headers, such as `x-request-id`.
    """

    timeout: float
    metadata: Mapping[str, str]


class GenerationOptions(CallOptions, total=False):
    """What `generate`, `stream` and `count_tokens` take. For more write a `GenerationInput`.

    Attributes:
        model: A route's name or `provider/model`; unsaid: the gateway's default route.
        system: Instructions to the model, put before the messages.
        max_output_tokens: The longest answer in tokens, reasoning included.
        temperature: Randomness, usually 0 to 2.
        top_p: The share of probability to choose among, 0 to 1.
        seed: Ask for the same answer to the same request.
        stop: End the answer before the first of these; at most 16.
        tools: What the model may ask its caller to run; see `tool`.
        tool_choice: Whether the model may, must or must not ask for tools.
        json_schema: The JSON Schema that the answer's text must fulfil.
        reasoning_effort: How much to think first.
        include_reasoning: Send the reasoning too.
    """

    model: str
    system: str
    max_output_tokens: int
    temperature: float
    top_p: float
    seed: int
    stop: Sequence[str]
    tools: Sequence[ToolDefinition]
    tool_choice: ToolChoice
    json_schema: Mapping[str, Any]
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh", "max"]
    include_reasoning: bool


def system(text: str) -> Message:
    """Instructions to the model."""
    return Message(role=ROLE_SYSTEM, parts=[ContentPart(text=text)])


def user(*content: str | ContentPart) -> Message:
    """What the caller says: text and media, in order."""
    return _message(ROLE_USER, content)


def assistant(*content: str | ContentPart) -> Message:
    """What the model said earlier; `Response.as_turn()` makes it of an answer, nothing lost."""
    return _message(ROLE_ASSISTANT, content)


def tool_result(tool_call_id: str, *content: str | ContentPart, is_error: bool = False) -> Message:
    """What a tool gave back to the call of that id; with `is_error`, how it failed."""
    result = ToolResult(tool_call_id=tool_call_id, parts=_parts(content), is_error=is_error)
    return Message(role=ROLE_TOOL, parts=[ContentPart(tool_result=result)])


def image(source: bytes | str, mime_type: str = "") -> ContentPart:
    """An image for `user`: its bytes with their media type, or an https address.

    Raises:
        ValueError: bytes without a media type.
    """
    if isinstance(source, str):
        return ContentPart(media=MediaPart(mime_type=mime_type, uri=source))
    if not mime_type:
        raise ValueError('image bytes need their media type, such as image(data, "image/png")')
    return ContentPart(media=MediaPart(mime_type=mime_type, data=source))


def tool(
    name: str, description: str = "", parameters: Mapping[str, Any] | None = None
) -> ToolDefinition:
    """A tool that the model may ask for; `parameters` is the JSON Schema of its arguments."""
    schema = "" if parameters is None else json.dumps(parameters)
    return ToolDefinition(name=name, description=description, parameters_schema_json=schema)


def generation_input(prompt: Prompt, options: GenerationOptions) -> GenerationInput:
    """The input that prompt and options ask for; options win over those of a given input."""
    given = GenerationInput()
    if isinstance(prompt, GenerationInput):
        given.CopyFrom(prompt)
    elif isinstance(prompt, str):
        given.messages.append(user(prompt))
    else:
        given.messages.extend([prompt] if isinstance(prompt, Message) else prompt)
    if "system" in options:
        given.messages.insert(0, system(options["system"]))
    if "model" in options:
        given.model = options["model"]
    if "tools" in options:
        del given.tools[:]
        given.tools.extend(options["tools"])
    if "tool_choice" in options:
        given.tool_choice.CopyFrom(options["tool_choice"])
    _set_sampling(given, options)
    _set_output(given, options)
    return given


def stream_request(
    generation: GenerationInput, stream_options: StreamOptions | None
) -> GenerateStreamRequest:
    """The request of a stream. It asks for RESTART unless told otherwise: this client folds."""
    request = GenerateStreamRequest(input=generation, stream_options=stream_options)
    if request.stream_options.recovery == RECOVERY_MODE_UNSPECIFIED:
        request.stream_options.recovery = RECOVERY_MODE_RESTART
    return request


def _set_sampling(given: GenerationInput, options: GenerationOptions) -> None:
    if "temperature" in options:
        given.sampling.temperature = options["temperature"]
    if "top_p" in options:
        given.sampling.top_p = options["top_p"]
    if "seed" in options:
        given.sampling.seed = options["seed"]


def _set_output(given: GenerationInput, options: GenerationOptions) -> None:
    output = given.output
    if "max_output_tokens" in options:
        output.max_output_tokens = options["max_output_tokens"]
    if "stop" in options:
        # A lone string is a sequence of its letters, which nobody means.
        stop = options["stop"]
        output.stop_sequences[:] = [stop] if isinstance(stop, str) else stop
    if "include_reasoning" in options:
        output.include_reasoning = options["include_reasoning"]
    if "reasoning_effort" in options:
        name = f"REASONING_EFFORT_{options['reasoning_effort'].upper()}"
        output.reasoning_effort = ReasoningEffort.Value(name)
    if "json_schema" in options:
        output.response_format = RESPONSE_FORMAT_JSON_SCHEMA
        output.response_schema_json = json.dumps(options["json_schema"])


def _message(role: Role.ValueType, content: Sequence[str | ContentPart]) -> Message:
    return Message(role=role, parts=_parts(content))


def _parts(content: Sequence[str | ContentPart]) -> list[ContentPart]:
    return [ContentPart(text=part) if isinstance(part, str) else part for part in content]
