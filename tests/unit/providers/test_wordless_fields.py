"""Fields that a whole wire has no word for are known before the call, like a model's own."""

from typing import Any

import pytest
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import REFUSABLE, Capabilities, Unsupported
from llmgateway_server.domain.content import Message, Role, TextPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import GenerationRequest, Sampling
from llmgateway_server.ports.provider import Provider, ProviderSettings
from llmgateway_server.providers import anthropic, gemini, openai_chat, openai_responses
from llmgateway_server.routing.fitting import fit

OPENAI = "https://api.openai.com/v1"
OTHER = "https://up.example/v1"
WIRES: list[tuple[Any, str, set[str]]] = [
    (openai_chat.DIALECT, OPENAI, {"top_k"}),
    (openai_chat.DIALECT, OTHER, set()),
    (
        openai_responses.DIALECT,
        OPENAI,
        {"frequency_penalty", "presence_penalty", "seed", "top_k"},
    ),
    (anthropic.DIALECT, OTHER, {"frequency_penalty", "presence_penalty", "seed"}),
    (gemini.DIALECT, OTHER, set()),
]
ALL = Sampling(0.5, 0.5, 0.5, 0.5, 40, 7)
ASK = GenerationRequest("", (Message(Role.USER, (TextPart("Hi"),)),), sampling=ALL)


def provider_of(plugin: Any, base_url: str, known: Capabilities) -> Provider:
    settings = ProviderSettings(
        "up", base_url, None, plugin.options(), capabilities=lambda _: known
    )
    provider: Provider = plugin.create(settings)
    return provider


@pytest.mark.parametrize(("plugin", "base_url", "wordless"), WIRES)
def test_a_field_without_a_word_is_left_out_and_named_where_that_is_meant(
    plugin: Any, base_url: str, wordless: set[str]
) -> None:
    provider = provider_of(plugin, base_url, Capabilities())
    fitted = fit(ASK, provider.capabilities("m"), Unsupported.DROP)
    assert set(fitted.dropped) == {f"sampling.{name}" for name in wordless} <= REFUSABLE
    assert fitted.request.sampling == replace(ALL, **dict.fromkeys(wordless))


@pytest.mark.parametrize(("plugin", "base_url", "wordless"), WIRES)
def test_and_refused_by_its_name_where_it_is_not(
    plugin: Any, base_url: str, wordless: set[str]
) -> None:
    provider = provider_of(plugin, base_url, Capabilities())
    for name in wordless:
        asked = replace(ASK, sampling=Sampling(**{name: getattr(ALL, name)}))
        with pytest.raises(GatewayError) as raised:
            fit(asked, provider.capabilities("m"), Unsupported.REJECT)
        assert raised.value.reason is Reason.CAPABILITY_UNSUPPORTED
        assert ("field", f"input.sampling.{name}") in raised.value.metadata


def test_what_is_known_of_the_model_stays_known() -> None:
    known = Capabilities(max_output=7, refused=frozenset({"tool_choice"}))
    found = provider_of(anthropic.DIALECT, OTHER, known).capabilities("m")
    assert found.max_output == 7
    assert found.refused == known.refused | anthropic.Anthropic.refused
