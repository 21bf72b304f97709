"""Vendors whose address, dialect and quirks are known, so that a provider is one line.

`preset: groq` fills in whatever the provider does not say itself. The vendor's usual variable
becomes the key only where the key goes to the vendor's own hosts: behind another base_url, which
may be anybody's, a key is sent only if `api_key` names it. `api_key:` without a value sends none.

Sources: each vendor's API reference, and recorded traffic for the addresses.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel

from llmgateway_server.config.errors import KeyPath, nearest, shown
from llmgateway_server.config.reading import Document

# https://learn.microsoft.com/azure/ai-foundry/openai/reference
_AZURE_DOMAINS: Final = (
    ".openai.azure.com",
    ".services.ai.azure.com",
    ".cognitiveservices.azure.com",
)


class Preset(NamedTuple):
    """A vendor as a provider is configured for it."""

    dialect: str
    base_url: str
    """Empty where everyone has an address of their own, in the form of `url_form`."""
    key: str = ""
    """The variable that the vendor's own client reads its key from."""
    vendor: str = ""
    """Who serves the models, to the tables of what they can take and what they cost."""
    options: Mapping[str, Any] = {}
    """The dialect's options that differ from its defaults."""
    url_form: str = ""
    domains: tuple[str, ...] = ()
    """Below which the vendor's hosts lie, each with a leading dot, where they are many."""

    def serves(self, host: str) -> bool:
        """Whether a host, in lower case, is the vendor's."""
        return host != "" and (host == _host(self.base_url) or host.endswith(self.domains))


PRESETS: Final[Mapping[str, Preset]] = {
    "anthropic": Preset(
        "anthropic", "https://api.anthropic.com", "ANTHROPIC_API_KEY", vendor="anthropic"
    ),
    # The deployment surface; models are called by their deployments' names.
    "azure": Preset(
        "openai_chat",
        "",
        "AZURE_OPENAI_API_KEY",
        vendor="azure",
        options={"auth": "api-key", "api_version": "2024-10-21"},
        url_form="https://RESOURCE.openai.azure.com/openai",
        domains=_AZURE_DOMAINS,
    ),
    "azure_v1": Preset(
        "openai_chat",
        "",
        "AZURE_OPENAI_API_KEY",
        vendor="azure",
        options={"auth": "api-key"},
        url_form="https://RESOURCE.openai.azure.com/openai/v1",
        domains=_AZURE_DOMAINS,
    ),
    "deepseek": Preset(
        "openai_chat",
        "https://api.deepseek.com",
        "DEEPSEEK_API_KEY",
        vendor="deepseek",
        # https://api-docs.deepseek.com/guides/thinking_mode
        options={"reasoning_history": "reasoning_content"},
    ),
    "fireworks": Preset(
        "openai_chat",
        "https://api.fireworks.ai/inference/v1",
        "FIREWORKS_API_KEY",
        vendor="fireworks",
    ),
    "gemini": Preset(
        "gemini",
        "https://generativelanguage.googleapis.com/v1beta",
        "GEMINI_API_KEY",
        vendor="gemini",
    ),
    "gpustack": Preset("openai_chat", "", url_form="http://HOST/v1"),
    "groq": Preset("openai_chat", "https://api.groq.com/openai/v1", "GROQ_API_KEY", vendor="groq"),
    "huggingface": Preset(
        "openai_chat", "https://router.huggingface.co/v1", "HF_TOKEN", vendor="huggingface"
    ),
    "llamacpp": Preset(
        "openai_chat",
        "http://127.0.0.1:8080/v1",
        vendor="llamacpp",
        options={"continuation": "unasked"},
    ),
    "mistral": Preset(
        "openai_chat",
        "https://api.mistral.ai/v1",
        "MISTRAL_API_KEY",
        vendor="mistral",
        # Its streams tell the usage unasked; its bodies are refused for fields it does not know.
        options={
            "include_usage": False,
            "seed_field": "random_seed",
            "end_user_field": "none",
            "tool_call_ids": "nine_characters",
            "continuation": "echoed_prefix",
        },
    ),
    "ollama": Preset("openai_chat", "http://127.0.0.1:11434/v1", vendor="ollama"),
    "openai": Preset("openai_chat", "https://api.openai.com/v1", "OPENAI_API_KEY", vendor="openai"),
    # It leaves out for each model what that refuses, so nothing of its models is refused here.
    "openrouter": Preset(
        "openai_chat",
        "https://openrouter.ai/api/v1",
        "OPENROUTER_API_KEY",
        vendor="openrouter",
        # https://openrouter.ai/docs/features/prompt-caching
        options={"cache_breakpoints": "cache_control"},
    ),
    "perplexity": Preset(
        "openai_chat", "https://api.perplexity.ai", "PERPLEXITY_API_KEY", vendor="perplexity"
    ),
    "snowflake": Preset(
        "openai_chat",
        "",
        "SNOWFLAKE_TOKEN",
        vendor="snowflake",
        url_form="https://ACCOUNT.snowflakecomputing.com/api/v2/cortex/v1",
        domains=(".snowflakecomputing.com",),
    ),
    "together": Preset(
        "openai_chat", "https://api.together.xyz/v1", "TOGETHER_API_KEY", vendor="together"
    ),
    "vllm": Preset(
        "openai_chat",
        "http://127.0.0.1:8000/v1",
        vendor="vllm",
        options={"continuation": "continue_final_message"},
    ),
    "xai": Preset("openai_chat", "https://api.x.ai/v1", "XAI_API_KEY", vendor="xai"),
    "zai": Preset("openai_chat", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY", vendor="zai"),
}


def vendor_of(base_url: str) -> str:
    """The vendor whose host a base URL names; empty for any other.

    What is anybody's own server, as those without a usual key are, its host does not tell.
    """
    host = _host(base_url)
    return next((row.vendor for row in PRESETS.values() if row.key and row.serves(host)), "")


def apply_presets(document: Document, dialects: Mapping[str, type[BaseModel] | None]) -> None:
    """Writes what a provider's preset says into the tree, where the provider says nothing."""
    providers = document.tree.get("providers")
    if not isinstance(providers, dict):
        return
    for name, provider in providers.items():
        if isinstance(provider, dict) and isinstance(provider.get("preset"), str):
            _apply(provider, ("providers", name), document, dialects)


def _apply(
    provider: dict[str, Any],
    path: KeyPath,
    document: Document,
    dialects: Mapping[str, type[BaseModel] | None],
) -> None:
    at, name = (*path, "preset"), provider["preset"]
    preset = PRESETS.get(name)
    if preset is None:
        document.report(at, f"no preset {shown(at, name)}{nearest(name, PRESETS)}")
        return
    found: dict[str, Any] = {"dialect": preset.dialect}
    if preset.base_url:
        found["base_url"] = preset.base_url
    elif "base_url" not in provider:
        words = f"the preset {name} needs your own address: {preset.url_form}"
        document.report((*path, "base_url"), words, absent=True)
    if preset.key and preset.serves(_host(provider.get("base_url", preset.base_url))):
        found["api_key"] = f"env:{preset.key}"
    dialect = provider.get("dialect", preset.dialect)
    model = dialects.get(dialect) if isinstance(dialect, str) else None
    known = model.model_fields if model is not None else {}
    found.update((key, value) for key, value in preset.options.items() if key in known)
    for key, value in found.items():
        if key not in provider:
            provider[key] = value
            if at in document.origins:
                document.origins[*path, key] = document.origins[at]


def _host(base_url: object) -> str:
    try:
        return urlsplit(base_url).hostname or "" if isinstance(base_url, str) else ""
    except ValueError:
        return ""
