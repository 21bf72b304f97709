"""A gateway that keeps answers and shares calls, over one scripted target."""

from __future__ import annotations

from msgspec.structs import replace

from llmgateway_server.domain.answer import CacheStatus
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import TextDelta
from llmgateway_server.domain.policies import CachePolicy
from llmgateway_server.domain.request import CacheMode, GenerationRequest, Routing, Sampling
from llmgateway_server.gateway.gateway import Gateway
from support.money import PRICES, FixedPrices
from support.scripted_targets import (
    ASK,
    Outcome,
    Script,
    ScriptedTarget,
    answer,
    assert_idle,
    failure,
    gateway_with,
)

KEPT = CachePolicy(ttl=300.0)
FAULT = failure(Reason.PROVIDER_ERROR)
# Two seconds from the first word to the last.
SLOW: Script = [1.0, [TextDelta(0, "he")], 1.0, [TextDelta(0, "llo")], 1.0, *answer("!")]


def gateway_over(target: ScriptedTarget, cache: CachePolicy | None = KEPT) -> Gateway:
    return gateway_with({"a": target}, prices=FixedPrices(PRICES), cache=cache)


def asking(mode: CacheMode = CacheMode.DEFAULT, **sampling: float) -> GenerationRequest:
    return replace(ASK, routing=Routing(cache_mode=mode), sampling=Sampling(**sampling))  # type: ignore[arg-type]


def status(outcome: Outcome) -> CacheStatus:
    return outcome.answer.route.cache_status


async def done(gateway: Gateway, target: ScriptedTarget) -> None:
    await assert_idle(gateway, {"a": target})
