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


class Routing(Struct, frozen=True):
    """What the caller asks of the routing; times in seconds."""

    first_content_timeout: float | None = None
    idle_content_timeout: float | None = None


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
