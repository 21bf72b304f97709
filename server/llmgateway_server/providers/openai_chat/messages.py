"""Puts a conversation into Chat Completions messages."""

from __future__ import annotations

import re
from hashlib import sha256

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
from llmgateway_server.providers.openai_chat.options import OpenAIChatOptions
from llmgateway_server.providers.openai_chat.reasoning import given_back
from llmgateway_server.providers.openai_images import image_url
from llmgateway_server.providers.request_writing import Json, misplaced

_NINE_CHARACTERS = re.compile(r"[A-Za-z0-9]{9}")


class MessageWriter:
    """Writes the messages of one request.

    Tool messages hold text only, and all results of a turn come directly after its calls: images
    in results wait for the end of the results and follow in a user message.
    """

    def __init__(self, provider: str, options: OpenAIChatOptions) -> None:
        self._provider = provider
        self._reasoning_field = options.reasoning_history
        self._roles = {Role.SYSTEM: options.system_role, Role.USER: "user"}
        self._marks = options.cache_breakpoints == "cache_control"
        self._call_id = nine_characters if options.tool_call_ids == "nine_characters" else str
        self._written: list[Json] = []
        self._waiting: list[Json] = []

    def write(self, messages: tuple[Message, ...]) -> list[Json]:
        """The messages.

        Raises:
            GatewayError: REQUEST_INVALID or CAPABILITY_UNSUPPORTED, naming the part.
        """
        for number, message in enumerate(messages):
            path = f"input.messages[{number}]"
            if message.role is not Role.TOOL:
                self._release_images()
            match message.role:
                case Role.TOOL:
                    self._write_results(message.parts, path)
                case Role.ASSISTANT:
                    self._write_assistant(message.parts, path)
                case role:
                    self._write_prompt(role, message.parts, path)
        self._release_images()
        return self._written

    def _write_prompt(self, role: Role, parts: tuple[Part, ...], path: str) -> None:
        content: list[Json] = []
        for number, part in enumerate(parts):
            field = f"{path}.parts[{number}]"
            if isinstance(part, TextPart):
                content.append(self._marked(part, _text(part.text)))
            elif isinstance(part, MediaPart) and role is Role.USER:
                content.append(self._marked(part, _image(part, field)))
            else:
                raise misplaced(field, part, role)
        self._written.append({"role": self._roles[role], "content": _collapsed(content)})

    def _write_assistant(self, parts: tuple[Part, ...], path: str) -> None:
        content: list[Json] = []
        calls: list[Json] = []
        reasoning: list[ReasoningPart] = []
        for number, part in enumerate(parts):
            match part:
                case TextPart():
                    content.append(self._marked(part, _text(part.text)))
                case ToolCallPart():
                    function = {"name": part.name, "arguments": part.arguments_json or "{}"}
                    calls.append(
                        {
                            "id": self._call_id(part.tool_call_id),
                            "type": "function",
                            "function": function,
                        }
                    )
                case ReasoningPart():
                    reasoning.append(part)
                case _:
                    raise misplaced(f"{path}.parts[{number}]", part, Role.ASSISTANT)
        if not content and not calls and parts:
            # Nothing but reasoning: servers refuse an assistant message that says nothing.
            return
        message: Json = {
            "role": "assistant",
            "content": None if calls and not content else _collapsed(content),
        }
        if calls:
            message["tool_calls"] = calls
        message.update(given_back(reasoning, self._provider, self._reasoning_field))
        self._written.append(message)

    def _write_results(self, parts: tuple[Part, ...], path: str) -> None:
        for number, part in enumerate(parts):
            field = f"{path}.parts[{number}]"
            if not isinstance(part, ToolResultPart):
                raise misplaced(field, part, Role.TOOL)
            self._write_result(part, f"{field}.tool_result")

    def _write_result(self, result: ToolResultPart, path: str) -> None:
        content: list[Json] = []
        images: list[Json] = []
        for number, part in enumerate(result.parts):
            if isinstance(part, TextPart):
                content.append(self._marked(part, _text(part.text)))
            else:
                images.append(_image(part, f"{path}.parts[{number}]"))
        if images:
            self._waiting.append(_text(f"Images in the result of {result.tool_call_id}:"))
            self._waiting.extend(images)
            if not content:
                content.append(_text("The result is in the images that follow."))
        if result.is_error:
            # The wire has no field for it, and the model should not take it for a result.
            if len(content) == 1:
                content = [_text(f"Error: {content[0]['text']}")]
            else:
                content.insert(0, _text("Error:"))
        self._written.append(
            {
                "role": "tool",
                "tool_call_id": self._call_id(result.tool_call_id),
                "content": _collapsed(content),
            }
        )

    def _marked(self, part: TextPart | MediaPart, written: Json) -> Json:
        if part.cache_breakpoint and self._marks:
            written["cache_control"] = {"type": "ephemeral"}
        return written

    def _release_images(self) -> None:
        if self._waiting:
            self._written.append({"role": "user", "content": self._waiting})
            self._waiting = []


def nine_characters(call_id: str) -> str:
    """An id of nine letters and digits, the same for the same id."""
    if _NINE_CHARACTERS.fullmatch(call_id):
        return call_id
    return sha256(call_id.encode()).hexdigest()[:9]


def _text(text: str) -> Json:
    return {"type": "text", "text": text}


def _collapsed(content: list[Json]) -> str | list[Json]:
    """A plain string where there is one text: some servers understand nothing else."""
    if not content:
        return ""
    if len(content) == 1 and content[0].keys() == {"type", "text"}:
        text: str = content[0]["text"]
        return text
    return content


def _image(part: MediaPart, path: str) -> Json:
    return {"type": "image_url", "image_url": {"url": image_url(part, f"{path}.media")}}
