"""Which model names are priced, and by whose price: exactly theirs or none."""

import pytest

from llmgateway_server.pricing import GenaiPriceBook

BOOK = GenaiPriceBook({}, clock=lambda: 1_794_000_000.0)  # 2026-11-06

OPENAI = "https://api.openai.com/v1"
GROQ = "https://api.groq.com/openai/v1"
GEMINI = "https://generativelanguage.googleapis.com/v1beta"
OPENROUTER = "https://openrouter.ai/api/v1"
AZURE = "https://acme.openai.azure.com/openai"
LOCAL = "http://127.0.0.1:8080/v1"


@pytest.mark.parametrize(
    ("vendor", "base_url", "model", "dollars"),
    [
        # Dollars for a million tokens of input and of output, as the vendors' pages say.
        ("", OPENAI, "gpt-4o", (2.5, 10)),
        ("openai", OPENAI, "gpt-4o-2024-08-06", (2.5, 10)),
        ("openai", "", "gpt-4o-2024-05-13", (5, 15)),
        ("openai", "", "GPT-4o-mini", (0.15, 0.6)),
        ("openai", "", "gpt-3.5-turbo-0125", (0.5, 1.5)),
        ("openai", "", "o3-mini-2025-01-31", (1.1, 4.4)),
        ("openai", "", "gpt-5.2-20251211", (1.75, 14)),
        ("openai", "", "ft:gpt-4o-mini-2024-07-18:acme::AbC123", (0.3, 1.2)),
        ("openai", "", "text-embedding-3-small", (0.02, None)),
        ("", AZURE, "gpt-5-mini", (0.25, 2)),
        ("anthropic", "", "claude-sonnet-4-5", (3, 15)),
        ("", "https://api.anthropic.com/v1", "claude-sonnet-4-5-20250929", (3, 15)),
        ("anthropic", "", "claude-sonnet-4-20250514", (3, 15)),
        ("anthropic", "", "claude-3-5-haiku-latest", (0.8, 4)),
        ("anthropic", "", "claude-3-opus-20240229", (15, 75)),
        ("google", "", "gemini-2.5-flash", (0.3, 2.5)),
        ("gemini", "", "models/gemini-2.5-flash", (0.3, 2.5)),
        ("", GEMINI, "gemini-2.0-flash-001", (0.1, 0.4)),
        ("", GEMINI, "gemini-2.0-flash-lite-001", (0.075, 0.3)),
        ("", GEMINI, "gemini-2.5-pro-preview-06-05", (1.25, 10)),
        ("vertex", "", "publishers/anthropic/models/claude-sonnet-4-5@20250929", (3, 15)),
        ("groq", "", "llama-3.3-70b-versatile", (0.59, 0.79)),
        ("", GROQ, "moonshotai/kimi-k2-instruct-0905", (1, 3)),
        ("", OPENROUTER, "anthropic/claude-haiku-4.5", (1, 5)),
        ("openrouter", "", "google/gemini-2.5-flash", (0.3, 2.5)),
        ("mistral", "", "codestral-2508", (0.3, 0.9)),
        ("xai", "", "grok-4-fast", (0.2, 0.5)),
        # A region costs a tenth more at Bedrock.
        ("bedrock", "", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", (3.3, 16.5)),
        ("bedrock", "", "global.anthropic.claude-sonnet-4-5-20250929-v1:0", (3, 15)),
    ],
)
def test_names_that_the_list_spells_out(
    vendor: str, base_url: str, model: str, dollars: tuple[float, float | None]
) -> None:
    prices = BOOK.prices_of(vendor, base_url, model)
    assert prices is not None
    assert prices.input == dollars[0] * 1e9
    assert prices.output == (None if dollars[1] is None else dollars[1] * 1e9)


@pytest.mark.parametrize(
    ("vendor", "base_url", "model"),
    [
        # The list has only relatives of these, whose clauses match them all the same.
        ("google", "", "gemini-3.6-flash-lite"),
        ("google", "", "gemini-2.5-pro-ultra"),
        ("google", "", "not-gemini-1.5-pro"),
        ("anthropic", "", "claude-haiku-4-5-turbo"),
        ("anthropic", "", "claude-opus-4-5-fast"),
        ("openai", "", "gpt-5-nano-large"),
        ("openai", "", "ft:gpt-4-0613:acme::AbC123"),
        ("deepseek", "", "deepseek-chat-v9"),
        ("bedrock", "", "my-claude-3-haiku-20240307-copy"),
        # Nobody listed these.
        ("openai", "", "gpt-4o-2025-12-01"),
        ("openrouter", "", "google/gemini-2.5-flash:nitro"),
        ("groq", "", "gpt-4o"),
        ("anthropic", "", "gpt-4o"),
        ("", AZURE, "our-deployment"),
        # A model of any name on one's own machine.
        ("", LOCAL, "llama-3.3-70b-versatile"),
        ("", LOCAL, "gpt-4o"),
        ("", LOCAL, "smollm2"),
        # Nonsense.
        ("openai", OPENAI, ""),
        ("openai", OPENAI, "nonsense"),
        ("openai", OPENAI, "gpt-4o "),
        ("openai", OPENAI, "-2024-08-06"),
        ("hyperbolic", "", "gpt-4o"),
        ("not-openai", "", "gpt-4o"),
        ("", "", "gpt-4o"),
        ("", "ftp://[", "\0"),
    ],
)
def test_all_other_names_have_no_price(vendor: str, base_url: str, model: str) -> None:
    assert BOOK.prices_of(vendor, base_url, model) is None
