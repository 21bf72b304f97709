"""GenerationService: a stream, its fold, and the size of its request."""

from __future__ import annotations

from llmgateway.v1 import generation_service_pb2 as pb
from llmgateway_server.domain.answer import Finish
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.fold import Fold
from llmgateway_server.domain.request import RecoveryMode
from llmgateway_server.gateway.gateway import Gateway
from llmgateway_server.transport.grpc.boundary import Boundary, Method, Write
from llmgateway_server.transport.grpc.call import Call, MethodBudget
from llmgateway_server.transport.grpc.mapping.options import refuse_cached_only
from llmgateway_server.transport.grpc.mapping.request import request_from, stream_options_from
from llmgateway_server.transport.grpc.mapping.response import answer_to
from llmgateway_server.transport.grpc.writer import StreamWriter

SERVICE = pb.DESCRIPTOR.services_by_name["GenerationService"].full_name

_UNARY = MethodBudget(default=120.0, maximum=600.0)
_STREAM = MethodBudget(default=600.0, maximum=1800.0)
LONGEST_CALL = _STREAM.maximum


class GenerationHandlers:
    """The methods of GenerationService over one gateway."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def methods(self, boundary: Boundary) -> dict[str, Method]:
        """The grpc handlers by method name."""
        return {
            "Generate": boundary.unary(pb.GenerateRequest, _UNARY, self.generate),
            "GenerateStream": boundary.server_stream(
                pb.GenerateStreamRequest, _STREAM, self.generate_stream
            ),
            "CountTokens": boundary.unary(pb.CountTokensRequest, _UNARY, self.count_tokens),
        }

    async def generate(self, request: pb.GenerateRequest, call: Call) -> pb.GenerateResponse:
        """The whole answer: the fold of the same stream that `generate_stream` writes."""
        # Nothing is delivered before the end, so an answer may always start again.
        options = call.options(RecoveryMode.RESTART)
        generation = await self._gateway.generate(request_from(request.input), options)
        fold = Fold()
        try:
            while not fold.finished:
                for event in await generation.read():
                    fold.add(event)
        except GatewayError as error:
            # Nothing of what came has reached the caller.
            error.partial_output_sent = False
            raise
        finally:
            call.route, call.dropped = generation.route, generation.dropped
            call.failures = generation.failures
            generation.close()
        return answer_to(fold.answer())

    async def generate_stream(
        self, request: pb.GenerateStreamRequest, call: Call, write: Write
    ) -> None:
        """Writes the answer as it comes."""
        wanted = stream_options_from(request.stream_options)
        options = call.options(wanted.recovery)
        generation = await self._gateway.generate(request_from(request.input), options)
        writer = StreamWriter(write, wanted)
        finished = False
        try:
            while not finished:
                events = await generation.read()
                finished = isinstance(events[-1], Finish)
                await writer.send(events, last=finished)
        finally:
            call.route, call.dropped = generation.route, generation.dropped
            call.failures = generation.failures
            generation.close()
            writer.close()

    async def count_tokens(
        self, request: pb.CountTokensRequest, call: Call
    ) -> pb.CountTokensResponse:
        """How many tokens the request's input has."""
        asked = request_from(request.input)
        refuse_cached_only(asked.routing)
        counting = self._gateway.count_tokens(asked, call.options())
        try:
            count = await counting.count()
        finally:
            call.route = counting.route
        return pb.CountTokensResponse(
            input_token_count=count.tokens,
            is_estimated=count.is_estimated,
            model=counting.model,
        )
