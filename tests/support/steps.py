"""The steps of scripted streams."""

import asyncio
from collections.abc import Sequence
from typing import TypeVar

from llmgateway_server.domain.errors import GatewayError

Event = TypeVar("Event")


async def next_batch(steps: list[float | Sequence[Event] | GatewayError]) -> Sequence[Event]:
    """Takes steps up to the next batch, which it returns, or error, which it raises."""
    while True:
        step = steps.pop(0)
        if isinstance(step, GatewayError):
            raise step
        if not isinstance(step, float):
            return step
        await asyncio.sleep(step)
