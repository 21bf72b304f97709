"""What a configuration says of a model lies over what the table knows, field by field."""

from collections.abc import Callable
from pathlib import Path

import pytest

from llmgateway_server.config import CapabilitiesConfig, Dialects, ProviderConfig, load_text
from llmgateway_server.domain.capabilities import (
    REFUSABLE,
    Capabilities,
    ThinkingStyle,
    Unsupported,
)
from llmgateway_server.domain.request import ReasoningEffort, Sampling
from support.strategies import STRATEGIES

ErrorsOf = Callable[..., list[str]]

KNOWN = Capabilities(context_window=1000, tools=True, refused=frozenset({"sampling.seed"}))


def provider(models: str, dialects: Dialects) -> ProviderConfig:
    text = f"providers: {{p: {{dialect: plain, base_url: http://x, models: {{{models}}}}}}}"
    return load_text(
        text, {}, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=Path()
    ).config.providers["p"]


def test_single_fields_are_overridden_and_the_rest_stays(dialects: Dialects) -> None:
    found = provider(
        "m: {capabilities: {tools: false, efforts: [low, none], thinking: level,"
        " refused: sampling.top_k, default_effort: low, max_stop_sequences: 0}}",
        dialects,
    )
    assert found.overridden("m", KNOWN) == Capabilities(
        context_window=1000,
        tools=False,
        efforts=frozenset({ReasoningEffort.LOW, ReasoningEffort.NONE}),
        default_effort=ReasoningEffort.LOW,
        thinking=ThinkingStyle.LEVEL,
        max_stop_sequences=0,
        refused=frozenset({"sampling.top_k"}),
    )


def test_nothing_said_is_nothing_changed(dialects: Dialects) -> None:
    found = provider("m: , n: {display_name: N}", dialects)
    for name in ("m", "n", "unlisted"):
        assert found.overridden(name, KNOWN) is KNOWN


def test_a_model_that_cannot_stream_is_known_not_to(dialects: Dialects) -> None:
    found = provider("m: {streaming: false}", dialects)
    assert found.overridden("m", KNOWN).streaming is False


def test_an_empty_list_takes_a_refusal_back(dialects: Dialects) -> None:
    found = provider("m: {capabilities: {refused: []}}", dialects)
    assert found.overridden("m", KNOWN).refused == frozenset()


def test_every_field_but_streaming_can_be_said() -> None:
    assert set(CapabilitiesConfig.model_fields) == {*Capabilities.__struct_fields__} - {"streaming"}


def test_the_fields_that_can_be_refused_exist() -> None:
    sampling = {f"sampling.{name}" for name in Sampling.__struct_fields__}
    assert {name for name in REFUSABLE if name.startswith("sampling.")} == sampling


@pytest.mark.parametrize(
    ("said", "error"),
    [
        (
            "refused: [sampling.temprature]",
            "refused[0]: expected a request field that can be refused; did you mean"
            ' "sampling.temperature"? (known: output.response_format,',
        ),
        ("efforts: lots", "efforts: input should be 'none', 'minimal', 'low',"),
        ("max_output: 0", "max_output: input should be greater than or equal to 1"),
        ("tools: yes", "tools: expected true or false"),
        ("tool: true", 'tool: unknown key; did you mean "tools"? (known: context_window,'),
    ],
)
def test_a_wrong_capability_is_named(errors_of: ErrorsOf, said: str, error: str) -> None:
    text = f"""\
providers:
  p: {{dialect: plain, base_url: http://x, models: {{m: {{capabilities: {{{said}}}}}}}}}
"""
    (line,) = errors_of(text)
    assert f"providers.p.models.m.capabilities.{error}" in line


@pytest.mark.parametrize(
    ("said", "policy"),
    [
        ("", Unsupported.REJECT),
        (", unsupported: reject", Unsupported.REJECT),
        (", unsupported: drop", Unsupported.DROP),
    ],
)
def test_a_route_says_what_becomes_of_what_its_model_does_not_take(
    dialects: Dialects, said: str, policy: Unsupported
) -> None:
    text = f"""\
providers: {{p: {{dialect: plain, base_url: http://x}}}}
routes: {{chat: {{targets: p/m{said}}}}}
"""
    loaded = load_text(
        text, {}, dialects=dialects, strategies=STRATEGIES, source="g.yaml", directory=Path()
    )
    assert loaded.config.routes["chat"].unsupported is policy
