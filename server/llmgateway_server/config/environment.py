"""Configuration from environment variables: providers without a file, and single keys over it."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from llmgateway_server.config.errors import ConfigError, KeyPath, NothingConfigured, Origin
from llmgateway_server.config.presets import PRESETS
from llmgateway_server.config.reading import Document, scalar

FILE_VARIABLE: Final = "LLMGATEWAY_CONFIG"
OVERRIDE_PREFIX: Final = "LLMGATEWAY__"


# The vendors whose own clients read a variable for the key and one for the base URL.
_WELL_KNOWN: Final = ("openai", "anthropic", "gemini")


def from_well_known(environ: Mapping[str, str], dialects: Collection[str]) -> Document:
    """One provider for each vendor whose key or base URL is set and whose dialect is installed.

    Raises:
        NothingConfigured: there is none.
    """
    document = Document("environment", {"providers": {}})
    unusable = []
    for name in _WELL_KNOWN:
        preset, address = PRESETS[name], f"{name.upper()}_BASE_URL"
        key, base_url = environ.get(preset.key), environ.get(address)
        if not key and not base_url:
            continue
        if preset.dialect not in dialects:
            unusable.append(preset.key if key else address)
            continue
        provider = {"dialect": preset.dialect, "base_url": base_url or preset.base_url}
        path: KeyPath = ("providers", name)
        if key:
            provider["api_key"] = f"env:{preset.key}"
            document.origins[*path, "api_key"] = Origin(preset.key)
        document.origins[*path, "base_url"] = Origin(address if base_url else preset.key)
        document.tree["providers"][name] = provider
    overridden = any(name.startswith(f"{OVERRIDE_PREFIX}PROVIDERS__") for name in environ)
    if not document.tree["providers"] and not overridden:
        names = " and ".join(unusable)
        raise NothingConfigured(f" ({names}: its dialect is not installed)" if names else "")
    return document


def apply_overrides(document: Document, environ: Mapping[str, str]) -> None:
    """Sets each key that a variable such as LLMGATEWAY__SERVER__LISTEN names."""
    for variable in sorted(environ):
        if variable.startswith(OVERRIDE_PREFIX):
            _override(document, variable, environ[variable])


def _override(document: Document, variable: str, text: str) -> None:
    origin = Origin(variable)
    node: Any = document.tree
    path: KeyPath = ()
    *outer, leaf = variable.removeprefix(OVERRIDE_PREFIX).split("__")
    for step in outer:
        name = _written(step, node)
        path = (*path, name)
        if node.get(name) is None:
            node[name] = {}
            document.origins[path] = origin
        node = node[name]
        if not isinstance(node, dict):
            words = "the key holds no mapping, so a variable cannot set one below it"
            document.errors.append(ConfigError(origin, path, words))
            return
    name = _written(leaf, node)
    document.origins[*path, name] = origin
    # Bytes that are no UTF-8 arrive as half surrogates, which nothing could print.
    node[name] = scalar(text.encode("utf-8", "replace").decode())


def _written(step: str, node: dict[str, Any]) -> str:
    """The key that the step means: variables have neither case nor `-` nor `.`."""
    name = step.lower().encode("utf-8", "replace").decode()
    same = (key for key in node if re.sub(r"\W", "_", key.lower(), flags=re.ASCII) == name)
    return next(same, name)
