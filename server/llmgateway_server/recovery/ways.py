"""Which ways lead on after a failure in the middle of an answer."""

from __future__ import annotations

import enum

from llmgateway_server.domain.capabilities import Capabilities
from llmgateway_server.domain.catalog import Target
from llmgateway_server.domain.request import GenerationRequest, RecoveryMode
from llmgateway_server.recovery.continuation import can_continue
from llmgateway_server.recovery.delivered import Delivered
from llmgateway_server.recovery.splice import is_worth_trying


class Way(enum.Enum):
    """How another attempt takes over an answer that was partly delivered."""

    CONTINUE = "continue"
    """It is given the partial answer and goes on from there."""
    SPLICE = "splice"
    """It makes the answer again, which is passed on from where the delivered text ends."""
    RESTART = "restart"
    """The caller drops what it has, and gets a new answer from its start."""


def ways(
    request: GenerationRequest,
    mode: RecoveryMode,
    delivered: Delivered,
    *,
    failed: Target,
    other: Target,
    capabilities: Capabilities,
) -> tuple[Way, ...]:
    """The ways to try on a target, the best one first; none where it cannot help.

    Once a tool call or reasoning was delivered, or more text than is remembered, an answer can
    only be restarted.

    Args:
        request: As the caller sent it.
        mode: What the caller allows.
        delivered: What the caller has: some content, or there would be nothing to recover.
        failed: The target that wrote it.
        other: The target to ask, which may be the same.
        capabilities: Those of `other`'s model.
    """
    if mode is RecoveryMode.NONE:
        return ()
    found: list[Way] = []
    if can_continue(request, delivered, capabilities):
        found.append(Way.CONTINUE)
    is_comparable = delivered.is_text_only and delivered.is_known
    if is_comparable and is_worth_trying(request, failed, other):
        found.append(Way.SPLICE)
    if mode is RecoveryMode.RESTART:
        found.append(Way.RESTART)
    return tuple(found)
