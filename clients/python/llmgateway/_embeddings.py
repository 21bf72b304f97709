"""Texts to embed, and their vectors."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from llmgateway._input import CallOptions
from llmgateway.v1.embedding_service_pb2 import (
    EMBEDDING_ENCODING_F32_LE,
    EMBEDDING_ENCODING_UNSPECIFIED,
    Embedding,
    EmbedRequest,
    EmbedResponse,
)
from llmgateway.v1.usage_pb2 import Route, Usage

EmbeddingInput = str | Sequence[str] | EmbedRequest
"""One text, several, or the contract's own message with every option."""


class EmbeddingOptions(CallOptions, total=False):
    """The options of `embed`. For all others write an `EmbedRequest`.

    Attributes:
        model: A route's name or `provider/model`; unsaid: the gateway's default route.
        dimensions: The length of the vectors; not every model can shorten them.
    """

    model: str
    dimensions: int


@dataclass(frozen=True)
class Embeddings:
    """The vectors of a call's texts.

    Attributes:
        message: The answer as the contract has it.
        request_id: The id under which the gateway logged the call.
    """

    message: EmbedResponse
    request_id: str = ""

    @cached_property
    def vectors(self) -> tuple[array[float], ...]:
        """One vector for each text, in their order; NumPy and its like take them uncopied."""
        return tuple(map(_vector, self.message.embeddings))

    @property
    def usage(self) -> Usage:
        """The tokens, and where known the cost."""
        return self.message.usage

    @property
    def route(self) -> Route:
        """Who answered, and how fast."""
        return self.message.route

    @property
    def response_id(self) -> str:
        """The answer's id, a ULID."""
        return self.message.response_id

    @property
    def model(self) -> str:
        """The target that answered, as `provider/model`."""
        return self.message.model


def embed_request(inputs: EmbeddingInput, options: EmbeddingOptions) -> EmbedRequest:
    """The request that texts and options ask for; options win over those of a given request.

    It asks for packed vectors unless told otherwise: they are far cheaper to read.
    """
    request = EmbedRequest()
    if isinstance(inputs, EmbedRequest):
        request.CopyFrom(inputs)
    else:
        # A lone string is a sequence of its letters, which nobody means.
        request.inputs.extend([inputs] if isinstance(inputs, str) else inputs)
    if "model" in options:
        request.model = options["model"]
    if "dimensions" in options:
        request.dimension_count = options["dimensions"]
    if request.encoding == EMBEDDING_ENCODING_UNSPECIFIED:
        request.encoding = EMBEDDING_ENCODING_F32_LE
    return request


def _vector(embedding: Embedding) -> array[float]:
    if embedding.values:
        return array("f", embedding.values)
    vector = array("f", embedding.values_f32_le)
    if sys.byteorder == "big":
        vector.byteswap()
    return vector
