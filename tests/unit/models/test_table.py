"""The table's files are sound, and a name finds the most specific row."""

import datetime as dt
from itertools import chain
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from llmgateway_server.domain.capabilities import REFUSABLE, Capabilities, ThinkingStyle
from llmgateway_server.domain.request import ReasoningEffort
from llmgateway_server.models import capabilities_of
from llmgateway_server.models.table import read, vendors

VENDORS = sorted(vendors())
ROWS = [
    pytest.param(row, id=f"{vendor}-{(row.get('models') or row['families'])[0]}")
    for vendor in VENDORS
    for row in read(vendor)["rows"]
]
SAMPLING = {"sampling.temperature", "sampling.top_p"}


def test_the_big_vendors_are_there() -> None:
    assert {"openai", "anthropic", "gemini"} <= vendors()


@pytest.mark.parametrize("vendor", VENDORS)
def test_a_file_says_when_and_where_its_facts_were_found(vendor: str) -> None:
    data = read(vendor)
    assert set(data) == {"as_of", "sources", "rows"}
    assert isinstance(data["as_of"], dt.date)
    assert len(data["sources"]) == len(set(data["sources"])) > 0
    for source in data["sources"]:
        assert urlsplit(source).scheme == "https"
        assert urlsplit(source).hostname


@pytest.mark.parametrize("vendor", VENDORS)
@pytest.mark.parametrize("kind", ["models", "families"])
def test_no_name_stands_in_two_rows(vendor: str, kind: str) -> None:
    names = list(chain.from_iterable(row.get(kind, ()) for row in read(vendor)["rows"]))
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", ROWS)
def test_a_row_holds_known_fields_that_agree(row: dict[str, Any]) -> None:
    assert set(row) <= {"models", "families", *Capabilities.__struct_fields__}
    facts = msgspec.convert(row, Capabilities)
    assert facts != Capabilities()
    assert facts.refused | facts.refused_while_reasoning <= REFUSABLE
    assert not facts.refused & facts.refused_while_reasoning
    assert facts.max_tokens_field in {"", "max_completion_tokens"}
    if facts.max_output and facts.context_window:
        assert facts.max_output <= facts.context_window
    if facts.reasoning is False:
        assert not facts.efforts
        assert (facts.thinking, facts.default_effort) == (None, None)
        assert not facts.refused_while_reasoning
    if facts.efforts and facts.default_effort:
        assert facts.default_effort in facts.efforts


@pytest.mark.parametrize(
    ("vendor", "dated", "plain"),
    [
        ("openai", "gpt-4o-2024-08-06", "gpt-4o"),
        ("openai", "gpt-4o-mini-2024-07-18", "gpt-4o-mini"),
        ("openai", "gpt-4-0613", "gpt-4"),
        ("openai", "gpt-5-chat-latest", "gpt-5-chat"),
        ("anthropic", "claude-sonnet-4-20250514", "claude-sonnet-4"),
        ("anthropic", "claude-haiku-4-5@20251001", "claude-haiku-4-5"),
        ("anthropic", "claude-opus-5-20260724", "claude-opus-5"),
        ("gemini", "gemini-2.0-flash-001", "gemini-2.0-flash"),
        ("gemini", "gemini-2.5-flash-preview-05-20", "gemini-2.5-flash"),
        ("gemini", "gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash"),
        ("xai", "grok-4-0709", "grok-4"),
    ],
)
def test_a_date_behind_a_name_changes_nothing(vendor: str, dated: str, plain: str) -> None:
    found = capabilities_of(vendor, dated)
    assert found == capabilities_of(vendor, plain) != Capabilities()


def test_an_exact_name_goes_before_the_same_without_its_date() -> None:
    assert capabilities_of("openai", "gpt-4o-2024-05-13").max_output == 4_096
    assert capabilities_of("openai", "gpt-4o").max_output == 16_384


def test_a_family_takes_in_what_follows_a_hyphen_and_no_more() -> None:
    family = capabilities_of("anthropic", "claude-opus-5-9")
    assert family.refused == capabilities_of("anthropic", "claude-opus-5").refused
    assert family.context_window is None
    assert capabilities_of("anthropic", "claude-opus-50") == Capabilities()
    assert capabilities_of("openai", "gpt-5.60") == Capabilities()


def test_the_longest_family_counts() -> None:
    assert capabilities_of("xai", "grok-4.3-turbo") == capabilities_of("xai", "grok-4-turbo")
    assert capabilities_of("openai", "gpt-6.1-nova").reasoning
    assert capabilities_of("openai", "gpt-6.1-nova").context_window is None


@pytest.mark.parametrize(
    ("vendor", "model"),
    [
        ("", "gpt-4o"),
        ("nobody", "gpt-4o"),
        ("../openai", "gpt-4o"),
        ("openai", "my-deployment"),
        ("openai", "gpt-4o-audio-preview"),
        ("openai", "gpt-4-32k"),
        ("gemini", "gemini-2.5-flash-image"),
        ("anthropic", "claude-opus-4-9"),
        ("openai", ""),
    ],
)
def test_what_nobody_knows_lets_everything_pass(vendor: str, model: str) -> None:
    assert capabilities_of(vendor, model) == Capabilities()


@pytest.mark.parametrize(
    ("vendor", "model"),
    [
        ("mistral", "mistral-small-latest"),
        ("mistral", "mistral-large-2512"),
        ("llamacpp", "any.gguf"),
        ("vllm", "org/any"),
        ("ollama", "qwen3:4b"),
    ],
)
def test_what_is_true_of_all_models_of_a_server_is_true_of_unknown_ones(
    vendor: str, model: str
) -> None:
    assert capabilities_of(vendor, model).prefill


@given(vendor=st.sampled_from(["", *VENDORS]), model=st.text(max_size=40))
def test_any_name_is_looked_up(vendor: str, model: str) -> None:
    assert isinstance(capabilities_of(vendor, model), Capabilities)


@pytest.mark.parametrize("model", ["o1", "o3", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-6.2-sol"])
def test_openais_always_reasoning_models_refuse_sampling(model: str) -> None:
    facts = capabilities_of("openai", model)
    assert facts.refused >= SAMPLING
    assert facts.max_tokens_field == "max_completion_tokens"


@pytest.mark.parametrize("model", ["gpt-5.1", "gpt-5.2", "gpt-5.4"])
def test_openais_models_that_may_reason_take_sampling_while_they_do_not(model: str) -> None:
    facts = capabilities_of("openai", model)
    assert not facts.refused
    assert facts.refused_while_reasoning >= SAMPLING
    assert facts.default_effort is ReasoningEffort.NONE


@pytest.mark.parametrize(
    "model",
    [
        *("claude-opus-4-7", "claude-opus-5", "claude-sonnet-5", "claude-fable-5"),
        *("claude-mythos-5", "claude-opus-5-5", "claude-sonnet-5-5", "claude-haiku-5-5"),
    ],
)
def test_newer_claudes_refuse_sampling_and_prefill_and_think_adaptively(model: str) -> None:
    facts = capabilities_of("anthropic", model)
    assert facts.refused >= SAMPLING
    assert facts.prefill is False
    assert facts.thinking is ThinkingStyle.ADAPTIVE


@pytest.mark.parametrize("model", ["claude-sonnet-4", "claude-haiku-4-5", "claude-3-7-sonnet"])
def test_older_claudes_think_with_a_budget_and_take_sampling(model: str) -> None:
    facts = capabilities_of("anthropic", model)
    assert not facts.refused
    assert facts.thinking is ThinkingStyle.BUDGET
    assert facts.prefill


def test_generations_of_gemini_are_told_how_much_to_think_in_different_ways() -> None:
    assert capabilities_of("gemini", "gemini-2.5-pro").thinking is ThinkingStyle.BUDGET
    assert capabilities_of("gemini", "gemini-3.8-flash").thinking is ThinkingStyle.LEVEL
