"""Recorded request bodies, read back into the request that would have been written so."""

import json
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from llmgateway_server.domain.content import (
    MediaPart,
    Message,
    Part,
    ReasoningPart,
    Role,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ReasoningEffort,
    ResponseFormat,
    Tool,
)

Json = dict[str, Any]

_ROLES = {
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "model": Role.ASSISTANT,
}


def read_request(wire: str, body: Json) -> GenerationRequest:
    """The request of a recorded body; what does not count as input is left out."""
    readers = {
        "openai-chat": _chat,
        "openai-responses": _responses,
        "anthropic-messages": _anthropic,
        "gemini-generatecontent": _gemini,
    }
    return readers[wire](body)


def _chat(body: Json) -> GenerationRequest:
    messages = []
    for message in body["messages"]:
        if message["role"] == "tool":
            result = ToolResultPart(message["tool_call_id"], _texts(message["content"]))
            messages.append(Message(Role.TOOL, (result,)))
            continue
        parts: list[Part] = []
        if message.get("reasoning"):
            parts.append(ReasoningPart(message["reasoning"]))
        parts += _parts(message.get("content"))
        for call in message.get("tool_calls") or ():
            function = call["function"]
            parts.append(ToolCallPart(call["id"], function["name"], function["arguments"]))
        messages.append(Message(_ROLES[message["role"]], tuple(parts)))
    tools = [tool["function"] for tool in body.get("tools") or ()]
    schema = (body.get("response_format") or {}).get("json_schema", {}).get("schema")
    return _request(messages, tools, "parameters", schema)


def _responses(body: Json) -> GenerationRequest:
    messages = []
    if body.get("instructions"):
        messages.append(_message(Role.SYSTEM, body["instructions"]))
    items = body["input"]
    for item in [{"role": "user", "content": items}] if isinstance(items, str) else items:
        match item.get("type", "message"):
            case "message":
                messages.append(_message(_ROLES[item["role"]], item["content"]))
            case "function_call":
                call = ToolCallPart(item["call_id"], item["name"], item["arguments"])
                messages.append(Message(Role.ASSISTANT, (call,)))
            case "function_call_output":
                result = ToolResultPart(item["call_id"], _texts(item["output"]))
                messages.append(Message(Role.TOOL, (result,)))
            case "reasoning":
                pass  # opaque: an id or an encrypted blob
    schema = ((body.get("text") or {}).get("format") or {}).get("schema")
    return _request(messages, body.get("tools") or (), "parameters", schema)


def _anthropic(body: Json) -> GenerationRequest:
    messages = [_message(Role.SYSTEM, body["system"])] if body.get("system") else []
    messages += [_message(_ROLES[m["role"]], m["content"]) for m in body["messages"]]
    schema = ((body.get("output_config") or {}).get("format") or {}).get("schema")
    request = _request(messages, body.get("tools") or (), "input_schema", schema)
    if body.get("thinking"):
        output = replace(request.output, reasoning_effort=ReasoningEffort.LOW)
        request = replace(request, output=output)
    return request


def _gemini(body: Json) -> GenerationRequest:
    system = body.get("systemInstruction")
    messages = [_message(Role.SYSTEM, system["parts"])] if system else []
    messages += [_message(_ROLES[c["role"]], c["parts"]) for c in body["contents"]]
    declarations = [
        declaration
        for tool in body.get("tools") or ()
        for declaration in tool.get("functionDeclarations", ())
    ]
    for declaration in declarations:
        for key in ("parameters_json_schema", "parametersJsonSchema"):
            declaration.setdefault("parameters", declaration.get(key))
    schema = (body.get("generationConfig") or {}).get("responseJsonSchema")
    return _request(messages, declarations, "parameters", schema)


def _request(
    messages: Sequence[Message], tools: Sequence[Json], schema_key: str, schema: Json | None
) -> GenerationRequest:
    output = Output()
    if schema is not None:
        output = Output(
            response_format=ResponseFormat.JSON_SCHEMA, response_schema_json=_compact(schema)
        )
    return GenerationRequest(
        "recorded",
        tuple(messages),
        output=output,
        tools=tuple(
            Tool(tool["name"], tool.get("description", ""), _compact(tool[schema_key]))
            for tool in tools
        ),
    )


def _message(role: Role, content: object) -> Message:
    return Message(role, tuple(_parts(content)))


def _texts(content: object) -> tuple[TextPart | MediaPart, ...]:
    return tuple(p for p in _parts(content) if isinstance(p, TextPart | MediaPart))


def _parts(content: object) -> list[Part]:
    if content is None or content == "":
        return []
    if isinstance(content, str):
        return [TextPart(content)]
    assert isinstance(content, list)
    return [_part(block) for block in content]


def _part(block: Json) -> Part:  # noqa: PLR0911 - one for each kind
    match block:
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            return _media(url)
        case {"type": "input_image", "image_url": str(url)}:
            return _media(url)
        case {"inlineData": {"mimeType": str(mime_type), "data": str(data)}}:
            return MediaPart(mime_type, data=b64decode(data + "=="))
        case {"type": "tool_use", "id": id_, "name": name, "input": arguments}:
            return ToolCallPart(id_, name, _compact(arguments))
        case {"functionCall": {"name": name, "args": arguments}}:
            return ToolCallPart("", name, _compact(arguments))
        case {"type": "tool_result", "tool_use_id": id_, "content": content}:
            return ToolResultPart(id_, _texts(content))
        case {"functionResponse": {"name": name, "response": answer}}:
            return ToolResultPart(name, (TextPart(_compact(answer)),))
        case {"type": "document", "source": {"data": str(text)}}:
            return TextPart(text)
        case {"text": str(text)}:
            return TextPart(text)
    raise AssertionError(f"a part of an unknown kind: {block}")


def _media(url: str) -> MediaPart:
    if not url.startswith("data:"):
        return MediaPart("image/*", uri=url)
    mime_type, _, data = url.removeprefix("data:").partition(";base64,")
    return MediaPart(mime_type, data=b64decode(data + "=="))


def _compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
