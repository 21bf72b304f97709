"""What the peers are told: where the provider is, no limits, no logs, nothing from the net."""

from __future__ import annotations

from typing import Any

from scenarios import MODELS

_UNLIMITED = 100_000
_KEY = "sk-benchmark"
_ENVOY = "type.googleapis.com/envoy.extensions.filters"

# Uvicorn writes a line a request unless its loggers have nowhere to write.
UVICORN_SILENT = {
    "version": 1,
    "disable_existing_loggers": False,
    "loggers": {
        "uvicorn": {"level": "ERROR"},
        "uvicorn.access": {"handlers": [], "propagate": False},
    },
}


def litellm(provider: int) -> dict[str, Any]:
    """The proxy's configuration: each model by its name."""
    up = {"api_base": f"http://127.0.0.1:{provider}/v1", "api_key": _KEY}
    return {
        "model_list": [
            {"model_name": name, "litellm_params": {"model": f"openai/{name}", **up}}
            for name in MODELS
        ],
        "litellm_settings": {"set_verbose": False, "telemetry": False},
    }


def tensorzero(provider: int) -> str:
    """The gateway's configuration, TOML: each model by its name."""
    lines = [
        "[gateway]",
        "observability.enabled = false",
        "disable_pseudonymous_usage_analytics = true",
    ]
    for name in MODELS:
        lines += [
            f"[models.{name}]",
            'routing = ["up"]',
            f"[models.{name}.providers.up]",
            'type = "openai"',
            f'model_name = "{name}"',
            f'api_base = "http://127.0.0.1:{provider}/v1/"',
            'api_key_location = "none"',
        ]
    return "\n".join(lines)


def envoy(port: int, provider: int) -> dict[str, Any]:
    """The bootstrap: every path, over HTTP/1.1, to the provider."""
    route = {"match": {"prefix": "/"}, "route": {"cluster": "up", "timeout": "0s"}}
    router = {"@type": f"{_ENVOY}.http.router.v3.Router"}
    manager = {
        "@type": f"{_ENVOY}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "in",
        "stream_idle_timeout": "0s",
        "route_config": {"virtual_hosts": [{"name": "up", "domains": ["*"], "routes": [route]}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    http = {"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}
    limits = ("max_connections", "max_pending_requests", "max_requests")
    cluster = {
        "name": "up",
        "load_assignment": {
            "cluster_name": "up",
            "endpoints": [{"lb_endpoints": [{"endpoint": _address(provider)}]}],
        },
        "circuit_breakers": {"thresholds": [dict.fromkeys(limits, _UNLIMITED)]},
    }
    listener = {"name": "in", **_address(port), "filter_chains": [{"filters": [http]}]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, Any]:
    return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}
