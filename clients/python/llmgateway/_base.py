"""What both clients share: how they are configured and what a call is made of."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from typing import TypedDict

from llmgateway._channel import TLS, Endpoint, Token
from llmgateway._input import CallOptions

DEFAULT_ADDRESS = "127.0.0.1:50051"


class CallArguments(TypedDict):
    """What grpc is given with every call."""

    timeout: float | None
    metadata: tuple[tuple[str, str], ...]


class ClientBase(abc.ABC):
    """A gateway's address and how to speak to it."""

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        tls: TLS | bool = False,
        token: Token | None = None,
        timeout: float | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Prepares a channel; it connects with the first call.

        Args:
            address: `host:port` or any other gRPC target, such as `unix:/run/llmgateway.sock`.
            tls: True for TLS with the system's roots, a `TLS` for anything else.
            token: A bearer token, or a callable that gives the current one (called once a call,
                with TLS in a thread of grpc's). Without TLS it is sent to this machine only.
            timeout: Seconds that a call may take unless it says otherwise; None: the gateway's
                default (120 s for `generate`, 600 s for `stream`).
            metadata: Headers to send with every call.

        Raises:
            ValueError: a token would leave this machine unencrypted.
        """
        given = tls if isinstance(tls, TLS) else None
        self._endpoint = Endpoint(
            address=address,
            tls=given or (TLS() if tls else None),
            token=token,
            metadata=metadata or {},
        )
        self._timeout = timeout
        self._open()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint.address!r})"

    @abc.abstractmethod
    def _open(self) -> None:
        """Opens the channel, if that is possible already."""

    def _arguments(self, options: CallOptions) -> CallArguments:
        return {
            "timeout": options.get("timeout", self._timeout),
            "metadata": self._endpoint.call_metadata(options.get("metadata")),
        }
