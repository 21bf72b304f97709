"""The vectors of one call: from its arrival to the provider's answer."""

from __future__ import annotations

import asyncio

from msgspec.structs import replace

from llmgateway_server.domain.answer import Route, Usage
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest, Embeddings
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.ulid import new_ulid
from llmgateway_server.gateway.accounts import Accounts
from llmgateway_server.gateway.alarm import Alarm
from llmgateway_server.ports.provider import Provider
from llmgateway_server.routing.routes import Resolution


class Embedding:
    """A call's vectors, asked for once by the one task that serves the call.

    The first content of an embedding is the whole of it, so that is what the first-content timer
    waits for.
    """

    def __init__(
        self,
        request: EmbeddingRequest,
        resolution: Resolution,
        provider: Provider,
        deadline: float,
        accounts: Accounts,
    ) -> None:
        self.response_id = new_ulid()
        self.route = Route(resolution.target.provider, resolution.target.model, attempt_count=0)
        self._request = request
        self._resolution = resolution
        self._provider = provider
        self._deadline = deadline
        self._accounts = accounts
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    async def answer(self) -> Embeddings:
        """Asks the provider; `route` tells afterwards how far the call came, well or not.

        Raises:
            GatewayError: the call failed.
        """
        try:
            answer = await self._ask()
        except GatewayError as error:
            raise self._described(error) from None
        except TimeoutError:
            raise self._described(self._too_late()) from None
        self.route = replace(
            self.route,
            provider_request_id=answer.request_id,
            time_to_first_token=self._loop.time() - self._began,
        )
        target = self._resolution.target
        usage = self._usage(answer.usage)
        fault = self._fault(answer)
        if fault is not None:
            self._accounts.wasted(target, usage)
            raise self._described(fault, usage)
        self._accounts.answered(target, usage)
        return Embeddings(
            self.response_id,
            target.name,
            answer.vectors,
            usage,
            self.route,
        )

    async def _ask(self) -> EmbeddingAnswer:
        timers = self._resolution.timers
        self.route = replace(self.route, attempt_count=1)
        alarm = Alarm()
        try:
            with alarm.at(min(self._began + timers.first_content, self._deadline)):
                return await self._provider.embed(
                    self._request, self._resolution.target.model, timers
                )
        finally:
            alarm.close()

    def _fault(self, answer: EmbeddingAnswer) -> GatewayError | None:
        """What is wrong with an answer that no caller could use, or would use wrongly."""
        name = self._resolution.target.name
        wanted, given = len(self._request.inputs), len(answer.vectors)
        if given != wanted:
            return GatewayError(
                Reason.PROVIDER_PROTOCOL_ERROR,
                f"{name} gave {given} vectors for {wanted} inputs",
                attempt=self._attempt(),
            )
        dimensions = self._request.dimensions
        if dimensions is None:
            return None
        # Some servers take the field and leave the vectors as they are.
        other = next((len(v) // 4 for v in answer.vectors if len(v) != 4 * dimensions), None)
        if other is None:
            return None
        return GatewayError(
            Reason.CAPABILITY_UNSUPPORTED,
            f"{name} gave vectors of {other} dimensions instead of {dimensions}; leave "
            "dimension_count unset or name another model",
            metadata=(("capability", "dimension_count"), ("field", "dimension_count")),
            attempt=self._attempt(),
        )

    def _usage(self, reported: Usage) -> Usage:
        """With its cost; some servers do not say what they used."""
        target = self._resolution.target
        if reported.input_token_count:
            return self._accounts.priced(target, reported)
        size = sum(len(text.encode()) for text in self._request.inputs)
        return self._accounts.estimated(target, size, 0)

    def _too_late(self) -> GatewayError:
        if self._loop.time() >= self._deadline:
            return GatewayError(
                Reason.DEADLINE_EXCEEDED, "the call's deadline passed before the vectors came"
            )
        return GatewayError(
            Reason.PROVIDER_TIMEOUT,
            f"{self._resolution.target.name} sent no vectors in time",
            attempt=self._attempt(),
        )

    def _attempt(self) -> AttemptFailure:
        route = self.route
        return AttemptFailure(
            route.provider, route.provider_model, provider_request_id=route.provider_request_id
        )

    def _described(self, error: GatewayError, usage: Usage | None = None) -> GatewayError:
        """The error as the caller shall see it."""
        burnt = error.usage
        if usage is None and burnt is not None:
            # Of the batches before the one that failed.
            usage = self._usage(burnt)
            self._accounts.wasted(self._resolution.target, usage)
        error = self._resolution.blamed(error)
        error.response_id = self.response_id
        error.usage = usage
        return error
