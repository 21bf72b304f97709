"""The vectors of one call: from its arrival to the provider's answer."""

from __future__ import annotations

from msgspec.structs import replace

from llmgateway_server.admission.gate import Gate
from llmgateway_server.domain.answer import Route, Usage
from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest, Embeddings
from llmgateway_server.domain.errors import AttemptFailure, GatewayError, Reason
from llmgateway_server.domain.ulid import new_ulid
from llmgateway_server.gateway.accounts import Accounts
from llmgateway_server.gateway.alarm import Alarm
from llmgateway_server.gateway.attempts import Attempts
from llmgateway_server.gateway.turns import Turn
from llmgateway_server.ports.clock import Clock
from llmgateway_server.resilience.failure import FirstContentTimeoutError
from llmgateway_server.routing.routes import Resolution
from llmgateway_server.routing.target_state import Lease


class Embedding:
    """A call's vectors, asked for by the one task that serves the call.

    The first content of an embedding is the whole of it, so that is what the first-content timer
    waits for. What fails is tried once more, and at other providers of the same model.
    """

    def __init__(
        self,
        request: EmbeddingRequest,
        resolution: Resolution,
        attempts: Attempts,
        *,
        accounts: Accounts,
        gate: Gate,
        clock: Clock,
    ) -> None:
        self.response_id = new_ulid()
        target = resolution.places[0].target
        self.route = Route(target.provider, target.model, attempt_count=0)
        self._request = request
        self._resolution = resolution
        self._attempts = attempts
        self._accounts = accounts
        self._gate = gate
        self._clock = clock
        self._began = clock.time()
        self._alarm = Alarm(attempts.deadline)
        self._burnt: Usage | None = None

    @property
    def failures(self) -> tuple[GatewayError, ...]:
        """How the attempts failed that did, in their order."""
        return tuple(self._attempts.failures)

    async def answer(self) -> Embeddings:
        """Asks for the vectors; `route` tells afterwards how far the call came, well or not.

        Raises:
            GatewayError: the call failed, or the gateway has too many.
        """
        deadline = self._attempts.deadline.when
        slot = await self._gate.enter(self._request.routing.priority, deadline)
        self.route = replace(self.route, gateway_queue_duration=slot.queued)
        try:
            return await self._answer()
        finally:
            slot.leave(went_well=not self.failures)

    async def _answer(self) -> Embeddings:
        try:
            target, answer, usage = await self._attempts.first(self._ask)
        except GatewayError as error:
            raise self._described(error) from None
        finally:
            self._alarm.close()
            self.route = replace(self.route, attempt_count=self._attempts.count)
        self._attempts.succeeded()
        self.route = replace(
            self.route,
            provider_request_id=answer.request_id,
            time_to_first_token=self._clock.time() - self._began,
        )
        total = usage if self._burnt is None else self._burnt.plus(usage)
        return Embeddings(self.response_id, target.name, answer.vectors, total, self.route)

    async def _ask(self, turn: Turn, lease: Lease) -> tuple[Target, EmbeddingAnswer, Usage]:
        place, state = turn.prospect.place, turn.prospect.state
        target, clock = place.target, self._clock
        self.route = replace(self.route, provider=target.provider, provider_model=target.model)
        in_reserve = self._attempts.has_reserve(turn.prospect)
        usual = state.p95
        within = place.timers.first_content_within(in_reserve=in_reserve, usual=usual)
        try:
            with self._alarm.at(clock.time() + within):
                answer = await state.provider.embed(self._request, target.model, place.timers)
        except TimeoutError:
            raise self._too_late(target) from None
        except GatewayError as error:
            if error.usage is not None:
                # Of the batches before the one that failed.
                self._burn(target, self._usage(target, error.usage))
            raise
        now = clock.time()
        lease.first_content(now, slow_after=within)
        usage = self._usage(target, answer.usage)
        fault = self._fault(target, answer)
        if fault is not None:
            self._burn(target, usage)
            raise fault
        lease.answered(usage, now)
        self._accounts.answered(target, usage)
        return target, answer, usage

    def _burn(self, target: Target, usage: Usage) -> None:
        self._accounts.wasted(target, usage)
        self._burnt = usage if self._burnt is None else self._burnt.plus(usage)

    def _fault(self, target: Target, answer: EmbeddingAnswer) -> GatewayError | None:
        """What is wrong with an answer that no caller could use, or would use wrongly."""
        wanted, given = len(self._request.inputs), len(answer.vectors)
        attempt = AttemptFailure(
            target.provider, target.model, provider_request_id=answer.request_id
        )
        if given != wanted:
            return GatewayError(
                Reason.PROVIDER_PROTOCOL_ERROR,
                f"{target.name} gave {given} vectors for {wanted} inputs",
                attempt=attempt,
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
            f"{target.name} gave vectors of {other} dimensions instead of {dimensions}; leave "
            "dimension_count unset or name another model",
            metadata=(("capability", "dimension_count"), ("field", "dimension_count")),
            attempt=attempt,
        )

    def _usage(self, target: Target, reported: Usage) -> Usage:
        """With its cost; some servers do not say what they used."""
        if reported.input_token_count:
            return self._accounts.priced(target, reported)
        size = sum(len(text.encode()) for text in self._request.inputs)
        return self._accounts.estimated(target, size, 0)

    def _too_late(self, target: Target) -> GatewayError:
        if self._clock.time() >= self._attempts.deadline.when:
            return GatewayError(
                Reason.DEADLINE_EXCEEDED, "the call's deadline passed before the vectors came"
            )
        return FirstContentTimeoutError(
            Reason.PROVIDER_TIMEOUT,
            f"{target.name} sent no vectors in time",
            attempt=AttemptFailure(target.provider, target.model),
        )

    def _described(self, error: GatewayError) -> GatewayError:
        """The error as the caller shall see it."""
        error = self._resolution.blamed(error)
        error.response_id = self.response_id
        error.usage = self._burnt
        return error
