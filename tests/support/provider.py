"""A provider that follows a script, for tests of the core without I/O."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.errors import GatewayError
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.domain.timers import Timers

Batch = Sequence[ProviderEvent]
# A pause in seconds, a batch that a read returns, or an error that it raises.
Step = float | Batch | GatewayError


class ScriptedStream:
    """Plays its steps, one batch a read."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self._steps = list(steps)
        self.request_id = "req-1"
        self.usage: Usage | None = None
        self.closed = 0

    async def read(self) -> Batch:
        while True:
            step = self._steps.pop(0)
            if isinstance(step, GatewayError):
                raise step
            if not isinstance(step, float):
                return step
            await asyncio.sleep(step)

    def close(self) -> None:
        self.closed += 1


class ScriptedProvider:
    """Opens one stream after `opening` seconds, or fails with `refusal`."""

    def __init__(
        self,
        steps: Sequence[Step] = (),
        *,
        opening: float = 0.0,
        refusal: GatewayError | None = None,
    ) -> None:
        self.stream = ScriptedStream(steps)
        self.opened: list[tuple[GenerationRequest, str]] = []
        self._opening = opening
        self._refusal = refusal

    async def open(self, request: GenerationRequest, model: str, timers: Timers) -> ScriptedStream:
        del timers
        self.opened.append((request, model))
        await asyncio.sleep(self._opening)
        if self._refusal is not None:
            raise self._refusal
        return self.stream

    async def aclose(self) -> None:
        return None
