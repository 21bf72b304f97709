"""What the `config` commands print: the effective routes, the JSON Schema, a file to start from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib import resources
from typing import Any

from llmgateway_server.config.load import LoadedConfig
from llmgateway_server.config.presets import PRESETS
from llmgateway_server.config.schema import Config, ProviderConfig
from llmgateway_server.config.units import format_duration
from llmgateway_server.config.validation import Dialects
from llmgateway_server.domain.capabilities import Unsupported
from llmgateway_server.domain.timers import Timers


def check_text(loaded: LoadedConfig) -> str:
    """What callers can ask for and where it leads; secrets appear as their references."""
    config = loaded.config
    server = config.server
    security = "plain text"
    if server.tls is not None:
        security = "TLS with client certificates" if server.tls.client_ca else "TLS"
    reflection = "on" if server.serves_reflection else "off"
    lines = [
        f"{loaded.source}: valid, version {loaded.version}",
        f"listens on {', '.join(server.listen)} ({security}, reflection {reflection})",
    ]
    for name, route in config.routes.items():
        default = " (default)" if name == config.default_route else ""
        lines.append(f"{name} -> {route.target.name}{default}")
        if route.unsupported is Unsupported.DROP:
            lines.append("    what the model does not take is left out where that can be")
        lines += _details(config.providers[route.target.provider], config.route_timers(name))
    for name, provider in config.providers.items():
        models = "any model" if provider.models is None else ", ".join(provider.models) or "nothing"
        lines.append(f"{name}/... -> {models}")
        lines += _details(provider, provider.timers)
    return "\n".join(lines)


def _details(provider: ProviderConfig, timers: Timers) -> Iterator[str]:
    preset = f" (preset {provider.preset})" if provider.preset else ""
    key = f"key {provider.api_key}" if provider.api_key else "no key"
    yield f"    {provider.dialect} at {provider.base_url}{preset}, {key}"
    options = [
        f"{name} {getattr(provider.options, name)}"
        for name in (PRESETS[provider.preset].options if provider.preset else ())
        if hasattr(provider.options, name)
    ]
    if options:
        yield f"    {', '.join(options)}"
    yield "    " + ", ".join(
        f"{name.replace('_', ' ')} {format_duration(getattr(timers, name))}"
        for name in timers.__struct_fields__
    )


def schema_json(dialects: Dialects) -> str:
    """The JSON Schema (draft 2020-12) of the file, from which editors complete and check.

    It takes any installed dialect's options at every provider; loading tells them apart.
    """
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    provider: dict[str, Any] = schema["$defs"]["ProviderConfig"]
    del provider["properties"]["options"], schema["$defs"]["BaseModel"]
    provider["properties"]["dialect"]["enum"] = sorted(dialects)
    provider["properties"]["preset"]["anyOf"][0]["enum"] = sorted(PRESETS)
    provider["anyOf"] = [{"required": ["preset"]}, {"required": provider.pop("required")}]
    for model in dialects.values():
        if model is not None:
            own = model.model_json_schema()
            schema["$defs"] = own.get("$defs", {}) | schema["$defs"]
            provider["properties"] = own["properties"] | provider["properties"]
    for section in schema["$defs"].values():
        for field in section.get("properties", {}).values():
            if isinstance(field.get("default"), float):
                field["default"] = format_duration(field["default"])
    return json.dumps(schema, indent=2, ensure_ascii=False)


def example_yaml() -> str:
    """A commented file to start from; it loads where OPENAI_API_KEY is set."""
    return resources.files(__package__).joinpath("example.yaml").read_text("utf-8")
