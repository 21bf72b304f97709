"""What the server sends: only the fields that are read.

Source: https://ai.google.dev/api/generate-content#v1beta.GenerateContentResponse.
"""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder


class FunctionCall(Struct, gc=False):
    """A call, always whole; most models give it no id."""

    id: str | None = None
    name: str | None = None
    args: Raw = Raw()


class Part(Struct, rename="camel", gc=False):
    """A piece of content; a signature belongs to the part that it came on."""

    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: FunctionCall | None = None


class Content(Struct, gc=False):
    """What a candidate says in one chunk."""

    parts: list[Part | None] | None = None


class Candidate(Struct, rename="camel", gc=False):
    """One of the answers; only the first is asked for."""

    index: int | None = None
    content: Content | None = None
    finish_reason: str | None = None


class PromptFeedback(Struct, rename="camel", gc=False):
    """Why the prompt was not answered at all."""

    block_reason: str | None = None


class Chunk(Struct, rename="camel", gc=False):
    """An event of a stream, or a whole answer: both are a GenerateContentResponse.

    Every event has a usage and only the last one counts, so it is not read before it is wanted.
    """

    candidates: list[Candidate | None] | None = None
    usage_metadata: Raw = Raw()
    prompt_feedback: PromptFeedback | None = None
    response_id: str | None = None
    error: Any = None


class TokenTotal(Struct, rename="camel", gc=False):
    """The answer to countTokens."""

    total_tokens: int | None = None
    error: Any = None


class Vector(Struct, gc=False):
    """One text's embedding."""

    values: list[float] | None = None


class Vectors(Struct, rename="camel", gc=False):
    """The answer to batchEmbedContents."""

    embeddings: list[Vector] | None = None
    usage_metadata: Raw = Raw()
    error: Any = None


CHUNK: Final = Decoder(Chunk)
CHUNKS: Final = Decoder(list[Chunk])
TOKEN_TOTAL: Final = Decoder(TokenTotal)
VECTORS: Final = Decoder(Vectors)
