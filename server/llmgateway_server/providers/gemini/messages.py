"""Puts a conversation into Gemini's contents.

Source: https://ai.google.dev/api/caching#Content, https://ai.google.dev/gemini-api/docs/function-calling
and https://ai.google.dev/gemini-api/docs/file-input-methods.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

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
from llmgateway_server.providers.gemini.call_ids import googles_call_id
from llmgateway_server.providers.gemini.media import media_part
from llmgateway_server.providers.gemini.signatures import SKIP_VALIDATION, Carrier, unpacked
from llmgateway_server.providers.request_writing import Json, invalid, misplaced


class _Call(NamedTuple):
    """What a result has to know of its call; `number` counts the calls of the conversation."""

    name: str
    number: int


class MessageWriter:
    """Writes the messages of one request.

    Gemini wants all results of a turn in one content directly after the calls, as many as there
    were calls. It has no ids to pair them by, mostly, so they go in the order of the calls.
    """

    def __init__(self, provider: str, base_url: str, *, third_generation: bool) -> None:
        """Begins a request.

        Args:
            provider: Whose signatures go back; those of all others are dropped.
            base_url: Where files of the Files API are.
            third_generation: The model takes media inside of results and demands signatures.
        """
        self.system: list[Json] = []
        self.contents: list[Json] = []
        self._provider = provider
        self._base_url = base_url
        self._third_generation = third_generation
        self._role: Role | None = None
        self._calls: dict[str, _Call] = {}
        self._call_count = 0
        self._results: list[tuple[int, Json]] = []
        self._result_media: list[Json] = []

    def write(self, messages: tuple[Message, ...]) -> None:
        """Fills `system` and `contents`.

        Raises:
            GatewayError: REQUEST_INVALID, naming the part.
        """
        for number, message in enumerate(messages):
            path = f"input.messages[{number}]"
            if message.role is not Role.TOOL:
                self._release_results()
            match message.role:
                case Role.SYSTEM:
                    self.system += self._prompt(Role.SYSTEM, message.parts, path)
                case Role.USER:
                    self._add(Role.USER, self._prompt(Role.USER, message.parts, path))
                case Role.ASSISTANT:
                    self._add(Role.ASSISTANT, self._answer(message.parts, path))
                case Role.TOOL:
                    self._take_results(message.parts, path)
        self._release_results()

    def _add(self, role: Role, parts: list[Json]) -> None:
        """Adds to the contents; neighbours of one role are one, since Gemini counts turns."""
        if not parts:
            return
        if role is self._role:
            self.contents[-1]["parts"] += parts
            return
        self._role = role
        self.contents.append(
            {"role": "model" if role is Role.ASSISTANT else "user", "parts": parts}
        )

    def _prompt(self, role: Role, parts: tuple[Part, ...], path: str) -> list[Json]:
        written: list[Json] = []
        for number, part in enumerate(parts):
            field = f"{path}.parts[{number}]"
            if isinstance(part, TextPart):
                written.append({"text": part.text})
            elif isinstance(part, MediaPart) and role is Role.USER:
                written.append(media_part(part, field, self._base_url))
            else:
                raise misplaced(field, part, role)
        return written

    def _answer(self, parts: tuple[Part, ...], path: str) -> list[Json]:
        written: list[Json] = []
        calls: list[Json] = []
        # The signature of the part that comes next.
        signed: tuple[Carrier, str] | None = None
        for number, part in enumerate(parts):
            if isinstance(part, ReasoningPart):
                signed = self._reasoning(part, written) or signed
                continue
            match part:
                case TextPart():
                    if part.text:
                        written.append(_signed({"text": part.text}, Carrier.TEXT, signed))
                case ToolCallPart():
                    call = self._call(part, f"{path}.parts[{number}].tool_call")
                    calls.append(_signed(call, Carrier.CALL, signed))
                    written.append(calls[-1])
                case MediaPart():
                    written.append(media_part(part, f"{path}.parts[{number}]", self._base_url))
                case _:
                    raise misplaced(f"{path}.parts[{number}]", part, Role.ASSISTANT)
            signed = None
        if calls and self._third_generation:
            # Where the caller did not keep it, or another model made the call.
            calls[0].setdefault("thoughtSignature", SKIP_VALIDATION)
        return written

    def _reasoning(self, part: ReasoningPart, written: list[Json]) -> tuple[Carrier, str] | None:
        """Writes what stands for itself; returns the signature of the part that comes next.

        Reasoning without a signature of ours is left out: models do without it.
        """
        found = unpacked(part.signature) if part.signature_provider == self._provider else None
        if found is None:
            return None
        carrier, signature = found
        match carrier:
            case Carrier.THOUGHT:
                written.append({"text": part.text, "thought": True, "thoughtSignature": signature})
            case Carrier.EMPTY_TEXT:
                written.append({"text": "", "thoughtSignature": signature})
            case _:
                return found
        return None

    def _call(self, part: ToolCallPart, path: str) -> Json:
        self._calls[part.tool_call_id] = _Call(part.name, self._call_count)
        self._call_count += 1
        args = _arguments(part.arguments_json, f"{path}.arguments_json")
        return {"functionCall": _with_id(part.tool_call_id, {"name": part.name, "args": args})}

    def _take_results(self, parts: tuple[Part, ...], path: str) -> None:
        for number, part in enumerate(parts):
            field = f"{path}.parts[{number}]"
            if not isinstance(part, ToolResultPart):
                raise misplaced(field, part, Role.TOOL)
            self._take_result(part, f"{field}.tool_result")

    def _take_result(self, result: ToolResultPart, path: str) -> None:
        call = self._calls.get(result.tool_call_id)
        if call is None:
            raise invalid(
                f"{path}.tool_call_id",
                "no call before it has this id, and Gemini wants the name of the called tool",
            )
        texts: list[str] = []
        inside: list[Json] = []
        beside: list[Json] = []
        for number, part in enumerate(result.parts):
            if isinstance(part, TextPart):
                texts.append(part.text)
                continue
            written = media_part(part, f"{path}.parts[{number}]", self._base_url)
            is_inside = self._third_generation and part.data is not None
            (inside if is_inside else beside).append(written)
        if beside:
            # Second-generation models refuse media inside of a result, and all of them anything
            # beside it in the same content.
            self._result_media.append({"text": f"Media in the result of {call.name}:"})
            self._result_media += beside
        if not texts:
            texts.append("The result is in the media that come with it.")
        said = texts[0] if len(texts) == 1 else texts
        response = _with_id(
            result.tool_call_id,
            {"name": call.name, "response": {"error" if result.is_error else "output": said}},
        )
        if inside:
            response["parts"] = inside
        self._results.append((call.number, {"functionResponse": response}))

    def _release_results(self) -> None:
        self._results.sort(key=lambda result: result[0])
        self._add(Role.TOOL, [result for _, result in self._results])
        self._add(Role.USER, self._result_media)
        self._results, self._result_media = [], []


def _signed(part: Json, carrier: Carrier, signature: tuple[Carrier, str] | None) -> Json:
    """The part with the signature before it, where it is one of such a part."""
    if signature is not None and signature[0] is carrier:
        part["thoughtSignature"] = signature[1]
    return part


def _arguments(text: str, field: str) -> msgspec.Raw:
    """The arguments as they stand: decoding and encoding them again could change them."""
    data = text.encode() or b"{}"
    try:
        value: Any = msgspec.json.decode(data)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise invalid(field, "write the arguments as a JSON object")
    return msgspec.Raw(data)


def _with_id(call_id: str, fields: Json) -> Json:
    googles = googles_call_id(call_id)
    return {"id": googles, **fields} if googles else fields
