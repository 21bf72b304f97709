"""The playground's fixtures: `pytest_plugins = ["support.playground_fixtures"]`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from llmgateway.sentient.settings import BridgeOptions
from support import playground_answers as answers
from support.bridge import BridgeThread, bridge_to
from support.browser import headless
from support.playground_page import Page
from support.scripted_gateway import ScriptedGateway


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chrome]:
    with headless(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture(scope="module")
def shots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    wanted = os.environ.get("PLAYGROUND_SHOTS")
    folder = Path(wanted) if wanted else tmp_path_factory.mktemp("playground")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def gateway() -> Iterator[ScriptedGateway]:
    with ScriptedGateway() as scripted:
        scripted.models, scripted.providers = list(answers.MODELS), answers.providers()
        yield scripted


@pytest.fixture
async def bridge(gateway: ScriptedGateway) -> AsyncIterator[BridgeThread]:
    options = BridgeOptions(include_reasoning=True, heartbeat=0.2)
    async with bridge_to(gateway.address, options, grace=0) as running:
        yield running


@pytest.fixture
def page(chrome: Chrome, gateway: ScriptedGateway, bridge: BridgeThread) -> Iterator[Page]:
    yield Page(chrome, gateway, f"http://127.0.0.1:{bridge.port}/")
    log = chrome.get_log("browser")  # type: ignore[no-untyped-call]
    severe = [entry["message"] for entry in log if entry["level"] == "SEVERE"]
    # That a request failed is the browser's own complaint, not the page's.
    ours = [each for each in severe if "net::ERR" not in each and "Failed to load" not in each]
    assert ours == []
