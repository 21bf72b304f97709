"""What the `config` commands print: the effective routes, the JSON Schema, a file to start from."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from importlib import resources
from typing import Any

from llmgateway_server.config.load import LoadedConfig
from llmgateway_server.config.presets import PRESETS
from llmgateway_server.config.route_schema import DEFAULT_STRATEGY, RetryConfig, RouteConfig
from llmgateway_server.config.schema import Config, ProviderConfig
from llmgateway_server.config.section import Section
from llmgateway_server.config.units import format_duration, format_size
from llmgateway_server.config.validation import Dialects
from llmgateway_server.domain.capabilities import Unsupported
from llmgateway_server.domain.timers import FIRST_CONTENT_IN_RESERVE, Timers


def check_text(loaded: LoadedConfig) -> str:
    """What callers can ask for and where it leads; secrets appear as their references."""
    config = loaded.config
    lines = [f"{loaded.source}: valid, version {loaded.version}", *_server(config)]
    for name, route in config.routes.items():
        default = " (default)" if name == config.default_route else ""
        leads_to = ", ".join(place.model for place in route.targets)
        lines += [f"{name} -> {leads_to}{default}", *_rules(route), *_places(name, config)]
    for name, provider in config.providers.items():
        models = "any model" if provider.models is None else ", ".join(provider.models) or "nothing"
        lines += [f"{name}/... -> {models}", *_details(provider), *_differing(provider)]
        lines.append(f"    {_timers(provider.timers)}")
    return "\n".join(lines)


def _server(config: Config) -> Iterator[str]:
    server = config.server
    security = "plain text"
    if server.tls is not None:
        security = "TLS with client certificates" if server.tls.client_ca else "TLS"
    reflection = "on" if server.serves_reflection else "off"
    yield f"listens on {', '.join(server.listen)} ({security}, reflection {reflection})"
    for label, section in (("limits", server.limits), ("cache", config.cache)):
        if section != type(section)():
            yield f"{label}: {_values(section)}"
    if server.health_check is None:
        yield "providers are not asked how they are"


def _rules(route: RouteConfig) -> Iterator[str]:
    """How a route's calls survive, where that is not by default."""
    if len(route.targets) > 1 or route.strategy != DEFAULT_STRATEGY:
        yield f"    strategy {route.strategy}"
    if route.recovery != "continue":
        yield f"    recovery {route.recovery}"
    if route.retry != RetryConfig():
        yield f"    retry: {_values(route.retry)}"
    for label, section in (("hedge", route.hedge), ("cache", route.cache)):
        if section is not None:
            yield f"    {label}: {_values(section)}"
    if route.blocked_content is not None:
        yield f"    blocked content -> {route.blocked_content}"
    if route.unsupported is Unsupported.DROP:
        yield "    what the model does not take is left out where that can be"


def _places(name: str, config: Config) -> Iterator[str]:
    """A route's targets: one below the route's name, several each below its own."""
    places = config.route_targets(name)
    if len(places) == 1:
        yield from _details(config.providers[places[0].target.provider])
        yield f"    {_timers(places[0].timers)}"
        return
    for place in places:
        weight = f" (weight {place.weight:g})" if place.weight != 1 else ""
        yield f"    {place.target.name}{weight}"
        yield f"        {_timers(place.timers, in_reserve=True)}"


def _details(provider: ProviderConfig) -> Iterator[str]:
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


def _differing(provider: ProviderConfig) -> Iterator[str]:
    for label, section in (("limits", provider.limits), ("breaker", provider.breaker)):
        if section != type(section)():
            yield f"    {label}: {_values(section)}"


def _values(section: Section) -> str:
    """What a section says, defaults included, as a file would."""
    values = section.model_dump(mode="json")
    return ", ".join(
        f"{name.replace('_', ' ')} {str(value).lower() if isinstance(value, bool) else value}"
        for name, value in values.items()
        if value is not None
    )


def _timers(timers: Timers, *, in_reserve: bool = False) -> str:
    """All timers.

    Args:
        timers: A target's.
        in_reserve: Other targets may be left to ask when this one is asked.
    """
    first = format_duration(timers.first_content_within(in_reserve=False, usual=None))
    if in_reserve and timers.first_content is None:
        first += f" ({format_duration(FIRST_CONTENT_IN_RESERVE)} while another is in reserve)"
    return ", ".join(
        f"{name.replace('_', ' ')} "
        + (first if name == "first_content" else format_duration(getattr(timers, name)))
        for name in timers.__struct_fields__
    )


def schema_json(dialects: Dialects, strategies: Collection[str]) -> str:
    """The JSON Schema (draft 2020-12) of the file, from which editors complete and check.

    It takes any installed dialect's options at every provider; loading tells them apart.
    """
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    provider: dict[str, Any] = schema["$defs"]["ProviderConfig"]
    del provider["properties"]["options"], schema["$defs"]["BaseModel"]
    provider["properties"]["dialect"]["enum"] = sorted(dialects)
    schema["$defs"]["RouteConfig"]["properties"]["strategy"]["enum"] = sorted(strategies)
    provider["properties"]["preset"]["anyOf"][0]["enum"] = sorted(PRESETS)
    provider["anyOf"] = [{"required": ["preset"]}, {"required": provider.pop("required")}]
    for model in dialects.values():
        if model is not None:
            own = model.model_json_schema()
            schema["$defs"] = own.get("$defs", {}) | schema["$defs"]
            provider["properties"] = own["properties"] | provider["properties"]
    for section in schema["$defs"].values():
        for field in section.get("properties", {}).values():
            _write_default(field)
    return json.dumps(schema, indent=2, ensure_ascii=False)


def _write_default(field: dict[str, Any]) -> None:
    """Puts a default as a file would say it; null says nothing, or something else."""
    default = field.get("default")
    if default is None:
        field.pop("default", None)
    elif field.get("type") == "string" and isinstance(default, float):
        field["default"] = format_duration(default)
    elif field.get("type") == "string" and isinstance(default, int):
        field["default"] = format_size(default)


def example_yaml() -> str:
    """A commented file to start from; it loads where OPENAI_API_KEY is set."""
    return resources.files(__package__).joinpath("example.yaml").read_text("utf-8")
