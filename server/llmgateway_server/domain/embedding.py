"""Embeddings as the core sees them."""

from __future__ import annotations

from msgspec import Struct

from llmgateway_server.domain.answer import Route, Usage
from llmgateway_server.domain.request import Routing


class EmbeddingRequest(Struct, frozen=True):
    """Texts to embed. `dimensions` None: the model's own; the rest as in generation."""

    model: str
    inputs: tuple[str, ...]
    dimensions: int | None = None
    end_user_id: str = ""
    provider_options: tuple[tuple[str, bytes], ...] = ()
    routing: Routing = Routing()
    labels: tuple[tuple[str, str], ...] = ()


class EmbeddingAnswer(Struct, frozen=True):
    """One vector for each input, in the inputs' order, as packed little-endian f32."""

    vectors: tuple[bytes, ...]
    usage: Usage
    request_id: str = ""


class Embeddings(Struct, frozen=True):
    """A whole answer: a provider's vectors, and who gave them."""

    response_id: str
    model: str
    vectors: tuple[bytes, ...]
    usage: Usage
    route: Route
