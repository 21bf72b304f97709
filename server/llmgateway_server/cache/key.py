"""What makes two calls the same: the key of answers that are kept or shared."""

from __future__ import annotations

import hashlib

import msgspec
from msgspec.structs import replace

from llmgateway_server.domain.content import Message, Part, ToolResultPart
from llmgateway_server.domain.policies import CachePolicy
from llmgateway_server.domain.request import GenerationRequest

_ENCODER = msgspec.msgpack.Encoder()


def cache_key(request: GenerationRequest, *, route: str, tenant: str) -> bytes:
    """The SHA-256 of everything that shapes the answer.

    Values are encoded whole, by the names of their fields: kinds of parts differ in those, every
    type in MessagePack's own way, and a field that is added to a value counts from then on.
    Left out is what shapes nothing: labels, the end user's id, timers, priority, the number of
    attempts, the use of the cache, and where a provider shall keep prompts (`cache_breakpoint`).

    Args:
        request: The call's request; its `model` is what the caller wrote, and not looked at.
        route: What that stands for: the name of a route or a target.
        tenant: Who pays; nobody sees the answers of another tenant.
    """
    routing = request.routing
    shaping = (
        tenant,
        route,
        _without_breakpoints(request.messages),
        request.sampling,
        request.output,
        request.tools,
        request.tool_choice,
        # These two choose who answers.
        routing.provider_order,
        routing.disable_fallback,
        # Their order means nothing: each belongs to one provider.
        sorted(request.provider_options),
    )
    return hashlib.sha256(_ENCODER.encode(shaping)).digest()


def is_cacheable(request: GenerationRequest, policy: CachePolicy) -> bool:
    """Whether an earlier answer to the same request is as good as a new one."""
    return policy.include_sampled or not _asks_for_variety(request)


def _asks_for_variety(request: GenerationRequest) -> bool:
    """Whether the caller wants another answer each time; saying nothing does not ask for it."""
    sampling = request.sampling
    if sampling.seed is not None:
        return False
    temperature, top_p, top_k = sampling.temperature, sampling.top_p, sampling.top_k
    if temperature == 0 or top_p == 0 or top_k == 1:
        # Always the likeliest token: the others have nothing left to choose from.
        return False
    return (
        temperature is not None
        or (top_p is not None and top_p < 1)
        or (top_k is not None and top_k > 1)
    )


def _without_breakpoints(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    for message in messages:
        for part in message.parts:
            if part.cache_breakpoint or type(part) is ToolResultPart:
                return tuple(
                    replace(each, parts=tuple(map(_plain, each.parts))) for each in messages
                )
    # Nearly every request: nothing has to be copied.
    return messages


def _plain(part: Part) -> Part:
    if isinstance(part, ToolResultPart):
        part = replace(part, parts=tuple(map(_plain, part.parts)))
    return replace(part, cache_breakpoint=False) if part.cache_breakpoint else part
