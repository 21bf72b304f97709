"""The provider port: one upstream LLM service as the core uses it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import Reason
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


class ProviderHealth(Struct, frozen=True):
    """What a provider said to the cheapest real call.

    `latency` in seconds; where it is not healthy, `reason` is why and `message` is fit to be shown.
    """

    is_healthy: bool
    latency: float
    reason: Reason | None = None
    message: str = ""


class ProviderMetrics(Struct, frozen=True):
    """What a provider has done since it was made: counts of calls, and tokens as it reported them.

    `started` = `succeeded` + `failed` + `cancelled` + `in_flight`.
    """

    started: int = 0
    succeeded: int = 0
    failed: int = 0
    cancelled: int = 0
    in_flight: int = 0
    input_token_count: int = 0
    output_token_count: int = 0


class ProviderSettings(Struct, frozen=True):
    """What a provider is made from.

    `api_key` reveals the secret when called; `options` is an instance of the dialect's own
    options model; `connections` and `idle` (seconds) bound the connection pool; `capabilities`
    tells what a model can do.
    """

    name: str
    base_url: str
    api_key: Callable[[], str] | None
    options: object
    connections: int = 200
    idle: float = 60.0
    capabilities: Callable[[str], Capabilities] = lambda _: Capabilities()


class Provider(Protocol):
    """An upstream service with its credentials, from its first call to its shutdown.

    Its calls raise GatewayError and nothing else. Of `timers` a provider applies `pool` and
    `connect`; the caller applies the rest by cancelling.
    """

    async def initialize(self) -> None:
        """Prepares what calls need; awaited once, before the first of them."""

    async def open(
        self, request: GenerationRequest, model: str, timers: Timers, *, fresh: bool = False
    ) -> ProviderStream:
        """Sends the request; returns once the response's headers say that an answer comes.

        `fresh` asks for a connection that nobody has used: for a retry after a fault, since the
        other connections to the same server may be as dead as the one that failed. A provider
        without connections ignores it.

        Raises:
            GatewayError: the request cannot be sent as it is, or the provider refused it.
        """

    async def embed(self, request: EmbeddingRequest, model: str, timers: Timers) -> EmbeddingAnswer:
        """Embeds texts, in as many calls as the provider's limits ask for.

        Raises:
            GatewayError: as `open`; CAPABILITY_UNSUPPORTED where it has no embeddings.
        """

    async def count_tokens(
        self, request: GenerationRequest, model: str, timers: Timers
    ) -> int | None:
        """How many input tokens the provider counts; None where it does not count.

        Raises:
            GatewayError: as `open`.
        """

    async def validate(self, timers: Timers) -> ProviderHealth:
        """Makes the cheapest call that shows whether the provider can be used; never raises."""

    async def update_config(self, settings: ProviderSettings) -> None:
        """Serves later calls by new settings; calls in flight end by those that they began with.

        Raises:
            ValueError: the settings cannot be used; the old ones stay.
        """

    def capabilities(self, model: str) -> Capabilities:
        """What is known of a model, from memory."""

    def metrics(self) -> ProviderMetrics:
        """What happened so far, from memory."""

    async def shutdown(self) -> None:
        """Closes the connections. Calls in flight fail; may be called again."""
