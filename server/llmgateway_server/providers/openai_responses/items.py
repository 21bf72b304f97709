"""Puts a conversation into the input items of Responses.

Source: https://platform.openai.com/docs/api-reference/responses/create (`input`).
"""

from __future__ import annotations

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
from llmgateway_server.providers.openai_images import image_url
from llmgateway_server.providers.openai_responses.reasoning import reasoning_item
from llmgateway_server.providers.request_writing import Json, misplaced

# System messages are items of the input and no `instructions`: so they keep their places, and xAI
# refuses that field.
_PROMPT_ROLES = {Role.SYSTEM: "system", Role.USER: "user"}


class ItemWriter:
    """Writes the input items of one request.

    A part is an item of its own, in the parts' order; only texts next to each other share one.
    Items have no ids but for reasoning, which is known by none else: an id without its item stored
    at the provider is an error there.
    """

    def __init__(self, provider: str, *, reasons: bool) -> None:
        """Start a request to `provider`; `reasons` is whether the model can take reasoning."""
        self._provider = provider
        self._reasons = reasons
        self._written: list[Json] = []

    def write(self, messages: tuple[Message, ...]) -> list[Json]:
        """The items.

        Raises:
            GatewayError: REQUEST_INVALID or CAPABILITY_UNSUPPORTED, naming the part.
        """
        for number, message in enumerate(messages):
            path = f"input.messages[{number}]"
            match message.role:
                case Role.TOOL:
                    self._write_results(message.parts, path)
                case Role.ASSISTANT:
                    self._write_assistant(message.parts, path)
                case role:
                    self._write_prompt(role, message.parts, path)
        return self._written

    def _write_prompt(self, role: Role, parts: tuple[Part, ...], path: str) -> None:
        content: list[Json] = []
        for number, part in enumerate(parts):
            field = f"{path}.parts[{number}]"
            if isinstance(part, TextPart):
                content.append(_text(part.text))
            elif isinstance(part, MediaPart) and role is Role.USER:
                content.append(_image(part, field))
            else:
                raise misplaced(field, part, role)
        self._written.append({"type": "message", "role": _PROMPT_ROLES[role], "content": content})

    def _write_assistant(self, parts: tuple[Part, ...], path: str) -> None:
        items: list[Json] = []
        texts: list[Json] | None = None
        for number, part in enumerate(parts):
            if isinstance(part, TextPart):
                if texts is None:
                    texts = []
                    items.append({"type": "message", "role": "assistant", "content": texts})
                texts.append({"type": "output_text", "text": part.text})
                continue
            texts = None
            match part:
                case ToolCallPart():
                    items.append(_call(part))
                case ReasoningPart():
                    items.extend(self._reasoning(part))
                case _:
                    raise misplaced(f"{path}.parts[{number}]", part, Role.ASSISTANT)
        while items and items[-1]["type"] == "reasoning":
            # The provider refuses reasoning that leads to nothing, as a cut turn leaves it.
            items.pop()
        self._written.extend(items)

    def _reasoning(self, part: ReasoningPart) -> list[Json]:
        """The item of a reasoning part; none where it is not this provider's, or of no use."""
        if part.signature_provider != self._provider or not self._reasons:
            return []
        item = reasoning_item(part)
        return [] if item is None else [item]

    def _write_results(self, parts: tuple[Part, ...], path: str) -> None:
        for number, part in enumerate(parts):
            field = f"{path}.parts[{number}]"
            if not isinstance(part, ToolResultPart):
                raise misplaced(field, part, Role.TOOL)
            self._written.append(
                {
                    "type": "function_call_output",
                    "call_id": part.tool_call_id,
                    "output": _output(part, f"{field}.tool_result"),
                }
            )


def _call(part: ToolCallPart) -> Json:
    return {
        "type": "function_call",
        "call_id": part.tool_call_id,
        "name": part.name,
        "arguments": part.arguments_json or "{}",
    }


def _output(result: ToolResultPart, path: str) -> str | list[Json]:
    """What a tool answered: a string where it is one text, since some servers know nothing else."""
    content = [
        _text(part.text) if isinstance(part, TextPart) else _image(part, f"{path}.parts[{number}]")
        for number, part in enumerate(result.parts)
    ]
    if result.is_error:
        # The wire has no field for it, and the model should not take it for a result.
        if len(content) == 1 and "text" in content[0]:
            content = [_text(f"Error: {content[0]['text']}")]
        else:
            content.insert(0, _text("Error:"))
    if not content:
        return ""
    if len(content) == 1 and "text" in content[0]:
        text: str = content[0]["text"]
        return text
    return content


def _text(text: str) -> Json:
    return {"type": "input_text", "text": text}


def _image(part: MediaPart, field: str) -> Json:
    return {"type": "input_image", "image_url": image_url(part, f"{field}.media")}
