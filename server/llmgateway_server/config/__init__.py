"""The configuration file: its shape, its sources, its errors."""

from llmgateway_server.config.describe import check_text, example_yaml, schema_json
from llmgateway_server.config.errors import ConfigError, ConfigErrors, NothingConfigured, Origin
from llmgateway_server.config.limits_schema import TimeoutsConfig
from llmgateway_server.config.load import LoadedConfig, load_config, load_mapping, load_text
from llmgateway_server.config.model_schema import CapabilitiesConfig, ModelConfig
from llmgateway_server.config.presets import PRESETS, Preset
from llmgateway_server.config.references import Secret, TlsMaterial
from llmgateway_server.config.route_schema import RouteConfig
from llmgateway_server.config.schema import (
    Config,
    ProviderConfig,
    ServerConfig,
    TlsConfig,
    is_loopback,
)
from llmgateway_server.config.validation import Dialects

__all__ = [
    "PRESETS",
    "CapabilitiesConfig",
    "Config",
    "ConfigError",
    "ConfigErrors",
    "Dialects",
    "LoadedConfig",
    "ModelConfig",
    "NothingConfigured",
    "Origin",
    "Preset",
    "ProviderConfig",
    "RouteConfig",
    "Secret",
    "ServerConfig",
    "TimeoutsConfig",
    "TlsConfig",
    "TlsMaterial",
    "check_text",
    "example_yaml",
    "is_loopback",
    "load_config",
    "load_mapping",
    "load_text",
    "schema_json",
]
