"""A scripted gateway, and a bridge in front of it."""

from collections.abc import AsyncIterator, Iterator

import pytest

from support.bridge import Bridge, bridge_to
from support.scripted_gateway import ScriptedGateway


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with ScriptedGateway() as scripted:
        yield scripted


@pytest.fixture
async def bridge(gateway: ScriptedGateway) -> AsyncIterator[Bridge]:
    async with bridge_to(gateway.address) as running:
        yield running
