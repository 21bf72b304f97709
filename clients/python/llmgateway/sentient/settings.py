"""What can be chosen about the bridge."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from llmgateway.sentient.events import EventOptions

MIB = 1024 * 1024

_SIZE = re.compile(r"([1-9][0-9]{0,5})(KiB|MiB)", re.ASCII)
_BYTES = {"KiB": 1024, "MiB": MIB}
_ORIGIN = re.compile(r"\*|[a-z][a-z0-9+.-]*://[^/?#\s]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class BridgeOptions:
    """The bridge's options.

    Attributes:
        model: A route's name or `provider/model`, for requests that name none by `?model=`; empty:
            the gateway's default route.
        source: Who all events come from; empty: the request's own processor id, as the framework
            has it.
        include_reasoning: Ask for what the model thinks, and send it as a stream of its own.
        events: What the events are called.
        cors_origins: Other sites whose pages may ask, such as `https://app.example.org`; `*`: all.
        max_body: The largest body of a request, in bytes.
        coalesce: Seconds for which the gateway may collect text before it sends the next piece, at
            most 0.1; the first piece never waits. A person sees 26 pictures a second as flowing,
            and each message that is not sent saves the work of all who pass it on.
        heartbeat: Seconds of silence after which a comment tells that the stream still lives; the
            gateway takes 0.1 to 3600.

    Raises:
        ValueError: an origin is more or less than scheme, host and port: it would never match.
    """

    model: str = ""
    source: str = ""
    include_reasoning: bool = False
    events: EventOptions = field(default_factory=EventOptions)
    cors_origins: tuple[str, ...] = ()
    max_body: int = MIB
    coalesce: float = 0.038
    heartbeat: float = 15.0

    def __post_init__(self) -> None:
        for origin in self.cors_origins:
            if not _ORIGIN.fullmatch(origin):
                raise ValueError(
                    f"{origin!r} is no origin: write it as https://app.example.org, without a path"
                )

    def allows_origin(self, origin: str | None) -> bool:
        """Whether pages of another site may ask."""
        return "*" in self.cors_origins or origin in self.cors_origins


def parse_size(text: str) -> int:
    """Bytes of a size such as `64KiB` or `1MiB`.

    Raises:
        ValueError: it is none.
    """
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError("expected a size such as 64KiB or 1MiB")
    return int(found[1]) * _BYTES[found[2]]
