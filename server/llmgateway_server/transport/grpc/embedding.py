"""EmbeddingService: vectors from texts."""

from __future__ import annotations

from llmgateway.v1 import embedding_service_pb2 as pb
from llmgateway_server.domain.errors import GatewayError, Reason, Violation
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.transport.grpc.boundary import MAX_REQUEST_BYTES, Boundary, Method
from llmgateway_server.transport.grpc.call import Call, MethodBudget
from llmgateway_server.transport.grpc.mapping.embedding import (
    embedding_request_from,
    embeddings_to,
)

SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"].full_name

_BUDGET = MethodBudget(default=120.0, maximum=600.0)
# grpc sends no more (server.py), and would not say what was too large.
_MOST_BYTES = MAX_REQUEST_BYTES


class EmbeddingHandlers:
    """The methods of EmbeddingService over one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def methods(self, boundary: Boundary) -> dict[str, Method]:
        """The grpc handlers by method name."""
        return {"Embed": boundary.unary(pb.EmbedRequest, _BUDGET, self.embed)}

    async def embed(self, request: pb.EmbedRequest, call: Call) -> pb.EmbedResponse:
        """One vector for each input."""
        asked = embedding_request_from(request)
        size = 4 * len(asked.inputs) * (asked.dimensions or 0)
        if size > _MOST_BYTES:
            raise _too_large(size)
        embedding = self._gateway.embed(asked, call.options())
        try:
            embeddings = await embedding.answer()
        finally:
            call.route, call.failures = embedding.route, embedding.failures
        response = embeddings_to(embeddings, request.encoding)
        size = response.ByteSize()
        if size > _MOST_BYTES:
            error = _too_large(size)
            error.response_id = embeddings.response_id
            error.usage = embeddings.usage
            raise error
        return response


def _too_large(size: int) -> GatewayError:
    return GatewayError(
        Reason.REQUEST_TOO_LARGE,
        f"the vectors take {size} bytes, and an answer holds {_MOST_BYTES}",
        violations=(Violation("inputs", "send fewer in a call, or ask for fewer dimensions"),),
    )
