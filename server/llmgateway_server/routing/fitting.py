"""What a request says, against what the model can take: refused, or left out where that is meant.

Three kinds of difference:

- What the model does anyway is left out without a word: a sampling value that is the default
  everywhere, `none` for a model that cannot reason, one tool call at a time for one that makes no
  more.
- What only shades the answer is left out where the policy is DROP, and named: sampling, the effort
  (moved to the nearest level), a limit of the output above the model's own (lowered to it), the
  permission to call several tools at once.
- What decides what the answer is, or what it is made from, is refused under either policy: tools,
  a forced tool, images, the answer's format, a last message to continue, and stop sequences, since
  without them the answer runs on past where it should end.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from llmgateway_server.domain.capabilities import Capabilities, Unsupported
from llmgateway_server.domain.content import MediaPart, Message, Role, ToolResultPart
from llmgateway_server.domain.errors import GatewayError, Reason
from llmgateway_server.domain.request import (
    GenerationRequest,
    Output,
    ReasoningEffort,
    ResponseFormat,
    Sampling,
    ToolChoice,
    ToolMode,
)

_NO_SAMPLING: Final = Sampling()
_NO_CHOICE: Final = ToolChoice()
# Leaving these out changes nothing: they are the defaults, and mean no influence at all.
_NEUTRAL: Final = {
    "temperature": 1.0,
    "top_p": 1.0,
    "frequency_penalty": 0.0,
    "presence_penalty": 0.0,
}
_LEVELS: Final = [level for level in ReasoningEffort if level is not ReasoningEffort.NONE]


class Fitted(Struct, frozen=True):
    """A request that its model can take.

    `dropped` names what it says less or otherwise than the caller's, as in `sampling.temperature`.
    """

    request: GenerationRequest
    dropped: tuple[str, ...] = ()


def fit(request: GenerationRequest, capabilities: Capabilities, policy: Unsupported) -> Fitted:
    """The request as the model can take it.

    Args:
        request: What is asked.
        capabilities: What is known of the model; what is not known is let through.
        policy: What becomes of a field that the model does not take.

    Raises:
        GatewayError: CAPABILITY_UNSUPPORTED, naming the field and the capability, for what is not
            left out under the policy.
    """
    _check_messages(request.messages, capabilities)
    drops = _Drops(policy)
    output = _fit_output(request.output, capabilities, drops)
    sampling, choice = request.sampling, request.tool_choice
    refused = capabilities.refused
    if capabilities.refused_while_reasoning and _reasons(output, capabilities):
        refused |= capabilities.refused_while_reasoning
    if refused and sampling != _NO_SAMPLING:
        sampling = _fit_sampling(sampling, refused, capabilities, drops)
    if request.tools and capabilities.tools is False:
        raise _unsupported("tools", "tools", "this model takes none; leave them out")
    if choice != _NO_CHOICE:
        choice = _fit_choice(choice, refused, capabilities, drops)
    if output is request.output and sampling is request.sampling and choice is request.tool_choice:
        return Fitted(request)
    fitted = replace(request, output=output, sampling=sampling, tool_choice=choice)
    return Fitted(fitted, tuple(drops.names))


class _Drops:
    """What is left out so far."""

    def __init__(self, policy: Unsupported) -> None:
        self._policy = policy
        self.names: list[str] = []

    def add(self, field: str, description: str) -> None:
        """Notes a field as dropped, or refuses it."""
        if self._policy is Unsupported.REJECT:
            raise _unsupported(field, field.rpartition(".")[2], description)
        self.names.append(field)


def _fit_output(output: Output, capabilities: Capabilities, drops: _Drops) -> Output:
    effort, limit = output.reasoning_effort, output.max_output_tokens
    if effort is not None:
        effort = _fit_effort(effort, capabilities, drops)
    if limit is not None:
        limit = _fit_limit(limit, capabilities, drops)
    most = capabilities.max_stop_sequences
    if most is not None and len(output.stop_sequences) > most:
        words = f"at most {most}" if most else "no stop sequences; leave them out"
        raise _unsupported("output.stop_sequences", "stop_sequences", f"this model takes {words}")
    if output.response_format is not None and capabilities.refused:
        _check_format(output.response_format, capabilities.refused)
    if effort is output.reasoning_effort and limit == output.max_output_tokens:
        return output
    return replace(output, reasoning_effort=effort, max_output_tokens=limit)


def _fit_effort(
    asked: ReasoningEffort, capabilities: Capabilities, drops: _Drops
) -> ReasoningEffort | None:
    if capabilities.reasoning is False:
        if asked is not ReasoningEffort.NONE:
            drops.add("output.reasoning_effort", "this model does not reason; leave it unset")
        return None
    known = capabilities.efforts
    if known is None or asked in known:
        return asked
    names = ", ".join(level.value for level in ReasoningEffort if level in known)
    words = f"use one of {names}, or leave it unset" if names else "leave it unset"
    drops.add("output.reasoning_effort", f"this model has no level {asked.value}; {words}")
    return _nearest(asked, known)


def _nearest(asked: ReasoningEffort, known: Collection[ReasoningEffort]) -> ReasoningEffort | None:
    """The next level below, else the next above; never none for a level that reasons."""
    rank = _LEVELS.index(asked) if asked in _LEVELS else 0
    below = [level for level in _LEVELS[: rank + 1] if level in known]
    above = [level for level in _LEVELS[rank:] if level in known]
    return below[-1] if below else next(iter(above), None)


def _fit_limit(asked: int, capabilities: Capabilities, drops: _Drops) -> int:
    most = capabilities.max_output or capabilities.context_window
    if most is None or asked <= most:
        return asked
    drops.add("output.max_output_tokens", f"this model gives {most} at most")
    return most


def _check_format(wanted: ResponseFormat, refused: Collection[str]) -> None:
    if wanted is ResponseFormat.TEXT:
        return
    if "output.response_format" in refused:
        words = "this model answers in text alone; leave it unset"
        raise _unsupported("output.response_format", wanted.value, words)
    if wanted is ResponseFormat.JSON_SCHEMA and "output.response_schema_json" in refused:
        words = "this model keeps to no JSON Schema; ask for another format and say it in words"
        raise _unsupported("output.response_schema_json", wanted.value, words)


def _reasons(output: Output, capabilities: Capabilities) -> bool:
    """Whether the model will reason, as far as is known."""
    effort = output.reasoning_effort or capabilities.default_effort
    return effort is not None and effort is not ReasoningEffort.NONE


def _fit_sampling(
    sampling: Sampling, refused: Collection[str], capabilities: Capabilities, drops: _Drops
) -> Sampling:
    left_out: dict[str, None] = {}
    for name in Sampling.__struct_fields__:
        field, value = f"sampling.{name}", getattr(sampling, name)
        if value is None or field not in refused:
            continue
        if value != _NEUTRAL.get(name):
            drops.add(field, _advice(field, capabilities))
        left_out[name] = None
    return replace(sampling, **left_out) if left_out else sampling


def _fit_choice(
    choice: ToolChoice, refused: Collection[str], capabilities: Capabilities, drops: _Drops
) -> ToolChoice:
    if choice.tool_name or choice.mode is ToolMode.REQUIRED:
        if capabilities.forced_tool_choice is False:
            words = "this model cannot be made to call a tool; let it choose (auto)"
            raise _unsupported("tool_choice", "forced_tool_choice", words)
        if "tool_choice" in refused:
            words = _advice("tool_choice", capabilities)
            raise _unsupported("tool_choice", "forced_tool_choice", words)
    if choice.parallel_tool_calls is None or capabilities.parallel_tool_calls is not False:
        return choice
    if choice.parallel_tool_calls:
        words = "this model calls one tool at a time; leave it unset"
        drops.add("tool_choice.parallel_tool_calls", words)
    return replace(choice, parallel_tool_calls=None)


def _advice(field: str, capabilities: Capabilities) -> str:
    if field in capabilities.refused:
        return "this model refuses it; leave it unset"
    none_is_known = capabilities.efforts is None or ReasoningEffort.NONE in capabilities.efforts
    way = " or set output.reasoning_effort to none" if none_is_known else ""
    return f"this model refuses it while it reasons; leave it unset{way}"


def _check_messages(messages: tuple[Message, ...], capabilities: Capabilities) -> None:
    if capabilities.images is False:
        for number, message in enumerate(messages):
            _check_parts(message.parts, f"messages[{number}]")
    if capabilities.prefill is False and messages and messages[-1].role is Role.ASSISTANT:
        words = "this model does not continue an answer; end with a message of the user"
        raise _unsupported(f"messages[{len(messages) - 1}]", "prefill", words)


def _check_parts(parts: Collection[object], path: str) -> None:
    for number, part in enumerate(parts):
        if isinstance(part, ToolResultPart):
            _check_parts(part.parts, f"{path}.parts[{number}].tool_result")
        elif isinstance(part, MediaPart) and part.mime_type.startswith("image/"):
            field = f"{path}.parts[{number}].media"
            raise _unsupported(field, "images", "this model takes no images; leave it out")


def _unsupported(field: str, capability: str, description: str) -> GatewayError:
    path = f"input.{field}"
    return GatewayError(
        Reason.CAPABILITY_UNSUPPORTED,
        f"{path}: {description}",
        metadata=(("capability", capability), ("field", path)),
    )
