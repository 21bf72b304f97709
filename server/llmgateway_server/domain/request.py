"""A generation request as the core sees it.

`None` always means "not said": the provider's default applies. Zero means zero.
"""

from __future__ import annotations

import enum

from msgspec import Struct

from llmgateway_server.domain.content import Message


class ReasoningEffort(enum.Enum):
    """How much a reasoning model should think; which levels exist depends on the model."""

    NONE = "none"
    MINIMAL = "minimal"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    XHIGH = "xhigh"
    MAX = "max"


class ResponseFormat(enum.Enum):
    """The shape that the answer's text must have."""

    TEXT = "text"
    JSON_OBJECT = "json_object"
    JSON_SCHEMA = "json_schema"


class ToolMode(enum.Enum):
    """Whether the model may, must not or must call a tool."""

    AUTO = "auto"
    NONE = "none"
    REQUIRED = "required"


class Sampling(Struct, frozen=True):
    """Sampling parameters."""

    temperature: float | None = None
    top_p: float | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    top_k: int | None = None
    seed: int | None = None


class Output(Struct, frozen=True):
    """What the answer should look like; `response_schema_json` goes with JSON_SCHEMA."""

    max_output_tokens: int | None = None
    stop_sequences: tuple[str, ...] = ()
    reasoning_effort: ReasoningEffort | None = None
    include_reasoning: bool = False
    response_format: ResponseFormat | None = None
    response_schema_json: str = ""


class Tool(Struct, frozen=True):
    """A function that the model may call; the schema is JSON Schema text, empty for none."""

    name: str
    description: str = ""
    parameters_schema_json: str = ""


class ToolChoice(Struct, frozen=True):
    """Which tools may be called: a mode, or one tool by name."""

    mode: ToolMode | None = None
    tool_name: str = ""
    parallel_tool_calls: bool | None = None


class CacheMode(enum.Enum):
    """The use of the response cache."""

    DEFAULT = "default"
    BYPASS = "bypass"
    ONLY = "only"


class Priority(enum.Enum):
    """Who goes first when the gateway is full."""

    INTERACTIVE = "interactive"
    BATCH = "batch"


class RecoveryMode(enum.Enum):
    """What may follow when a provider fails after content was delivered; each includes the last."""

    NONE = "none"
    CONTINUE = "continue"
    RESTART = "restart"


class Routing(Struct, frozen=True):
    """What the caller asks of the routing; times in seconds.

    `provider_order` names providers to try first. `max_attempts` None: as many as the route says.
    """

    first_content_timeout: float | None = None
    idle_content_timeout: float | None = None
    provider_order: tuple[str, ...] = ()
    disable_fallback: bool = False
    max_attempts: int | None = None
    cache_mode: CacheMode = CacheMode.DEFAULT
    priority: Priority = Priority.INTERACTIVE


class CallOptions(Struct, frozen=True):
    """What is known of a call besides its request.

    `deadline` is loop time. `recovery` None: as the route says. `previous_attempts` counts the
    caller's own retries of this call (gRPC's `grpc-previous-rpc-attempts`); `tenant` is who pays,
    empty where callers are not told apart.
    """

    deadline: float
    recovery: RecoveryMode | None = None
    previous_attempts: int = 0
    tenant: str = ""


class GenerationRequest(Struct, frozen=True):
    """One generation, neutral of caller's and provider's wire.

    `model` is a route's name or `provider/model`; empty asks for the default route.
    `provider_options` holds (provider name, JSON object text) pairs for the provider named.
    """

    model: str
    messages: tuple[Message, ...]
    sampling: Sampling = Sampling()
    output: Output = Output()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice = ToolChoice()
    routing: Routing = Routing()
    labels: tuple[tuple[str, str], ...] = ()
    end_user_id: str = ""
    provider_options: tuple[tuple[str, bytes], ...] = ()
