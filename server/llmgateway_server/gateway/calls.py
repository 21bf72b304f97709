"""Puts calls together: a request, its candidates, its attempts, what it may cost."""

from __future__ import annotations

from collections.abc import Callable

from llmgateway_server.admission.gate import Gate
from llmgateway_server.domain.answer import CacheStatus
from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.embedding import EmbeddingRequest
from llmgateway_server.domain.request import CallOptions, GenerationRequest, Routing
from llmgateway_server.domain.size import input_bytes
from llmgateway_server.gateway.accounts import Accounts
from llmgateway_server.gateway.alarm import Deadline
from llmgateway_server.gateway.asking import Asking
from llmgateway_server.gateway.attempts import Attempts
from llmgateway_server.gateway.counting import Counting
from llmgateway_server.gateway.embedding import Embedding
from llmgateway_server.gateway.generation import Generation
from llmgateway_server.gateway.turns import Turns
from llmgateway_server.ports.clock import Clock
from llmgateway_server.ports.strategy import Work
from llmgateway_server.ports.tokens import TokenCounter
from llmgateway_server.routing.candidates import (
    Prospect,
    places_of_one_model,
    prospect_of,
    prospects_for,
)
from llmgateway_server.routing.route_state import RouteState, RouteStates
from llmgateway_server.routing.routes import Resolution, RouteTable
from llmgateway_server.routing.targets import Targets


class Calls:
    """Makes the objects that serve one call each."""

    def __init__(
        self,
        table: RouteTable,
        *,
        targets: Targets,
        routes: RouteStates,
        accounts: Accounts,
        counter: TokenCounter,
        gate: Gate,
        clock: Clock,
    ) -> None:
        self._table = table
        self._targets = targets
        self._routes = routes
        self._accounts = accounts
        self._counter = counter
        self._gate = gate
        self._clock = clock

    def generation(
        self,
        request: GenerationRequest,
        resolution: Resolution,
        options: CallOptions,
        *,
        cache_status: CacheStatus,
        queued: float,
    ) -> Generation:
        """An answer; made by the task that reads it.

        Raises:
            GatewayError: CAPABILITY_UNSUPPORTED, no target can take the request.
        """
        entry = resolution.entry
        state = self._routes.of(entry)
        work = self._work(request, resolution, state)
        now = self._clock.time()
        prospects = prospects_for(
            request, resolution, targets=self._targets, route=state, work=work, now=now
        )
        blocked = entry.blocked_content
        if request.routing.disable_fallback:
            prospects, blocked = prospects[:1], None
        attempts = self._attempts(
            prospects,
            resolution,
            options,
            request.routing,
            work.input_tokens + work.output_tokens,
            blocked_content=(
                (lambda: prospect_of(request, blocked, resolution, self._targets))
                if blocked is not None
                else None
            ),
        )
        asking = Asking(
            attempts,
            self._accounts,
            self._gate,
            self._clock,
            work,
            hedge=entry.hedge,
            hedges=state.hedges,
        )
        return Generation(
            request,
            resolution,
            asking,
            recovery=options.recovery or entry.recovery,
            route_state=state,
            clock=self._clock,
            cache_status=cache_status,
            queued=queued,
        )

    def embedding(
        self, request: EmbeddingRequest, resolution: Resolution, options: CallOptions
    ) -> Embedding:
        """The vectors of texts. Only targets of one model are asked: vectors of two do not mix."""
        prospects = places_of_one_model(resolution, self._targets)
        if request.routing.disable_fallback:
            prospects = prospects[:1]
        attempts = self._attempts(prospects, resolution, options, request.routing, 0)
        return Embedding(
            request,
            resolution,
            attempts,
            accounts=self._accounts,
            gate=self._gate,
            clock=self._clock,
        )

    def counting(
        self, request: GenerationRequest, resolution: Resolution, options: CallOptions
    ) -> Counting:
        """The size of a request at the route's first target."""
        target = resolution.places[0].target
        return Counting(
            request,
            resolution,
            self._targets.providers[target.provider],
            options.deadline,
            counter=self._counter,
            vendor=self._table.providers[target.provider].vendor,
        )

    def dropped(
        self, request: GenerationRequest, resolution: Resolution, target: Target
    ) -> tuple[str, ...]:
        """The fields of a request that a target of the route did not take, as it answered it."""
        places = [place for place in resolution.places if place.target == target]
        if not places:
            return ()
        return prospect_of(request, places[0], resolution, self._targets).fitted.dropped

    def _attempts(
        self,
        prospects: list[Prospect],
        resolution: Resolution,
        options: CallOptions,
        routing: Routing,
        tokens: int,
        *,
        blocked_content: Callable[[], Prospect] | None = None,
    ) -> Attempts:
        most = resolution.entry.retry.attempts
        if routing.max_attempts is not None:
            most = min(most, routing.max_attempts)
        if options.previous_attempts:
            # Whoever called has begun to retry itself; two layers must not multiply.
            most = max(1, most // 2)
        turns = Turns(
            prospects,
            most=most,
            patience=resolution.patience,
            tokens=tokens,
            deadline=Deadline(options.deadline),
            clock=self._clock,
            blocked_content=blocked_content,
        )
        return Attempts(turns, self._clock)

    def _work(self, request: GenerationRequest, resolution: Resolution, state: RouteState) -> Work:
        """What the call is expected to take; nothing where nobody asks."""
        place = resolution.places[0]
        provider = self._table.providers[place.target.provider]
        if len(resolution.places) == 1 and provider.limits.tokens_per_minute is None:
            return Work(0, 0)
        tokens = self._counter.estimate_text(input_bytes(request), provider.vendor)
        return Work(tokens, state.expected_output(request.output.max_output_tokens))
