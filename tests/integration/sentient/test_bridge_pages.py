"""The playground and its catalogue, health, and who of other sites may ask."""

import asyncio
import re

import pytest

from llmgateway.sentient.settings import BridgeOptions
from llmgateway.v1.catalog_service_pb2 import (
    PROVIDER_STATE_CIRCUIT_OPEN,
    ListModelsRequest,
    Model,
    Provider,
)
from support.bridge import Bridge, bridge_to
from support.ports import closed_port
from support.scripted_gateway import ScriptedGateway

ORIGIN = "https://app.example.org"


async def test_the_page_may_use_this_server_only(bridge: Bridge) -> None:
    page = await bridge.get("/")
    assert (page.status, page.header("content-type")) == (200, "text/html; charset=utf-8")
    policy = page.header("content-security-policy")
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self'; ")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert page.header("x-content-type-options") == "nosniff"
    text = (await page.body()).decode()
    assert "<title>" in text
    # Nothing that the policy would refuse.
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=", text)
    names = re.findall(r"(?:src|href)=\"([^\"#]+)\"", text)
    assert names
    for name in names:
        file = await bridge.get(f"/{name}")
        assert file.status == 200
        assert file.header("content-security-policy") == policy
        await file.body()


async def test_models_are_told_as_far_as_they_are_known(gateway: ScriptedGateway) -> None:
    gateway.models = [
        Model(name="chat", targets=["demo/small"]),
        Model(
            name="demo/small",
            display_name="Small",
            provider="demo",
            aliases=["small"],
            context_window_token_count=2048,
            supports_tools=False,
            supports_images=True,
            input_price_nano_usd_per_million_tokens=150_000_000,
            output_price_nano_usd_per_million_tokens=0,
        ),
    ]
    async with bridge_to(gateway.address, BridgeOptions(model="chat")) as bridge:
        answer = await bridge.get("/api/models")
        assert (answer.status, answer.header("cache-control")) == (200, "no-store")
        told = await answer.json()
    route = {
        "name": "chat",
        "display_name": "",
        "provider": "",
        "aliases": [],
        "targets": ["demo/small"],
        "supports": {},
        "prices": {},
    }
    model = {
        "name": "demo/small",
        "display_name": "Small",
        "provider": "demo",
        "aliases": ["small"],
        "targets": [],
        "context_window": 2048,
        "supports": {"tools": False, "images": True},
        "prices": {"input_nano_usd_per_million": 150_000_000, "output_nano_usd_per_million": 0},
    }
    assert told == {"models": [route, model], "default": "chat"}


async def test_providers_are_told_with_how_they_are(
    gateway: ScriptedGateway, bridge: Bridge
) -> None:
    provider = Provider(
        name="demo",
        dialect="openai_chat",
        state=PROVIDER_STATE_CIRCUIT_OPEN,
        in_flight_request_count=3,
    )
    provider.state_change_time.FromSeconds(1_700_000_000)
    newer = Provider(name="new", state=99)  # type: ignore[arg-type]
    gateway.providers = [provider, newer]
    told = await (await bridge.get("/api/providers")).json()
    assert told == {
        "providers": [
            {
                "name": "demo",
                "dialect": "openai_chat",
                "state": "circuit_open",
                "in_flight": 3,
                "state_since": "2023-11-14T22:13:20Z",
            },
            {"name": "new", "dialect": "", "state": "unspecified", "in_flight": 0},
        ]
    }


async def test_many_pages_cost_the_gateway_one_call_a_second(
    gateway: ScriptedGateway, bridge: Bridge
) -> None:
    def calls() -> int:
        return sum(isinstance(request, ListModelsRequest) for request in gateway.requests)

    answers = await asyncio.gather(*(bridge.get("/api/models") for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert calls() == 1
    await asyncio.sleep(1.05)
    gateway.models[0].name = "other"
    told = await (await bridge.get("/api/models")).json()
    assert told["models"][0]["name"] == "other"
    assert calls() == 2


async def test_without_a_gateway_the_catalogue_says_why() -> None:
    with closed_port() as port:
        async with bridge_to(f"127.0.0.1:{port}") as bridge:
            answer = await bridge.get("/api/models")
            assert answer.status == 503
            assert (await answer.json())["detail"].startswith("UNAVAILABLE: ")


async def test_health_follows_the_gateways(gateway: ScriptedGateway, bridge: Bridge) -> None:
    async def ready() -> tuple[int, str]:
        answer = await bridge.get("/health/ready")
        return answer.status, (await answer.json())["status"]

    gateway.set_serving("")
    assert await ready() == (200, "SERVING")
    gateway.set_serving("", serving=False)
    assert await ready() == (503, "NOT_SERVING")
    assert await (await bridge.get("/health/live")).body() == b'{"status":"SERVING"}'


async def test_without_a_gateway_it_lives_but_is_not_ready() -> None:
    with closed_port() as port:
        async with bridge_to(f"127.0.0.1:{port}") as bridge:
            assert (await bridge.get("/health/live")).status == 200
            answer = await bridge.get("/health/ready")
            assert answer.status == 503
            assert await answer.json() == {"status": "NOT_SERVING", "reason": "UNAVAILABLE"}


async def test_no_other_site_may_ask_by_default(gateway: ScriptedGateway, bridge: Bridge) -> None:
    preflight = await bridge.send(
        "OPTIONS", "/assist", headers={"origin": ORIGIN, "access-control-request-method": "POST"}
    )
    assert preflight.status == 405
    # A form can post across sites without a preflight; its page could not read, but it would cost.
    for site in ("cross-site", "same-site"):
        answer = await bridge.ask(origin=ORIGIN, sec_fetch_site=site)
        assert answer.status == 403
        assert await answer.json() == {"detail": "Pages of this origin may not ask"}
    assert gateway.requests == []
    for site in ("same-origin", "none"):
        answer = await bridge.ask(origin=ORIGIN, sec_fetch_site=site)
        assert (answer.status, answer.header("access-control-allow-origin")) == (200, "")


@pytest.mark.parametrize("allowed", [ORIGIN, "*"])
async def test_a_site_on_the_list_may_ask(gateway: ScriptedGateway, allowed: str) -> None:
    options = BridgeOptions(cors_origins=("https://other.example.org", allowed))
    async with bridge_to(gateway.address, options) as bridge:
        preflight = await bridge.send(
            "OPTIONS",
            "/assist",
            headers={
                "origin": ORIGIN,
                "access-control-request-method": "POST",
                "access-control-request-headers": "content-type,cache-control",
            },
        )
        assert (preflight.status, preflight.header("access-control-allow-origin")) == (200, allowed)
        answer = await bridge.ask(origin=ORIGIN, sec_fetch_site="cross-site")
        assert answer.header("access-control-allow-origin") == allowed
        assert (await answer.answer()).texts() == ["Hello"]
        stranger = "https://evil.example.org"
        answer = await bridge.ask(origin=stranger, sec_fetch_site="cross-site")
        assert answer.status == (200 if allowed == "*" else 403)
        assert answer.header("access-control-allow-origin") in {"", "*"}
