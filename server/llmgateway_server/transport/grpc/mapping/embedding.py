"""EmbedRequest to EmbeddingRequest, with every rule of the contract checked, and vectors back."""

from __future__ import annotations

from llmgateway.v1 import embedding_service_pb2 as pb
from llmgateway_server.domain.embedding import EmbeddingRequest, Embeddings
from llmgateway_server.transport.grpc.mapping.options import (
    labels_from,
    model_from,
    provider_options_from,
    refuse_cached_only,
    routing_from,
)
from llmgateway_server.transport.grpc.mapping.response import route_to, usage_to
from llmgateway_server.transport.grpc.mapping.violations import Violations

# An enum's own `values()` is a new list each time.
_ENCODINGS = frozenset(pb.EmbeddingEncoding.values())

_MOST_INPUTS = 2048
# The tag of a field with a length, https://protobuf.dev/programming-guides/encoding/#structure.
_VALUES_TAG = bytes((pb.Embedding.VALUES_FIELD_NUMBER << 3 | 2,))


def embedding_request_from(proto: pb.EmbedRequest) -> EmbeddingRequest:
    """The request that a caller sent.

    Raises:
        GatewayError: REQUEST_INVALID with every field that breaks a rule of the contract;
            CAPABILITY_UNSUPPORTED where only a cached answer would do.
    """
    found = Violations()
    inputs = tuple(proto.inputs)
    if not 1 <= len(inputs) <= _MOST_INPUTS:
        found.add("inputs", f"must have 1 to {_MOST_INPUTS} texts")
    for index, text in enumerate(inputs[:_MOST_INPUTS]):
        if not text:
            found.add(f"inputs[{index}]", "must not be empty")
    shortened = proto.HasField("dimension_count")
    if shortened and proto.dimension_count < 1:
        found.add("dimension_count", "must be 1 or more; unset for the model's own")
    if proto.encoding not in _ENCODINGS:
        found.add("encoding", "is none that this server knows")
    request = EmbeddingRequest(
        model=model_from(proto.model, "model", found),
        inputs=inputs,
        dimensions=proto.dimension_count if shortened else None,
        end_user_id=proto.end_user_id,
        provider_options=provider_options_from(
            proto.provider_options_json, "provider_options_json", found
        ),
        routing=routing_from(proto.routing, "routing", found),
        labels=labels_from(proto.labels, "labels", found),
    )
    found.raise_if_any()
    refuse_cached_only(request.routing)
    return request


def embeddings_to(
    embeddings: Embeddings, encoding: pb.EmbeddingEncoding.ValueType
) -> pb.EmbedResponse:
    """The answer, its vectors written as the caller asked."""
    written = _packed if encoding == pb.EMBEDDING_ENCODING_F32_LE else _unpacked
    return pb.EmbedResponse(
        response_id=embeddings.response_id,
        model=embeddings.model,
        embeddings=[written(index, vector) for index, vector in enumerate(embeddings.vectors)],
        usage=usage_to(embeddings.usage),
        route=route_to(embeddings.route),
    )


def _packed(index: int, vector: bytes) -> pb.Embedding:
    return pb.Embedding(index=index, values_f32_le=vector)


def _unpacked(index: int, vector: bytes) -> pb.Embedding:
    # Repeated floats are little-endian f32 on the wire too: the same bytes behind another tag. As
    # a list of numbers a large answer would keep the loop from all other calls for 100 ms.
    embedding = pb.Embedding()
    if vector:
        field = pb.Embedding(values_f32_le=vector).SerializeToString()
        embedding.MergeFromString(_VALUES_TAG + field[1:])
    embedding.index = index
    return embedding
