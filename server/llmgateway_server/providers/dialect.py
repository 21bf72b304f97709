"""What a wire dialect is, and how dialects are found.

A dialect is code without I/O: build request -> decode events -> classify error -> read usage.
`http_provider.HttpProvider` drives any of them; a plug-in may also bring a Provider of its own.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

from msgspec import Struct
from pydantic import BaseModel

from llmgateway_server.domain.answer import Usage
from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.embedding import EmbeddingAnswer, EmbeddingRequest
from llmgateway_server.domain.errors import Reason
from llmgateway_server.domain.events import ProviderEvent
from llmgateway_server.domain.request import GenerationRequest
from llmgateway_server.ports.provider import Provider, ProviderSettings

ENTRY_POINT_GROUP = "llmgateway.dialects"


class HttpCall(Struct, frozen=True):
    """A call: `path` goes behind the provider's base URL and begins with a slash.

    `echo` is text of the request that the provider repeats at the start of its answer; it is taken
    off there.
    """

    path: str
    body: bytes = b""
    method: str = "POST"
    echo: str = ""


class Failure(Struct, frozen=True):
    """Why a provider gave no answer, as its dialect understands it.

    `message` and `code` may be the provider's own words: whoever shows them cuts and scrubs them.
    `retry_after` is the wait in seconds that the body asks for, where it does; `unsent` says that
    nothing of the request reached the provider.
    """

    reason: Reason
    message: str
    code: str = ""
    metadata: tuple[tuple[str, str], ...] = ()
    retry_after: float | None = None
    unsent: bool = False


class WireError(Exception):
    """Raised inside a dialect when what came from the provider is a failure, or is nothing."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


class Decoder(Protocol):
    """Turns the bytes of one answer into events.

    They are the same for every way to split the bytes, but for what a call joins: neighbouring
    pieces of text may come as one delta.
    """

    @property
    def request_id(self) -> str:
        """The answer's id, where the provider has no header for it; empty otherwise."""

    @property
    def usage(self) -> Usage | None:
        """The usage reported so far."""

    @property
    def failure(self) -> Failure | None:
        """Why the answer broke off; once set, no more is fed. Events returned before it hold."""

    def feed(self, data: bytes) -> list[ProviderEvent]:
        """Takes the next bytes and returns what they complete; Finish is the last event ever."""

    def end(self) -> list[ProviderEvent]:
        """Takes the clean end of the bytes; after it there is a Finish or a `failure`."""


class Dialect(Protocol):
    """One provider's way of speaking over HTTP, without I/O.

    build request -> decode events -> classify error -> read usage; and the same for the calls
    around generation. Made once for a provider, used by all its calls at the same time.
    """

    @property
    def media_type(self) -> str:
        """Of a streamed answer, in lower case and without parameters."""

    @property
    def embedding_batch(self) -> int:
        """How many texts one call embeds at most."""

    @property
    def refused(self) -> frozenset[str]:
        """The request fields that no model takes on this wire, of those in REFUSABLE.

        The gateway refuses or leaves them out as the route says, like what a model refuses.
        """

    def headers(self, api_key: str) -> tuple[tuple[str, str], ...]:
        """Headers of every call, with the credential where `api_key` is not empty."""

    def build(
        self, request: GenerationRequest, model: str, capabilities: Capabilities, *, stream: bool
    ) -> HttpCall:
        """Puts a request into the provider's words.

        What `capabilities` say that the model refuses is not in the request any more; they tell
        here which of several words it understands.

        Raises:
            GatewayError: REQUEST_INVALID or CAPABILITY_UNSUPPORTED, naming the field.
        """

    def decoder(self) -> Decoder:
        """A decoder for one streamed answer."""

    def decode_body(self, body: bytes) -> list[ProviderEvent]:
        """The events of a whole answer that came as one JSON body.

        Raises:
            WireError: the body is an error, or no answer.
        """

    def failure(self, status: int, body: bytes) -> Failure:
        """Classifies an HTTP status of 400 or more; never raises, whatever the body is."""

    def probe(self) -> HttpCall:
        """The cheapest call that shows that the address and the key are good."""

    def count_call(
        self, request: GenerationRequest, model: str, capabilities: Capabilities
    ) -> HttpCall | None:
        """The call that has the provider count a request's tokens; None where it has none."""

    def read_count(self, body: bytes) -> int:
        """The answer to `count_call`.

        Raises:
            WireError: the body is an error, or no count.
        """

    def embed_call(self, request: EmbeddingRequest, model: str) -> HttpCall:
        """The call that embeds a request's texts.

        Raises:
            GatewayError: CAPABILITY_UNSUPPORTED, the provider has no embeddings, or not so.
        """

    def read_embeddings(self, body: bytes, count: int) -> EmbeddingAnswer:
        """The answer to `embed_call` for `count` texts, in their order.

        Raises:
            WireError: the body is an error, or has not one vector for each text.
        """


class DialectPlugin(Protocol):
    """What an entry point of the group `llmgateway.dialects` names."""

    @property
    def options(self) -> type[BaseModel]:
        """The model of the dialect's own keys in a provider's configuration."""

    def create(self, settings: ProviderSettings) -> Provider:
        """Makes a provider. Called once a provider and configuration, on the event loop."""


class DialectLoadError(Exception):
    """An installed dialect cannot be used; the message says which one, and why."""


def installed_dialects() -> dict[str, DialectPlugin]:
    """Every dialect that an installed distribution registers, by name.

    Raises:
        DialectLoadError: one cannot be imported, is no dialect, or two share a name.
    """
    entries = entry_points(group=ENTRY_POINT_GROUP)
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise DialectLoadError(
                f"two installed distributions register the dialect {name!r}; remove one"
            )
    return {entry.name: _load(entry) for entry in entries}


def _load(entry: EntryPoint) -> DialectPlugin:
    owner = entry.dist.name if entry.dist else "an unknown distribution"
    origin = f"dialect {entry.name!r} ({entry.value}, from {owner})"
    try:
        plugin = entry.load()
    except Exception as error:
        raise DialectLoadError(f"{origin} cannot be imported: {error!r}") from error
    options = getattr(plugin, "options", None)
    is_model = isinstance(options, type) and issubclass(options, BaseModel)
    if not is_model or not callable(getattr(plugin, "create", None)):
        raise DialectLoadError(
            f"{origin} is no dialect: it needs `options`, a pydantic model, and `create(settings)`"
        )
    return cast("DialectPlugin", plugin)
