"""Counts a request's tokens: its texts by an encoding, its form by what vendors add to them.

Sources: https://cookbook.openai.com/examples/how_to_count_tokens_with_tiktoken for OpenAI's
messages; the usage that vendors reported for recorded requests for everything else.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from llmgateway_server.domain.content import (
    MediaPart,
    ReasoningPart,
    TextPart,
    ToolCallPart,
    ToolResultPart,
)
from llmgateway_server.domain.request import GenerationRequest, ReasoningEffort
from llmgateway_server.ports.tokens import TokenCount
from llmgateway_server.tokens.vocabulary import COMMON, encoding, encoding_name

logger = logging.getLogger(__name__)

# English and JSON have about four bytes a token, in all vendors' vocabularies.
_BYTES_A_TOKEN: Final = 4
# Of a text; above it a few milliseconds of the event loop would be gone.
_LONG: Final = 20_000


class _Form(Struct, frozen=True):
    """Tokens that a vendor adds: once, for each message, tool, call or result, and image.

    `with_tools` comes once where there are tools, `with_schema` where there is a schema, and
    `with_thinking` where the model is asked to think. Not all count a schema of the answer, or of a
    tool's parameters.
    """

    once: int = 4
    message: int = 4
    with_tools: int = 0
    tool: int = 12
    call: int = 7
    with_schema: int = 0
    with_thinking: int = 0
    image: int = 300
    counts_schema: bool = True
    counts_parameters: bool = True


_FORMS: Final = {
    "openai": _Form(once=3, tool=0, call=6, image=425),
    "anthropic": _Form(
        once=7, message=0, with_tools=500, tool=25, with_schema=160, with_thinking=29
    ),
    "gemini": _Form(once=2, message=0, tool=0, image=258, counts_schema=False),
    "deepseek": _Form(once=4, message=0),
}
_ANY_FORM: Final = _Form()
# How families of a vendor's models differ from the others, by the beginning of their names.
_FAMILIES: Final[dict[str, tuple[tuple[str, dict[str, Any]], ...]]] = {
    # Prompts count one token less, and tools more.
    "openai": (("gpt-5", {"once": 2, "tool": 35}),),
    # The instructions that come with tools, which older models are given less or more of:
    # https://platform.claude.com/docs/en/agents-and-tools/tool-use/overview#pricing.
    "anthropic": (
        ("claude-3-opus", {"with_tools": 530}),
        ("claude-3-sonnet", {"with_tools": 159}),
        ("claude-3-haiku", {"with_tools": 264}),
        ("claude-3-5-haiku", {"with_tools": 264}),
        *(
            (name, {"with_tools": 330})
            for name in (
                *("claude-3-5-sonnet", "claude-3-7-sonnet", "claude-sonnet-4-2", "claude-opus-4-2"),
                *("claude-sonnet-4-0", "claude-opus-4-0", "claude-opus-4-1"),
            )
        ),
    ),
    # Of a tool's parameters nothing is counted.
    "gemini": (
        ("gemini-2.0", {"counts_parameters": False}),
        ("gemini-1.5", {"counts_parameters": False}),
    ),
}
# Who serves OpenAI's models.
_OPENAI: Final = frozenset({"openai", "azure"})
# Whose form is recorded, so that plain text is counted exactly.
_EXACT_MODELS: Final = ("gpt-3.5", "gpt-4", "gpt-5")


class OfflineCounter:
    """A `TokenCounter` that asks nobody."""

    async def count(self, request: GenerationRequest, vendor: str, model: str) -> TokenCount:
        """The input tokens of a request; see the port."""
        size = sum(len(text) for text in _texts(request))
        size += sum(len(tool.parameters_schema_json) for tool in request.tools)
        if size < _LONG and encoding.cache_info().currsize:
            return _count(request, vendor, model)
        return await asyncio.to_thread(_count, request, vendor, model)

    def estimate_text(self, byte_count: int, vendor: str) -> int:
        """The tokens of a text of that many bytes; see the port."""
        del vendor
        return -(-byte_count // _BYTES_A_TOKEN)


def _count(request: GenerationRequest, vendor: str, model: str) -> TokenCount:
    is_openais = vendor in _OPENAI
    name = encoding_name(model) if is_openais else None
    form = _form("openai" if is_openais else vendor, model)
    texts = [*_texts(request)]
    if form.counts_parameters:
        texts += [tool.parameters_schema_json for tool in request.tools]
    if form.counts_schema:
        texts.append(request.output.response_schema_json)
    try:
        tokenizer = encoding(name or COMMON)
        tokens = sum(len(tokenizer.encode_ordinary(text)) for text in texts)
    except RuntimeError as error:
        logger.warning("tokens are estimated by their bytes: %s", error)
        name = None
        tokens = sum(-(-len(text.encode()) // _BYTES_A_TOKEN) for text in texts)
    # A deployment's name at Azure is its owner's word for what it is.
    is_known = vendor == "openai" and model.startswith(_EXACT_MODELS)
    is_exact = name is not None and is_known and _is_plain(request)
    return TokenCount(tokens + _added(request, form), is_estimated=not is_exact)


def _form(vendor: str, model: str) -> _Form:
    form = _FORMS.get(vendor, _ANY_FORM)
    for family, differences in _FAMILIES.get(vendor, ()):
        if model.startswith(family):
            return replace(form, **differences)
    return form


def _texts(request: GenerationRequest) -> Iterator[str]:
    for message in request.messages:
        for part in message.parts:
            match part:
                case TextPart() | ReasoningPart():
                    yield part.text
                case ToolCallPart():
                    yield part.name
                    yield part.arguments_json
                case ToolResultPart():
                    yield from (each.text for each in part.parts if isinstance(each, TextPart))
    for tool in request.tools:
        yield tool.name
        yield tool.description


def _added(request: GenerationRequest, form: _Form) -> int:
    calls = images = 0
    for message in request.messages:
        for part in message.parts:
            calls += isinstance(part, ToolCallPart | ToolResultPart)
            images += isinstance(part, MediaPart)
            if isinstance(part, ToolResultPart):
                images += sum(isinstance(each, MediaPart) for each in part.parts)
    added = form.once + form.message * len(request.messages)
    added += form.tool * len(request.tools) + form.call * calls + form.image * images
    if request.tools:
        added += form.with_tools
    if request.output.response_schema_json:
        added += form.with_schema
    if request.output.reasoning_effort not in {None, ReasoningEffort.NONE}:
        added += form.with_thinking
    return added


def _is_plain(request: GenerationRequest) -> bool:
    """Whether it is nothing but texts, whose form is known exactly."""
    return (
        not request.tools
        and not request.output.response_schema_json
        and all(
            isinstance(part, TextPart) for message in request.messages for part in message.parts
        )
    )
