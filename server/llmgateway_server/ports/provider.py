"""The provider port: one upstream LLM service as the core uses it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers


class ProviderStream(Protocol):
    """An answer on its way from a provider. Read by one task, from `open` to Finish."""

    @property
    def request_id(self) -> str:
        """The provider's own id of the request; empty where it gave none."""

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far, for a stream that does not reach its end."""

    async def read(self) -> Sequence[ProviderEvent]:
        """Everything that became available since the last read, Finish last of all.

        Parts are numbered from 0 in the order in which they first appear.
        Empty where bytes came without content (comments, pings, start-up frames). Not called
        again after Finish.

        Raises:
            GatewayError: the stream failed, ended without a terminal event, or broke a cap.
        """

    def close(self) -> None:
        """Gives everything back at once, synchronously: an unfinished upstream is cut off.

        Harmless to call twice.
        """


class Provider(Protocol):
    """An upstream service with its credentials."""

    async def open(self, request: GenerationRequest, model: str, timers: Timers) -> ProviderStream:
        """Sends the request; returns once the response's headers say that an answer comes.

        Of `timers` the provider applies `pool` and `connect`; the caller applies the rest by
        cancelling.

        Raises:
            GatewayError: the request cannot be sent as it is, or the provider refused it.
        """

    async def aclose(self) -> None:
        """Closes the connections. No call may be in flight."""
