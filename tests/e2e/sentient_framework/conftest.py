"""A scripted gateway and a client of it. Nothing of the framework: pytest reads this everywhere."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from llmgateway import AsyncClient
from support.scripted_gateway import ScriptedGateway


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with ScriptedGateway() as scripted:
        yield scripted


@pytest_asyncio.fixture
async def client(gateway: ScriptedGateway) -> AsyncIterator[AsyncClient]:
    async with AsyncClient(gateway.address, timeout=10) as made:
        yield made
