"""What the configuration file may hold. A key that is not here is refused.

A later section is one more model and one more field; nothing else has to know its keys.
"""

from __future__ import annotations

import ipaddress
import os
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    SerializeAsAny,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from llmgateway_server.config.limits_schema import (
    AdmissionConfig,
    BreakerConfig,
    TargetLimitsConfig,
    TimeoutsConfig,
)
from llmgateway_server.config.model_schema import ModelConfig
from llmgateway_server.config.presets import PRESETS, vendor_of
from llmgateway_server.config.route_schema import RouteConfig
from llmgateway_server.config.section import Section, one_or_many, or_empty
from llmgateway_server.config.units import Duration, DurationOrOff, DurationOrZero, Size
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import RouteEntry, RouteTarget, Target
from llmgateway_server.domain.request import RecoveryMode
from llmgateway_server.domain.timers import Timers

REFERENCE = "env:NAME or file:PATH"
UNQUOTED = "unquoted"
"""The type of an error after which the value is not quoted: it may be, or hold, a secret."""

_ADDRESS = re.compile(
    r"(?:\[([0-9a-fA-F:.]+)\]|[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?):([0-9]{1,5})"
)
_REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:[^\0]+", re.ASCII)
_SOCKET_PATH_BYTES = 107  # sockaddr_un holds 108 with the closing zero, unix(7)


def _check_address(address: str) -> str:
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        if not path or "\0" in path or len(os.fsencode(path)) > _SOCKET_PATH_BYTES:
            raise ValueError(f"expected unix: and a path of 1 to {_SOCKET_PATH_BYTES} bytes")
        return address
    found = _ADDRESS.fullmatch(address)
    if found is None or int(found[2]) > 65535 or (found[1] and not _is_ipv6(found[1])):
        raise ValueError("expected host:port (0.0.0.0:50051 and [::]:50051 for all) or unix:PATH")
    return address


def _is_ipv6(host: str) -> bool:
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def _check_base_url(text: str) -> str:
    expected = "expected an http:// or https:// URL with a host, such as https://api.openai.com/v1"
    try:
        url = urlsplit(text)
        valid = url.scheme in {"http", "https"} and bool(url.hostname) and url.port != 0
    except ValueError:
        valid = False
    if not valid or not text.isascii() or not text.isprintable() or " " in text:
        raise PydanticCustomError(UNQUOTED, expected)
    if "@" in url.netloc or "?" in text or "#" in text:
        words = "a base URL has no user, query or fragment; a key belongs in api_key"
        raise PydanticCustomError(UNQUOTED, words)
    return text.rstrip("/")


def _check_reference(text: object) -> str:
    if isinstance(text, str) and _REFERENCE.fullmatch(text):
        return text
    words = f"expected {REFERENCE}"
    if isinstance(text, str) and text.startswith("keystore:"):
        words = f"this version has no keystore; {words}"
    elif isinstance(text, str):
        words += "; a literal secret is refused: put it into a variable or a file and name that"
    raise PydanticCustomError(UNQUOTED, words)


Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
Address = Annotated[str, AfterValidator(_check_address)]
Reference = Annotated[
    str,
    BeforeValidator(_check_reference),
    WithJsonSchema({"type": "string", "pattern": r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"}),
]


class TlsConfig(Section):
    """TLS towards callers, in PEM."""

    certificate: Reference
    """The server's certificate chain, as a reference: file:server.pem."""
    key: Reference
    """The certificate's private key, as a reference: file:server.key."""
    client_ca: Reference | None = None
    """Callers must show a certificate signed by this authority (mutual TLS)."""


class DrainConfig(Section):
    """What happens between SIGTERM and exit.

    The defaults add up to 25 s, below the 30 s after which Kubernetes kills a pod: a longer grace
    needs a longer terminationGracePeriodSeconds, or its streams are cut without a word.
    """

    pause: DurationOrZero | None = None
    """How long calls are still taken after health says NOT_SERVING, so that balancers notice. Default 5s; 0s where only this machine can connect."""  # noqa: E501
    grace: DurationOrZero = 20.0
    """How long streams in flight may go on; then they end with GATEWAY_DRAINING."""


class ServerConfig(Section):
    """Where and how callers connect."""

    listen: Annotated[
        tuple[Address, ...],
        BeforeValidator(one_or_many, json_schema_input_type=str | list[str]),
        Field(min_length=1),
    ] = ("127.0.0.1:50051",)
    """host:port or unix:PATH; one or a list."""
    tls: TlsConfig | None = None
    """TLS towards callers; without it the connection is plain text."""
    insecure: bool = False
    """Allows listening beyond this machine although callers need no certificate."""
    reflection: bool | None = None
    """Serves gRPC server reflection. Default: only where no other machine can connect."""
    drain: DrainConfig = DrainConfig()
    """What happens between SIGTERM and exit."""
    limits: Annotated[
        AdmissionConfig, BeforeValidator(or_empty, json_schema_input_type=AdmissionConfig | None)
    ] = AdmissionConfig()
    """The most that the gateway works on at the same time."""
    health_check: DurationOrOff = 30.0
    """How often each provider is asked whether it can be reached and takes the key; or off."""

    @property
    def local_only(self) -> bool:
        """Whether only processes on this machine can connect."""
        return all(is_loopback(address) for address in self.listen)

    @property
    def serves_reflection(self) -> bool:
        """Whether reflection is on, the default worked out."""
        return self.local_only if self.reflection is None else self.reflection

    @property
    def drain_pause(self) -> float:
        """Seconds between NOT_SERVING and GOAWAY, the default worked out."""
        if self.drain.pause is not None:
            return self.drain.pause
        return 0.0 if self.local_only else 5.0


class PoolConfig(Section):
    """Connections to one provider."""

    connections: int = Field(default=200, ge=1, le=100_000)
    """How many may be open at once; a stream holds one while it lasts."""
    idle: Duration = 60.0
    """An unused connection is closed after this long."""


class ProviderConfig(Section):
    """An upstream service: a dialect, an address and a key."""

    preset: str | None = None
    """A known vendor: its dialect, address, options and usual key, for what is not said here."""
    dialect: str
    """The wire format it speaks: the name of an installed dialect, such as openai_chat."""
    base_url: Annotated[
        str,
        AfterValidator(_check_base_url),
        Field(json_schema_extra={"pattern": "^https?://[^/?#@]+[^?#@]*$"}),
    ]
    """The URL below which the dialect's paths lie, such as https://api.openai.com/v1."""
    api_key: Reference | None = None
    """The key, as a reference: env:OPENAI_API_KEY or file:key.txt. Left out: none is sent, but
    with a preset the vendor's usual variable to the vendor's own hosts."""
    timeouts: TimeoutsConfig = TimeoutsConfig()
    """Timers of calls to this provider."""
    models: (
        dict[
            Annotated[str, StringConstraints(min_length=1, max_length=256)],
            Annotated[
                ModelConfig,
                BeforeValidator(or_empty, json_schema_input_type=ModelConfig | None),
            ],
        ]
        | None
    ) = None
    """The models that may be asked for. Left out: any name after "provider/" is passed through."""
    pool: PoolConfig = PoolConfig()
    """Connections to this provider."""
    limits: Annotated[
        TargetLimitsConfig,
        BeforeValidator(or_empty, json_schema_input_type=TargetLimitsConfig | None),
    ] = TargetLimitsConfig()
    """The most that each of the provider's models is asked for."""
    breaker: Annotated[
        BreakerConfig, BeforeValidator(or_empty, json_schema_input_type=BreakerConfig | None)
    ] = BreakerConfig()
    """When one of the provider's models that fails is left alone, and how it comes back."""
    options: SerializeAsAny[BaseModel] | None = None
    """The dialect's own options; in the file they stand beside the other keys."""

    @property
    def timers(self) -> Timers:
        """The timers of a call straight to this provider."""
        return self.timeouts.over(Timers())

    @property
    def vendor(self) -> str:
        """Who serves the models, as the preset or else the host tells; empty where neither does."""
        preset = PRESETS.get(self.preset) if self.preset else None
        return preset.vendor if preset is not None else vendor_of(self.base_url)

    def overridden(self, model: str, known: Capabilities) -> Capabilities:
        """What is known of a model, with what is set here."""
        settings = self.models.get(model) if self.models else None
        return settings.over(known) if settings is not None else known


class CacheConfig(Section):
    """The response cache, which those routes use that say so."""

    max_bytes: Size = 64 << 20
    """How much memory the kept answers may take."""


class Config(Section):
    """The configuration of one gateway."""

    server: ServerConfig = ServerConfig()
    """The gateway's own side."""
    providers: dict[Name, ProviderConfig] = Field(min_length=1)
    """The upstream services, by the name that stands before the slash of a target."""
    default_route: str | None = None
    """The route of a call that names no model."""
    routes: dict[Name, RouteConfig] = Field(default={})
    """Names for targets, so that a target can change and its callers need not."""

    cache: Annotated[
        CacheConfig, BeforeValidator(or_empty, json_schema_input_type=CacheConfig | None)
    ] = CacheConfig()
    """The response cache."""

    def route_targets(self, name: str) -> tuple[RouteTarget, ...]:
        """A route's targets in its order, each with the timers of a call there."""
        route = self.routes[name]
        return tuple(
            RouteTarget(
                place.target, place.timeouts.over(self._timers(route, place.target)), place.weight
            )
            for place in route.targets
        )

    def route_entry(self, name: str) -> RouteEntry:
        """A route as routing takes it."""
        route = self.routes[name]
        blocked = route.blocked_content_target
        return RouteEntry(
            name,
            self.route_targets(name),
            strategy=route.strategy,
            unsupported=route.unsupported,
            recovery=RecoveryMode(route.recovery),
            retry=route.retry.known(),
            hedge=route.hedge.known() if route.hedge else None,
            cache=route.cache.known() if route.cache else None,
            blocked_content=RouteTarget(blocked, self._timers(route, blocked)) if blocked else None,
        )

    def _timers(self, route: RouteConfig, target: Target) -> Timers:
        return route.timeouts.over(self.providers[target.provider].timers)


def is_loopback(address: str) -> bool:
    """Whether only this machine can connect to a `listen` address."""
    host = address.rpartition(":")[0].strip("[]")
    if address.startswith("unix:") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may resolve to anything
        return False
