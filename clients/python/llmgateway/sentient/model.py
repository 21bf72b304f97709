"""A model behind the gateway, for agents that are written by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Unpack

from llmgateway._aio import AsyncClient
from llmgateway._input import GenerationOptions
from llmgateway.v1.generation_service_pb2 import RECOVERY_MODE_CONTINUE, StreamOptions


class GatewayModel:
    """Takes the place of the ModelProvider in the framework's examples.

    model = GatewayModel(client, model="chat", system="Be brief.", temperature=0.0)

    Args:
        client: The gateway. It stays the caller's to close.
        options: All that `client.stream` takes; they hold for every query.
    """

    def __init__(self, client: AsyncClient, **options: Unpack[GenerationOptions]) -> None:
        self._client = client
        self._options = options

    async def query_stream(self, query: str) -> AsyncGenerator[str, None]:
        """The answer to a query while it is made, never empty pieces.

        What was given is never taken back: a provider that fails is followed by one that goes on
        where it stopped, or the call fails. Leaving the loop early ends the call when the iterator
        is closed (`contextlib.aclosing`) or collected.

        Raises:
            GatewayError: the call failed.
        """
        options = StreamOptions(recovery=RECOVERY_MODE_CONTINUE)
        async with self._client.stream(query, stream_options=options, **self._options) as stream:
            async for event in stream:
                if event.text:
                    yield event.text

    async def query(self, query: str) -> str:
        """The whole answer to a query.

        Raises:
            GatewayError: the call failed.
        """
        return (await self._client.generate(query, **self._options)).text
