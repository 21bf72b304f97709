"""How a channel to the gateway is opened: retries, limits, keepalive, TLS and the token."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import grpc.aio

Token = str | Callable[[], str]
"""A bearer token, or what gives the one that is valid now, called once a call."""

SERVICE_CONFIG = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": 3,
                    "initialBackoff": "0.2s",
                    "maxBackoff": "2s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
        "retryThrottling": {"maxTokens": 10, "tokenRatio": 0.1},
    }
)
"""The gRPC service config that every client of the gateway should use, in any language.

The gateway itself retries and fails over, so clients retry only what it could not take at all; its
pushback trailer stops them where an attempt was already paid for. No hedging: it pays twice.
Source: gRPC proposal A6.
"""

_OPTIONS: tuple[tuple[str, str | int], ...] = (
    ("grpc.service_config", SERVICE_CONFIG),
    ("grpc.enable_retries", 1),
    ("grpc.max_receive_message_length", 20 * 1024 * 1024),
    ("grpc.max_send_message_length", 20 * 1024 * 1024),
    # The gateway tolerates a ping every 10 s. Only open calls are watched, but those also while
    # just the gateway sends: a stream whose peer vanished would otherwise wait for its deadline.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    # No windows that grow with the bandwidth: a reader that stops would be sent up to 16 MiB more,
    # into this process, before the gateway feels it. 64 KiB a round trip is plenty of text.
    ("grpc.http2.bdp_probe", 0),
)


@dataclass(frozen=True, slots=True)
class TLS:
    """TLS to the gateway. Certificates and keys are PEM, as bytes or the path of a file.

    Attributes:
        ca: The roots that may sign the gateway's certificate; None: the system's.
        certificate: This client's certificate chain, for mTLS; needs `key`.
        key: The private key of `certificate`.
        authority: The name that the gateway's certificate must have, if not the address's host.
    """

    ca: bytes | str | Path | None = None
    certificate: bytes | str | Path | None = None
    key: bytes | str | Path | None = field(default=None, repr=False)
    authority: str | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("mTLS needs both `certificate` and `key`")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the gateway is and how to speak to it.

    Raises:
        ValueError: a token would be sent in the clear to another machine.
    """

    address: str
    tls: TLS | None
    token: Token | None = field(repr=False)
    metadata: Mapping[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        if self.token is not None and self.tls is None and not is_local(self.address):
            raise ValueError(
                f"a token for {self.address} would travel unencrypted, for others to read: use TLS"
                " (tls=True or tls=TLS(ca=...); on the command line --tls or --ca)"
            )

    def open(self) -> grpc.Channel:
        """A channel for blocking calls."""
        if self.tls is None:
            return grpc.insecure_channel(self.address, self._options())
        return grpc.secure_channel(self.address, self._credentials(self.tls), self._options())

    def open_async(self) -> grpc.aio.Channel:
        """A channel for asyncio; to be called where a loop runs."""
        if self.tls is None:
            return grpc.aio.insecure_channel(self.address, self._options())
        return grpc.aio.secure_channel(self.address, self._credentials(self.tls), self._options())

    def call_metadata(self, more: Mapping[str, str] | None) -> tuple[tuple[str, str], ...]:
        """The headers of one call: the client's, then the call's own."""
        headers = {**self.metadata, **(more or {})}
        # grpc refuses call credentials without TLS, also on loopback, so there it is a header.
        if self.token is not None and self.tls is None:
            headers["authorization"] = f"Bearer {_current(self.token)}"
        return tuple((key.lower(), value) for key, value in headers.items())

    def _credentials(self, tls: TLS) -> grpc.ChannelCredentials:
        credentials = grpc.ssl_channel_credentials(
            root_certificates=_pem(tls.ca),
            private_key=_pem(tls.key),
            certificate_chain=_pem(tls.certificate),
        )
        if self.token is None:
            return credentials
        bearer = grpc.metadata_call_credentials(_Bearer(self.token))
        return grpc.composite_channel_credentials(credentials, bearer)

    def _options(self) -> tuple[tuple[str, str | int], ...]:
        options = _OPTIONS
        if is_local(self.address):
            # A proxy of the environment (http_proxy) would look for the gateway on its own machine.
            options += (("grpc.enable_http_proxy", 0),)
        if self.tls is not None and self.tls.authority is not None:
            options += (("grpc.ssl_target_name_override", self.tls.authority),)
        return options


class _Bearer(grpc.AuthMetadataPlugin):
    """Gives grpc the token for each call."""

    def __init__(self, token: Token) -> None:
        self._token = token

    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        try:
            headers = (("authorization", f"Bearer {_current(self._token)}"),)
        except Exception as error:
            callback((), error)
        else:
            callback(headers, None)


def is_local(address: str) -> bool:
    """Whether the address stays on this machine: loopback or a Unix socket."""
    if address.startswith(("unix:", "unix-abstract:")):
        return True
    host = address.rpartition("/")[2]
    for scheme in ("dns:", "ipv4:", "ipv6:"):
        host = host.removeprefix(scheme)
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _current(token: Token) -> str:
    return token if isinstance(token, str) else token()


def _pem(source: bytes | str | Path | None) -> bytes | None:
    if source is None or isinstance(source, bytes):
        return source
    return Path(source).read_bytes()
