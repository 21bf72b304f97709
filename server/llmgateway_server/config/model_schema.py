"""What the configuration may say of one model."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from msgspec.structs import replace
from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from llmgateway_server.config.errors import nearest
from llmgateway_server.config.section import Section, one_or_many
from llmgateway_server.domain.capabilities import REFUSABLE, Capabilities, ThinkingStyle
from llmgateway_server.domain.prices import Prices, nano_dollars
from llmgateway_server.domain.request import ReasoningEffort


def _check_refusable(name: str) -> str:
    if name not in REFUSABLE:
        raise ValueError(f"expected a request field that can be refused{nearest(name, REFUSABLE)}")
    return name


# An enum of ours is written as text, which strict validation would not take for one.
_Effort = Annotated[ReasoningEffort, Field(strict=False)]
_Refusable = Annotated[
    str,
    AfterValidator(_check_refusable),
    WithJsonSchema({"type": "string", "enum": sorted(REFUSABLE)}),
]
_Efforts = Annotated[
    tuple[_Effort, ...],
    BeforeValidator(one_or_many, json_schema_input_type=_Effort | list[_Effort]),
]
_Refusables = Annotated[
    tuple[_Refusable, ...],
    BeforeValidator(one_or_many, json_schema_input_type=_Refusable | list[_Refusable]),
]
_Count = Annotated[int, Field(ge=1, le=2**31 - 1)]


class CapabilitiesConfig(Section):
    """What a model can take, where the built-in table does not know it or is wrong.

    What is left out is as the table says; a request that says more than that is refused, or sent
    without it, as its route's `unsupported` says.
    """

    context_window: _Count | None = None
    """How many tokens of input and output together fit."""
    max_output: _Count | None = None
    """The longest answer in tokens."""
    tools: bool | None = None
    """Takes tools."""
    parallel_tool_calls: bool | None = None
    """May call several tools at once, and can be told not to."""
    forced_tool_choice: bool | None = None
    """Can be made to call a tool."""
    images: bool | None = None
    """Takes images."""
    json_object: bool | None = None
    """Has a JSON mode of its own."""
    json_schema: bool | None = None
    """Can be held to a JSON Schema."""
    reasoning: bool | None = None
    """Can think before it answers."""
    efforts: _Efforts | None = None
    """The reasoning efforts that it knows."""
    default_effort: _Effort | None = None
    """The effort of a request that says none."""
    thinking: Annotated[ThinkingStyle, Field(strict=False)] | None = None
    """How it is told how much to think: a budget of tokens, adaptively, or a level."""
    prefill: bool | None = None
    """Continues a last message of the assistant."""
    max_stop_sequences: Annotated[int, Field(ge=0, le=1000)] | None = None
    """How many stop sequences it takes; 0 for none."""
    refused: _Refusables | None = None
    """Request fields that it answers with an error, such as sampling.temperature."""
    refused_while_reasoning: _Refusables | None = None
    """Request fields that it takes only while it does not reason."""
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    """The wire's name of the output limit, in dialects that have two."""
    embeddings: bool | None = None
    """Makes embeddings."""

    def over(self, known: Capabilities) -> Capabilities:
        """What is known, with what is set here."""
        said: dict[str, Any] = {
            name: frozenset(value) if isinstance(value, tuple) else value
            for name, value in self
            if value is not None
        }
        return replace(known, **said) if said else known


_Dollars = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]


class PricesConfig(Section):
    """What a model costs, in USD for a million tokens, instead of the bundled price list."""

    input: _Dollars
    """Of input."""
    output: _Dollars
    """Of output, reasoning included."""
    cached_input: _Dollars | None = None
    """Of input that came from the provider's cache; left out: as input."""
    cache_write: _Dollars | None = None
    """Of input that was written to the provider's cache; left out: as input."""

    def known(self) -> Prices:
        """The prices in nano-dollars."""

        def nano(dollars: float | None) -> int | None:
            return None if dollars is None else nano_dollars(Decimal(str(dollars)))

        return Prices(
            nano(self.input), nano(self.output), nano(self.cached_input), nano(self.cache_write)
        )


class ModelConfig(Section):
    """What the gateway cannot find out about a model."""

    display_name: str = ""
    """The model's name for people."""
    streaming: bool = True
    """Whether the provider can stream this model. If not, it is asked for whole answers."""
    capabilities: CapabilitiesConfig = CapabilitiesConfig()
    """What the model can take, where it differs from the built-in table."""
    prices: PricesConfig | None = None
    """What the model costs, where the bundled list does not know it or is wrong."""

    def over(self, known: Capabilities) -> Capabilities:
        """What is known of the model, with what is set here."""
        known = self.capabilities.over(known)
        return known if self.streaming else replace(known, streaming=False)
